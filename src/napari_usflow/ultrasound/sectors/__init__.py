"""Sectors in scan-converted pictures: found, outlined, and brought back to lines."""
