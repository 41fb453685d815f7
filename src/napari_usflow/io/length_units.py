"""Units of length, as files name them."""

from __future__ import annotations

__all__ = ["MILLIMETRES"]

MILLIMETRES = {
    "nm": 1e-6,
    **dict.fromkeys(
        ("um", "\u00b5m", "\u03bcm", "\\u00b5m", "micron", "microns"), 1e-3
    ),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
    **dict.fromkeys(("m", "meter", "metre"), 1e3),
    **dict.fromkeys(("inch", "in"), 25.4),
}
"""Millimetres in one of each unit, by its name in lower case."""
