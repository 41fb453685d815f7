"""The eight ways in which a frame can be turned and mirrored."""

from __future__ import annotations

import numpy as np

from napari_usflow.denoising.array_types import Frame

__all__ = ["EIGHT", "UPRIGHT", "turned", "turned_back"]

UPRIGHT = (0, 1, 4, 5)
"""Those that leave depth along its axis: neither turned by a quarter."""

EIGHT = tuple(range(8))
"""The symmetries of the square."""


def turned(frame: Frame, turn: int) -> Frame:
    """Mirror a frame from side to side for odd numbers, then turn it by quarters.

    Parameters
    ----------
    frame : ndarray, shape (Z, X)
    turn : int
        One of :data:`EIGHT`.
    """
    quarters, mirrored = divmod(turn, 2)
    # A copy: what is a view of one row may keep its negative stride.
    return np.rot90(frame[:, ::-1] if mirrored else frame, quarters).copy()


def turned_back(frame: Frame, turn: int) -> Frame:
    """Undo :func:`turned`."""
    quarters, mirrored = divmod(turn, 2)
    back = np.rot90(frame, -quarters)
    return back[:, ::-1] if mirrored else back
