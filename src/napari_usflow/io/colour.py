"""Telling colour that is laid over a picture from the tint of the whole of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["COLOUR_FLOW", "luma", "shows_colour_flow"]

COLOUR_FLOW = (
    "its frames show colour Doppler: the colours are velocities or powers of flow "
    "that stand in place of the echoes; choose frames or clips without the colour box"
)
"""Why such frames are not denoised."""

_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_FAR = 48.0
_SHARE = 0.002
_LOOKED_AT_PX = 640


def luma(rgb: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Turn colours into grey.

    Parameters
    ----------
    rgb : ndarray, shape (..., 3)
        Red, green and blue.

    Returns
    -------
    ndarray, shape (...), float32
        0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded to whole greys.
    """
    grey: npt.NDArray[np.float32] = np.rint(rgb[..., :3].astype(np.float32) @ _WEIGHTS)
    return grey


def shows_colour_flow(rgb: npt.NDArray[np.uint8]) -> bool:
    """Return whether a frame has colours that mean something, over a tissue picture.

    A tint is a function of the grey: pixels of one luma then have one colour. What is
    far from the usual colour of its luma is a colour of its own. Text and marks are
    thin, and do not count; of solid colour, two pixels in a thousand are let pass.

    Parameters
    ----------
    rgb : ndarray, shape (Z, X, 3), uint8
        A frame, cropped to the picture.
    """
    from scipy.ndimage import binary_erosion

    step = max(1, max(rgb.shape[:2]) // _LOOKED_AT_PX)
    rgb = rgb[::step, ::step]
    colours = rgb.reshape(-1, 3).astype(np.float32)
    grey = luma(colours)
    opponent = colours[:, (0, 2)] - grey[:, None]
    # The mean colour of the pixels of each luma that have little colour, where tissue
    # is: a flow signal can fill most pixels of the brighter levels.
    level = grey.astype(np.intp)
    plain = np.abs(opponent).max(axis=1) <= 2 * _FAR
    count = np.maximum(np.bincount(level[plain], minlength=256), 1)
    tint = np.stack(
        [
            np.bincount(level[plain], part[plain], minlength=256) / count
            for part in opponent.T
        ],
        axis=1,
    )
    far = np.abs(opponent - tint[level]).max(axis=1) > _FAR
    solid = binary_erosion(far.reshape(rgb.shape[:2]), np.ones((3, 3)))
    return bool(np.count_nonzero(solid) > _SHARE * len(grey))
