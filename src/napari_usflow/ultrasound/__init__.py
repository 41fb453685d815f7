"""Physics: from channel data to a B-mode image."""
