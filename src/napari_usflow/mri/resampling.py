"""Slices at the prior's pixel, and how much there is to see in them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["resample_slices", "resampled_shape", "tenengrad"]

Float = npt.NDArray[np.float32]

_LARGEST_MATRIX = 2048  # pixels along an axis


def resample_slices(
    slices: Float, pixel_mm: tuple[float, float], target_mm: float
) -> Float:
    """Resample slices (N, H, W) to a square pixel, smoothed first if it is coarser.

    Cubic splines, on edges: the corners of the image stay where they are. Values are
    clipped to [0, 2].
    """
    factors = [p / target_mm for p in pixel_mm]
    # Smoothing and splines are linear and separable, so that an axis is one product
    # with a matrix, several times faster than the filters that give the matrix.
    if max(slices.shape[1:]) <= _LARGEST_MATRIX:
        rows, columns = map(_matrix, slices.shape[1:], factors)
        out = np.matmul(np.matmul(rows, np.asarray(slices, np.float32)), columns.T)
    else:
        out = slices
        for axis, factor in enumerate(factors, start=1):
            out = _along(out, factor, axis)
    return np.asarray(np.clip(out, 0.0, 2.0), dtype=np.float32)


@lru_cache(maxsize=8)
def _matrix(size: int, factor: float) -> Float:
    """Matrix of :func:`_along` for an axis of ``size`` pixels, (new size, size)."""
    matrix = _along(np.eye(size), factor, 0)
    # The splines' tails reach everywhere; numbers too small for float32 are slow.
    matrix[np.abs(matrix) < 1e-9] = 0.0
    return np.asarray(matrix, dtype=np.float32)


def _along(
    values: npt.NDArray[np.floating], factor: float, axis: int
) -> npt.NDArray[np.floating]:
    """Resample along one axis."""
    if factor < 1:
        values = ndimage.gaussian_filter1d(values, 0.4 * (1 / factor - 1), axis)
    factors = [factor if a == axis else 1.0 for a in range(values.ndim)]
    return np.asarray(
        ndimage.zoom(values, factors, order=3, mode="mirror", grid_mode=True)
    )


def resampled_shape(
    shape: tuple[int, int], pixel_mm: tuple[float, float], target_mm: float
) -> tuple[int, int]:
    """Rows and columns that :func:`resample_slices` gives."""
    rows, columns = (
        round(n * p / target_mm) for n, p in zip(shape, pixel_mm, strict=True)
    )
    return rows, columns


def tenengrad(image: Float, size: int) -> Float:
    """Mean squared Sobel gradient over a window of ``size`` pixels, of shape (H, W).

    The focus measure of J. M. Tenenbaum (1970): the squared responses of the two Sobel
    filters, scaled to slopes per pixel, averaged over the patch.
    """
    energy = sum(np.square(ndimage.sobel(image, axis) / 8.0) for axis in (-2, -1))
    return np.asarray(ndimage.uniform_filter(energy, size), dtype=np.float32)
