"""A frame on the pixels of another grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["covered", "resampled"]

Floats = npt.NDArray[np.float64]


def resampled(
    frame: npt.NDArray[Any], matrix: Floats, offset: Floats, shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Sample a frame at the pixels of another grid, bilinearly.

    Parameters
    ----------
    frame : ndarray, shape (Z, X)
    matrix, offset : ndarray, shapes (2, 2) and (2,)
        Pixel p of the other grid lies at pixel ``matrix @ p + offset`` of the frame.
    shape : (int, int)
        Of the other grid.

    Returns
    -------
    ndarray, of that shape, float32
        NaN where the frame has no pixel.
    """
    from scipy.ndimage import affine_transform

    # A diagonal is sampled axis by axis, which is several times faster.
    diagonal = np.diag(matrix)
    aligned = np.allclose(matrix, np.diag(diagonal), rtol=0, atol=1e-9)
    sampled: npt.NDArray[np.float32] = affine_transform(
        np.asarray(frame, np.float32),
        diagonal if aligned else matrix,
        offset=offset,
        output_shape=shape,
        order=1,
        mode="nearest",
    )
    sampled[~covered(frame.shape, matrix, offset, shape)] = np.nan
    return sampled


def covered(
    source: tuple[int, ...], matrix: Floats, offset: Floats, shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return which pixels of a grid have their centre on a pixel of a frame.

    Parameters
    ----------
    source : (int, int)
        Shape of the frame.
    matrix, offset, shape
        As of :func:`resampled`.
    """
    inside = np.ones(shape, bool)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    for axis in (0, 1):
        place = matrix[axis, 0] * rows + (matrix[axis, 1] * columns + offset[axis])
        # Rounding must not lose the pixels at the edge.
        inside &= (place >= -0.5 - 1e-6) & (place <= source[axis] - 0.5 + 1e-6)
    return inside
