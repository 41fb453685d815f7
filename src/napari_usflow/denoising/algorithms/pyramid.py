"""A frame at half its resolution, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SMALLEST_SIDE", "doubled", "halved", "halved_shape"]

SMALLEST_SIDE = 16
"""Pixels below which a side is too short for being halved to be of use."""

Array = npt.NDArray[np.floating]


def halved_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Shape of a frame after :func:`halved`; odd sides are rounded up."""
    return (shape[0] + 1) // 2, (shape[1] + 1) // 2


def halved(frame: Array) -> Array:
    """Average every 2 by 2 pixels; an odd side is continued as it ends."""
    padded = np.pad(frame, [(0, n % 2) for n in frame.shape], mode="edge")
    rows, columns = halved_shape((frame.shape[0], frame.shape[1]))
    return np.asarray(padded.reshape(rows, 2, columns, 2).mean(axis=(1, 3)))


def doubled(frame: Array, shape: tuple[int, int]) -> Array:
    """Interpolate a halved frame linearly at the pixels it was made of.

    Parameters
    ----------
    frame : ndarray, shape ``halved_shape(shape)``
    shape : (int, int)
        Of the frame before it was halved.
    """
    out = np.asarray(frame)
    for axis, length in enumerate(shape):
        # Fine pixel i lies at i / 2 - 1/4 in coarse ones.
        place = np.clip((np.arange(length) - 0.5) / 2, 0, out.shape[axis] - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, out.shape[axis] - 1)
        share = (place - low).reshape([-1, 1] if axis == 0 else [1, -1])
        below, above = out.take(low, axis=axis), out.take(high, axis=axis)
        out = below + share * (above - below)
    return out
