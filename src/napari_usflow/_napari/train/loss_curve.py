"""The training loss as it is drawn: smoothed, and thinned to what a screen can show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Curve", "shown_range"]

_POINTS = 600
_START = 1024
_DECAY = 0.98
_FIRST_STEPS = 4

Floats = npt.NDArray[np.float64]


class Curve:
    """A number for each step, however many there are.

    The smoothed line is an exponential moving average whose memory grows from a few
    steps to 50, so that it follows the steep start.
    """

    def __init__(self) -> None:
        self._points = np.empty((3, _START))
        self._count = 0
        self._average = 0.0
        self._averaged = 0

    def __len__(self) -> int:
        return self._count

    def append(self, step: int, value: float) -> None:
        """Add a step; a value that is not finite is left out of the average."""
        if self._count == self._points.shape[1]:
            self._points = np.hstack([self._points, np.empty_like(self._points)])
        if np.isfinite(value):
            decay = min(_DECAY, self._averaged / (self._averaged + _FIRST_STEPS))
            self._average = decay * self._average + (1 - decay) * value
            self._averaged += 1
        smooth = self._average if self._averaged else np.nan
        self._points[:, self._count] = step, value, smooth
        self._count += 1

    def raw(self) -> tuple[Floats, Floats]:
        """Return steps and values, thinned to the least and the largest of each bin."""
        steps, values, _ = self._points[:, : self._count]
        if self._count <= 2 * _POINTS:
            return steps, values
        starts = self._starts()
        low = np.fmin.reduceat(values, starts)
        high = np.fmax.reduceat(values, starts)
        return np.repeat(steps[starts], 2), np.column_stack([low, high]).ravel()

    def smoothed(self) -> tuple[Floats, Floats]:
        """Return steps and averages, one of each bin and that of the last step."""
        steps, _, smooth = self._points[:, : self._count]
        if self._count <= _POINTS:
            return steps, smooth
        ends = np.append(self._starts()[1:], self._count) - 1
        return steps[ends], smooth[ends]

    def _starts(self) -> npt.NDArray[np.int64]:
        return np.linspace(0, self._count, _POINTS, endpoint=False).astype(np.int64)


def shown_range(values: Floats) -> tuple[float, float] | None:
    """Return the range of an axis that shows what matters of a falling curve.

    The first values of a training run are far from all others: what lies outside the
    2nd to 98th percentile, widened by half, is cut off.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    low, high = (float(p) for p in np.percentile(finite, [2, 98]))
    slack = 0.5 * (high - low)
    low, high = (
        max(float(finite.min()), low - slack),
        min(float(finite.max()), high + slack),
    )
    margin = 0.08 * (high - low) or max(0.05 * abs(high), 0.05)
    return low - margin, high + margin
