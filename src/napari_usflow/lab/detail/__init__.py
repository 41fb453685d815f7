"""Preservation of fine detail: layers, stripes, walls, points."""
