"""Patches laid out beside each other, for figures and layers."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["montage"]

Float = npt.NDArray[np.float32]


def montage(patches: Float, *, gap: int = 1, filling: float = 1.0) -> Float:
    """Lay patches out in a grid that is about square, with a gap between them.

    Parameters
    ----------
    patches : ndarray, shape (N, S, S), N >= 1
    gap : int
        In pixels.
    filling : float
        Value of the gaps, and of places without a patch.

    Returns
    -------
    ndarray, shape (H, W), float32
        Row by row.
    """
    count, size = len(patches), patches.shape[-1]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    pitch = size + gap
    shape = (rows * pitch - gap, columns * pitch - gap)
    sheet = np.full(shape, filling, np.float32)
    for i, patch in enumerate(patches):
        top, left = (k * pitch for k in divmod(i, columns))
        sheet[top : top + size, left : left + size] = patch
    return sheet
