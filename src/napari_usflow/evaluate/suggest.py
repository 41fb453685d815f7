"""Regions that a first look needs: homogeneous speckle, and its darkest neighbour."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.regions import Region
from napari_usflow.ultrasound.data import PixelGrid
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

__all__ = ["suggested_regions"]

Floats = npt.NDArray[np.float64]

_SIDE_MM, _LARGEST_SHARE = 6.0, 1 / 5
_LEAST_SIDE_PIXELS = 8
_CELLS, _TARGET_CELLS = 4, 2
_LEAST_STD_DB = 0.5
_FARTHEST = 3.0


def suggested_regions(
    frame_db: npt.NDArray[Any], grid: PixelGrid, *, has_lengths: bool = True
) -> list[Region]:
    """Suggest a homogeneous speckle region, and the darkest region beside it.

    Windows of 6 mm, or of a fifth of the frame where that is smaller, are compared. The
    speckle region is the one of the brighter half whose sixteen parts have the most
    equal means. The target is the window of half the side with the lowest mean within
    three sides of it. What is black up to the top or the bottom of the frame lies
    outside of the picture, and counts for neither.

    Parameters
    ----------
    frame_db : ndarray, shape (Z, X), dB
    grid : PixelGrid
        Where its pixels are.
    has_lengths : bool
        False where its pixels have no known size: the windows are then a fifth of the
        frame.

    Returns
    -------
    list of Region
        Speckle and target, both boxes.

    Raises
    ------
    ValueError
        When the frame is too small, or has no speckle above its black.
    """
    rows, columns = (
        _side(step if has_lengths else 0.0, size)
        for step, size in zip(grid.spacing_mm, grid.shape, strict=True)
    )
    cells = _cell_means(frame_db, rows // _CELLS, columns // _CELLS)
    if min(cells.shape[1:]) < _CELLS:
        raise ValueError(
            f"a frame of {grid.shape[0]} x {grid.shape[1]} pixels is too small for a "
            f"region; at least {_CELLS * _LEAST_SIDE_PIXELS} each way are needed"
        )
    mean, uneven, noise = _windows(cells)
    outside = _outside(cells)
    view = np.lib.stride_tricks.sliding_window_view(outside, (_CELLS, _CELLS))
    mean = np.where(view.any(axis=(2, 3)), np.nan, mean)
    known = mean[np.isfinite(mean)]
    middle = float(np.median(known)) if known.size else np.inf
    shown = (mean >= middle) & (noise > _LEAST_STD_DB)
    # Unevenness of pure speckle grows with its own spread. A larger spread than that of
    # speckle comes from structure, and is no excuse.
    score = np.full(mean.shape, np.inf)
    np.divide(uneven, np.minimum(noise, SPECKLE_DB), out=score, where=shown)
    if not np.isfinite(score).any():
        raise ValueError("the frame has no speckle above its black to measure in")
    speckle = np.unravel_index(int(np.argmin(score)), score.shape)
    cell = rows // _CELLS, columns // _CELLS
    target = _darkest_beside(cells, outside, speckle)
    return [
        Region("speckle", "polygon", _box(speckle, _CELLS, cell, grid), "speckle"),
        Region(
            "target",
            "polygon",
            _box(target, _TARGET_CELLS, cell, grid),
            "darkest neighbour",
        ),
    ]


def _darkest_beside(
    cells: Floats, outside: npt.NDArray[np.bool_], speckle: tuple[Any, ...]
) -> tuple[int, int]:
    """Return the first part of the darkest window near the speckle, clear of it."""
    size, parts = (_TARGET_CELLS, _TARGET_CELLS), cells[0]
    means = np.lib.stride_tricks.sliding_window_view(parts, size).mean(axis=(2, 3))
    out = np.lib.stride_tricks.sliding_window_view(outside, size).any(axis=(2, 3))
    gaps, offsets = [], []
    for places, first in zip(np.indices(means.shape), speckle, strict=True):
        offset = places + _TARGET_CELLS / 2 - (int(first) + _CELLS / 2)
        offsets.append(offset)
        gaps.append(np.abs(offset) - (_CELLS + _TARGET_CELLS) / 2)
    clear = np.maximum(*gaps) >= 1
    near = np.hypot(*offsets) <= _FARTHEST * _CELLS
    allowed = clear & near & ~out & np.isfinite(means)
    if not allowed.any():
        raise ValueError("the frame is too small for two regions beside each other")
    darkest = int(np.argmin(np.where(allowed, means, np.inf)))
    row, column = np.unravel_index(darkest, means.shape)
    return int(row), int(column)


def _side(step_mm: float, size: int) -> int:
    """Return the side of a window in pixels, a multiple of its parts; 0: any size."""
    pixels = size * _LARGEST_SHARE
    if step_mm > 0:
        pixels = min(_SIDE_MM / step_mm, pixels)
    return max(round(pixels / _CELLS), _LEAST_SIDE_PIXELS // _CELLS) * _CELLS


def _cell_means(frame: npt.NDArray[Any], rows: int, columns: int) -> Floats:
    """Average the parts of windows; also of the squares. Shape (2, rows, columns)."""
    shape = frame.shape[0] // rows, frame.shape[1] // columns
    cut = np.asarray(frame[: shape[0] * rows, : shape[1] * columns], np.float64)
    cut = np.where(np.isfinite(cut), cut, np.nan)
    parts = cut.reshape(shape[0], rows, shape[1], columns)
    return np.stack([parts.mean(axis=(1, 3)), (parts**2).mean(axis=(1, 3))])


def _windows(cells: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, spread of the parts' means and spread of the pixels of windows."""
    view = np.lib.stride_tricks.sliding_window_view(
        cells, (_CELLS, _CELLS), axis=(1, 2)
    )
    means, squares = view.mean(axis=(3, 4))
    uneven = view[0].std(axis=(2, 3))
    return means, uneven, np.sqrt(np.maximum(squares - means**2, 0))


def _outside(cells: Floats) -> npt.NDArray[np.bool_]:
    """Return which parts are black up to the top or the bottom of the frame."""
    from scipy.ndimage import label

    means, squares = cells
    flat = np.maximum(squares - means**2, 0) < 1e-6 * (1 + squares)
    black = flat & (means <= np.nanmin(means) + 1e-3)
    areas, _ = label(black)
    outer = np.union1d(areas[0], areas[-1])
    return np.asarray(np.isin(areas, outer[outer > 0]))


def _box(
    first: tuple[Any, ...], parts: int, cell: tuple[int, int], grid: PixelGrid
) -> npt.NDArray[np.float64]:
    """Return the corners of a window from a part on, on the edges of its pixels."""
    low, high = [], []
    for axis in (0, 1):
        start = int(first[axis]) * cell[axis]
        step, origin = grid.spacing_mm[axis], grid.origin_mm[axis]
        low.append(origin + step * (start - 0.5))
        high.append(origin + step * (start + parts * cell[axis] - 0.5))
    return np.array(
        [
            [low[0], low[1]],
            [low[0], high[1]],
            [high[0], high[1]],
            [high[0], low[1]],
        ]
    )
