"""Which pixels of a picture are tissue: what differs from the background, or moves.

Around a sector a picture has one grey, its most frequent value. In a clip what is
outside of the sector stands still as well. Each map is a picture of booleans; the one
that a sector explains best is used, see :mod:`napari_usflow.ultrasound.sectors.search`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.data import ArrayLike
from napari_usflow.ultrasound.sectors.geometry import Mask

__all__ = ["Evidence", "evidence_maps"]

_MOST_FRAMES = 12
# Of white over black: the noise of JPEG and video codecs ends at one of them.
_LEVELS = (0.002, 0.012, 0.03, 0.07)
# Of the pixels: below this there is no background, and no sector to be found.
_LEAST_BACKGROUND = 0.03
_FLAT = 5


@dataclass(frozen=True)
class Evidence:
    """Where tissue was seen.

    Attributes
    ----------
    tissue : ndarray of bool, shape (Z, X)
        Pixels that differ from the background, or move.
    judged : ndarray of bool, shape (Z, X)
        False where nothing can be said: in evenly painted bars and logos.
    amount : ndarray of float32, shape (Z, X)
        How far they differ or move, 1 from black to white; 0 where no tissue is.
    moves : bool
        Whether it is seen by its motion.
    """

    tissue: Mask
    judged: Mask
    amount: npt.NDArray[np.float32]
    moves: bool


def evidence_maps(stack: ArrayLike) -> Iterator[Evidence]:
    """Return maps of tissue, with rising thresholds; none without a background.

    Parameters
    ----------
    stack : array, shape (T, Z, X)
        Grey of any range. Of a clip a dozen frames are read, spread over it.
    """
    count = int(stack.shape[0])
    indices = np.unique(np.linspace(0, count - 1, min(count, _MOST_FRAMES)).round())
    frames = [np.asarray(stack[int(index)], np.float32) for index in indices]
    middle = frames[len(frames) // 2]
    finite = np.isfinite(middle)
    if middle.size < 64 or not finite.any():
        return
    black, white = (
        _background(middle[finite]),
        float(np.percentile(middle[finite], 99.8)),
    )
    span = max(abs(white - black), float(np.ptp(middle[finite])) / 4)
    if span <= 0:
        return
    far = np.abs(np.where(finite, middle, black) - black) / span
    if float((far <= _LEVELS[0]).mean()) < _LEAST_BACKGROUND:
        return
    judged = ~_painted(middle, far > _LEVELS[1], span)
    spread = _spread(frames) / span if len(frames) > 1 else None
    for level in _LEVELS:
        if spread is not None:
            moving = spread > level / 3
            if moving.mean() > 0.02:
                yield Evidence(
                    moving,
                    np.ones_like(judged),
                    (spread * moving).astype(np.float32),
                    True,
                )
        tissue = far > level
        if 1 - tissue.mean() >= _LEAST_BACKGROUND:
            yield Evidence(
                tissue & judged, judged, (far * tissue).astype(np.float32), False
            )


def _background(values: npt.NDArray[np.float32]) -> float:
    """Return the most frequent value."""
    low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values, bins=256, range=(low, max(high, low + 1e-6)))
    at = int(counts.argmax())
    inside = values[(values >= edges[at]) & (values <= edges[at + 1])]
    return float(np.median(inside))


def _spread(frames: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Standard deviation over time."""
    stack: Any = np.nan_to_num(np.stack(frames), posinf=0.0, neginf=0.0)
    return np.asarray(stack.std(axis=0), np.float32)


def _painted(frame: npt.NDArray[np.float32], bright: Mask, span: float) -> Mask:
    """Find evenly painted areas: bars, panels and logos, which speckle never is."""
    from scipy.ndimage import binary_dilation, maximum_filter, minimum_filter

    filled = np.nan_to_num(frame, posinf=0.0, neginf=0.0)
    range_ = maximum_filter(filled, _FLAT) - minimum_filter(filled, _FLAT)
    even = bright & (range_ <= 0.008 * span)
    return np.asarray(binary_dilation(even, iterations=_FLAT // 2 + 1)) & bright
