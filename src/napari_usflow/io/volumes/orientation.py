"""Which way the axes of a picture run, by the code of the PLUS toolkit.

The letters say where +x, +y and +z of the stored picture point: M and U to the marked
and the unmarked side of the transducer, F and N away from it and towards it, A and D
along the elevation. Pictures are shown as PLUS keeps them in memory: columns towards
the marked side, rows away from the transducer (MF), planes ascending (MFA).

Reference: https://pluslib.readthedocs.io/en/latest/UltrasoundImageOrientation.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

__all__ = ["Orientation", "parse_orientation"]

_LATERAL, _AXIAL, _ELEVATION = "MU", "FN", "AD"


@dataclass(frozen=True)
class Orientation:
    """Mapping of a stored picture (rows, columns) to (depth, across).

    Attributes
    ----------
    swaps_axes : bool
        Whether a row runs along depth, as in pictures of RF lines.
    flips_depth, flips_across, flips_planes : bool
        Whether an axis runs the other way, after the swap.
    """

    swaps_axes: bool = False
    flips_depth: bool = False
    flips_across: bool = False
    flips_planes: bool = False

    def upright(self, plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn a picture, shape (rows, columns, ...), as a view."""
        if self.swaps_axes:
            plane = plane.swapaxes(0, 1)
        return plane[
            :: -1 if self.flips_depth else 1, :: -1 if self.flips_across else 1
        ]

    def pair(self, rows: Any, columns: Any) -> tuple[Any, Any]:
        """Return what is (depth, across) of what is (rows, columns)."""
        return (columns, rows) if self.swaps_axes else (rows, columns)


def parse_orientation(code: str) -> Orientation | None:
    """Return the orientation that a code of two or three letters states, else None."""
    letters = code.strip().upper()
    if len(letters) not in (2, 3):
        return None
    x, y = letters[0], letters[1]
    planes = letters[2:] or "A"
    if planes not in _ELEVATION:
        return None
    if x in _LATERAL and y in _AXIAL:
        return Orientation(False, y == "N", x == "U", planes == "D")
    if x in _AXIAL and y in _LATERAL:
        return Orientation(True, x == "N", y == "U", planes == "D")
    return None
