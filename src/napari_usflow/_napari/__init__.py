"""The napari side: signals, layout and layers; no arithmetic."""
