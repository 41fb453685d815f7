"""Measures of what means over regions do not see: lattices, thin layers, shimmer.

All work on frames (axial, lateral) in decibels, and none needs more than NumPy.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["above_surroundings", "lattice", "ridge", "rms", "shifted_change"]

Array = npt.NDArray[np.floating]

_GAP = 4
_BESIDE = 5
_EDGE = 16
"""Pixels at the edge of a frame that are left out, in which a filter lacks half of its
neighbours."""


def lattice(frame: Array) -> tuple[float, float]:
    """Return how much an image alternates from pixel to pixel, axis by axis.

    The root mean square of the second difference at one pixel, over a quarter of that
    at two pixels. A smooth image has 1, a row of equal and independent values 4, and a
    pattern that repeats with every second pixel has no limit. A step from one pixel to
    the next has 2.8.

    Parameters
    ----------
    frame : ndarray, shape (Z, X)
        In decibels, clipped to what is shown.

    Returns
    -------
    (float, float)
        Axial and lateral; NaN where the frame is constant.

    Examples
    --------
    >>> ramp = np.add.outer(np.arange(9.0) ** 2, np.arange(9.0) ** 2)
    >>> lattice(ramp)
    (1.0, 1.0)
    """
    ratios = []
    for axis in (0, 1):
        values = np.moveaxis(np.asarray(frame, np.float64), axis, 0)
        near = values[2:] - 2 * values[1:-1] + values[:-2]
        far = values[4:] - 2 * values[2:-2] + values[:-4]
        scale = rms(far)
        ratios.append(4 * rms(near) / scale if scale > 0 else float("nan"))
    return ratios[0], ratios[1]


def above_surroundings(frame: Array, rows: slice) -> float:
    """Return how far a horizontal layer lies above the rows on both sides of it.

    Parameters
    ----------
    frame : ndarray, shape (Z, X), dB
    rows : slice
        The layer. Four rows on each side are left out, the next five are compared.

    Returns
    -------
    float
        In dB, negative for a dark layer.
    """
    inner = frame[:, _EDGE:-_EDGE].mean(axis=1)
    above = inner[rows.start - _GAP - _BESIDE : rows.start - _GAP]
    below = inner[rows.stop + _GAP : rows.stop + _GAP + _BESIDE]
    return float(inner[rows].mean() - np.concatenate([above, below]).mean())


def ridge(frame: Array, slope: float, depth: float) -> tuple[float, float]:
    """Return the grain along a straight bright wall, and its width across.

    Parameters
    ----------
    frame : ndarray, shape (Z, X), dB
    slope : float
        Rows by which the wall descends from column to column.
    depth : float
        Row of its middle in the middle column.

    Returns
    -------
    (float, float)
        Standard deviation along the middle of the wall, in dB, and the full width of
        its mean profile 6 dB below the top, in rows.
    """
    from scipy.ndimage import map_coordinates

    columns = np.arange(_EDGE, frame.shape[1] - _EDGE, dtype=np.float64)
    offsets = np.arange(-16, 16.05, 0.1)
    middle = depth + slope * (columns - (frame.shape[1] - 1) / 2)
    where = np.broadcast_arrays(middle[None] + offsets[:, None], columns[None])
    profiles = map_coordinates(np.asarray(frame, np.float64), where, order=1)
    along = profiles[np.abs(offsets) < 0.05][0]
    mean = profiles.mean(axis=1)
    over = mean > mean.max() - 6
    return float(along.std()), float(over.sum() * 0.1)


def shifted_change(first: Array, second: Array, shift: tuple[float, float]) -> float:
    """Return the rms difference of the results of an image and of the moved image.

    Parameters
    ----------
    first, second : ndarray, shape (Z, X), dB
    shift : (float, float)
        Rows and columns by which the second image's content was moved. The second
        result is moved back by them: whole pixels as they are, a fraction by splines of
        fifth order. So the shift itself does not count, but nulls of speckle that lie
        between pixels do.

    Returns
    -------
    float
        In dB.
    """
    whole = [math.floor(step) for step in shift]
    rest = [step - pixels for step, pixels in zip(shift, whole, strict=True)]
    back = np.roll(second, [-pixels for pixels in whole], (0, 1))
    if any(rest):
        from scipy.ndimage import shift as interpolated

        moves = [-step for step in rest]
        back = interpolated(back.astype(np.float64), moves, order=5, mode="grid-wrap")
    inner = slice(_EDGE, -_EDGE)
    return rms(back[inner, inner] - first[inner, inner])


def rms(values: Array) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
