"""What becomes of fine detail: layers, stripes, walls, points."""
