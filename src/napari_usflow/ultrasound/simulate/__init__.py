"""Simulation: speckle on an image, and acquisitions of scenes."""
