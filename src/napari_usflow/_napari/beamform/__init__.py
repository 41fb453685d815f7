"""The widget that beamforms channel data."""
