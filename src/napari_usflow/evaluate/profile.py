"""Values along a line, and the mean across a band."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.data import PixelGrid

__all__ = ["band_profile", "line_length_mm", "line_profile"]

Floats = npt.NDArray[np.float64]

_LINES_ACROSS = 25


def line_length_mm(points_mm: npt.ArrayLike) -> float:
    """Return the length of a line through points, shape (N, 2), in mm."""
    steps = np.diff(np.asarray(points_mm, float), axis=0)
    return float(np.hypot(*steps.T).sum())


def line_profile(
    frame: npt.NDArray[Any], grid: PixelGrid, points_mm: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Return the values along a line, read bilinearly every half pixel.

    Parameters
    ----------
    frame : ndarray, shape (Z, X)
    grid : PixelGrid
        Where its pixels are.
    points_mm : array-like, shape (N, 2)
        The line, (axial, lateral), at least two points.

    Returns
    -------
    distance_mm, values : ndarray, shape (M,)
        From the first point on; NaN outside of the frame.
    """
    points = np.asarray(points_mm, float)
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    count = max(2, int(np.ceil(along[-1] / (min(grid.spacing_mm) / 2))) + 1)
    distance = np.linspace(0, along[-1], count)
    places = np.stack([np.interp(distance, along, axis) for axis in points.T], axis=1)
    return distance, _values_at(frame, grid, places)


def band_profile(
    frame: npt.NDArray[Any], grid: PixelGrid, corners_mm: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Return the profile along the longer side of a box, averaged across the other.

    Parameters
    ----------
    frame, grid
        As of :func:`line_profile`.
    corners_mm : array-like, shape (4, 2)
        Corners of the (turned) box, in order around it.

    Returns
    -------
    distance_mm, values : ndarray, shape (M,)
        NaN where no part of the band is in the frame.
    """
    corners = np.asarray(corners_mm, float)[:4]
    first, second = corners[1] - corners[0], corners[3] - corners[0]
    long, across = (
        (first, second) if np.hypot(*first) >= np.hypot(*second) else (second, first)
    )
    values = []
    for share in np.linspace(0, 1, _LINES_ACROSS):
        start = corners[0] + share * across
        distance, line = line_profile(frame, grid, [start, start + long])
        values.append(line)
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return distance, np.asarray(total / known.sum(axis=0))


def _values_at(frame: npt.NDArray[Any], grid: PixelGrid, places_mm: Floats) -> Floats:
    from scipy.ndimage import map_coordinates

    pixels = (places_mm - grid.origin_mm) / np.asarray(grid.spacing_mm)
    values: Floats = map_coordinates(
        np.asarray(frame), pixels.T, output=np.float64, order=1, mode="nearest"
    )
    size = np.asarray(grid.shape)
    inside = ((pixels >= -0.5) & (pixels <= size - 0.5)).all(axis=1)
    values[~inside] = np.nan
    return values
