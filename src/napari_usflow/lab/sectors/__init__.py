"""Sectors that are drawn with known geometry, to judge how well they are found."""
