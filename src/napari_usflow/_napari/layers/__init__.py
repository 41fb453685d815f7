"""Content of layers, and layers made of results."""
