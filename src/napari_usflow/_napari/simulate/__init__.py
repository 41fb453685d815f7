"""The widget that simulates speckle."""
