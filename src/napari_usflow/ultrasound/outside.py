"""Pixels outside of the image, which are NaN, and -Inf, which is the floor.

The logarithm of an exact zero is -Inf: it becomes the lowest level of its frame. NaN is
no level at all, such as beyond the edges of a sector: the nearest pixel within stands
in its place while something is computed, and NaN is given back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["filled", "floored", "nearest_inside"]


def floored(frame: npt.NDArray[Any], name: str = "the image") -> npt.NDArray[Any]:
    """Replace -Inf by the lowest level of a frame; NaN stays.

    Parameters
    ----------
    frame : ndarray, shape (Z, X)
        Returned as it is where it has no infinite pixels.
    name : str
        Of the image, for messages.

    Raises
    ------
    ValueError
        When a pixel is +Inf, or none is finite beside -Inf.
    """
    if frame.dtype.kind not in "fc" or not np.isinf(frame).any():
        return frame
    infinite = np.isinf(frame)
    finite = frame[np.isfinite(frame)]
    wrong = infinite if frame.dtype.kind == "c" else infinite & (frame > 0)
    if wrong.any() or finite.size == 0:
        count = int(np.count_nonzero(wrong)) or frame.size
        raise ValueError(
            f"{name} has {count} infinite pixels of {frame.size}; replace them (-Inf, "
            "the logarithm of zero, is taken as the floor, NaN as outside of the image)"
        )
    return np.where(infinite, finite.min(), frame)


def filled(
    frame: npt.NDArray[Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
    """Fill the pixels outside of the image by the nearest within.

    Returns
    -------
    ndarray, shape (Z, X)
        The frame itself where nothing is outside; zeros where everything is.
    ndarray, shape (Z, X), bool, optional
        Which pixels are outside; None for none.
    """
    if frame.dtype.kind != "f":
        return frame, None
    outside = np.isnan(frame)
    if not outside.any():
        return frame, None
    if outside.all():
        return np.zeros_like(frame), outside
    return nearest_inside(frame, outside), outside


def nearest_inside(
    frame: npt.NDArray[Any], outside: npt.NDArray[np.bool_]
) -> npt.NDArray[Any]:
    """Give every pixel outside the value of the nearest one inside."""
    from scipy.ndimage import distance_transform_edt

    places = distance_transform_edt(
        outside, return_distances=False, return_indices=True
    )
    return np.asarray(frame[tuple(places)])
