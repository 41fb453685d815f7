"""The widget that denoises many files and layers alike."""
