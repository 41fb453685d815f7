"""Residual of a filter: the part it removed, and the level offset it left.

A despeckling filter can be judged without a reference: the residual, input minus
result in decibels, should be speckle and nothing else: 5.57 dB of standard deviation
where it is fully developed, and no more correlated than speckle is. Structure in the
residual was taken from the image.

Log-domain filters leave the mean of log-compressed speckle, 2.51 dB below the
logarithm of the mean intensity; those that average the envelope or the intensity leave
another level. Before results are compared with a clean reference, the offset of each
is therefore fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.bmode import SILENCE_DB
from napari_usflow.ultrasound.speckle_statistics import correlation, correlation_length

__all__ = [
    "ResidualReport",
    "amplitude_ratio_db",
    "fitted_offset",
    "mean_bias",
    "residual_report",
    "residual_whiteness",
]

Array = npt.NDArray[Any]

_WINDOW = 32
_LAGS = 6
_MOST_WINDOWS = 100
_WHITE_LENGTH = 1.5
_STRONG_TIMES, _EVEN_SHARE = 1.3, 0.02


def residual_whiteness(residual: Array, *, max_lag: int = 3) -> float:
    """Energy of a residual's autocorrelation at small lags, without lag zero.

    The sum of rho^2 over the half plane of lags up to ``max_lag`` pixels along each
    axis (the other half is its mirror image), rho as
    :func:`~napari_usflow.ultrasound.speckle_statistics.correlation` measures it. The
    whiter the residual, the nearer it is to 0: white noise of N pixels gives about
    24 / N for the 24 lags up to 3. The residual of a filter that takes structure away
    is correlated. So, a little, is speckle itself, which is what to compare with:
    0.077 for the paper's point-spread function at 0.4375 mm.

    Parameters
    ----------
    residual : ndarray, shape (Z, X)
        Input minus result, larger than twice ``max_lag`` each way; its mean does not
        matter, nor its scale.
    max_lag : int
        In pixels.

    Returns
    -------
    float
        At least 0; NaN for a constant residual.
    """
    if np.ptp(residual) == 0:
        return float("nan")
    rho = correlation(residual, max_lag)
    return float((np.sum(rho**2) - 1) / 2)


@dataclass(frozen=True)
class ResidualReport:
    """Part of a frame that a filter removed.

    Attributes
    ----------
    mean, std : float
        Of the residual, in its values.
    lengths : (float, float)
        Correlation lengths (axial, lateral) in pixels, medians over windows; 1 for
        white noise, and about the size of a grain for speckle.
    strong_share : float
        Share of the windows where the residual is more than 1.3 times as strong as in
        the median one. Speckle is taken away evenly; near an edge that a filter blurs
        more is gone.
    """

    mean: float
    std: float
    lengths: tuple[float, float]
    strong_share: float

    @property
    def is_white(self) -> bool:
        """Whether neighbouring pixels are as independent as those of white noise."""
        return max(self.lengths) < _WHITE_LENGTH

    @property
    def is_even(self) -> bool:
        """Whether it is about as strong everywhere."""
        return self.strong_share < _EVEN_SHARE


def residual_report(residual: Array) -> ResidualReport | None:
    """Measure what a filter took away of a frame.

    Parameters
    ----------
    residual : ndarray, shape (Z, X)
        Input minus result; pixels that are not finite do not count.

    Returns
    -------
    ResidualReport or None
        None where nothing was taken away, or the frame is smaller than a window of 32
        pixels.
    """
    frame = np.asarray(residual, np.float32)
    if min(frame.shape) < _WINDOW:
        return None
    windows = _varied(_windows(frame, _WINDOW))
    if not len(windows):
        return None
    # Windows all over the frame: more of them take time and tell no more.
    some = windows[:: -(-len(windows) // _MOST_WINDOWS)]
    lengths = [correlation_length(correlation(window, _LAGS)) for window in some]
    axial, lateral = np.median(lengths, axis=0)
    strength = windows.std(axis=(1, 2))
    known = frame[np.isfinite(frame)]
    return ResidualReport(
        mean=float(known.mean(dtype=np.float64)),
        std=float(known.std(dtype=np.float64)),
        lengths=(float(axial), float(lateral)),
        strong_share=float(np.mean(strength > _STRONG_TIMES * np.median(strength))),
    )


def _windows(frame: Array, size: int) -> Array:
    """Cut a frame into square windows side by side, shape (N, size, size)."""
    rows, columns = (n // size for n in frame.shape)
    cut = frame[: rows * size, : columns * size]
    parts = cut.reshape(rows, size, columns, size).swapaxes(1, 2)
    return np.asarray(parts.reshape(-1, size, size))


def _varied(windows: Array) -> Array:
    """Keep the windows that are finite and not constant."""
    finite = np.isfinite(windows).all(axis=(1, 2))
    whole = windows[finite]
    return np.asarray(whole[np.ptp(whole, axis=(1, 2)) > 1e-6])


def amplitude_ratio_db(before: Array, after: Array) -> npt.NDArray[np.float32]:
    """Return the ratio of two linear envelopes, 20 log10(before / after), in dB.

    An amplitude 120 dB below the larger maximum or fainter counts as that.
    """
    _same_shape(before, after)
    peak = max(float(np.max(before)), float(np.max(after))) or 1.0
    floor = peak * 10 ** (SILENCE_DB / 20)
    ratio = np.maximum(before, floor) / np.maximum(after, floor)
    return np.asarray(20 * np.log10(ratio), np.float32)


def mean_bias(result: Array, reference: Array) -> float:
    """Mean of result minus reference, in their values: how far the level was moved."""
    _same_shape(result, reference)
    difference = np.asarray(result, np.float64) - np.asarray(reference, np.float64)
    return float(difference.mean())


def fitted_offset(
    result: Array, reference: Array, region: npt.NDArray[np.bool_] | None = None
) -> float:
    """Return the constant that, added to a result, brings it nearest to a reference.

    In the sense of least squares, which is the mean difference; on decibels it is a
    gain.

    Parameters
    ----------
    result, reference : ndarray, any shape
    region : ndarray of bool, same shape, optional
        Where to compare; everywhere by default.
    """
    _same_shape(result, reference)
    if region is None:
        return mean_bias(reference, result)
    _same_shape(result, region)
    if not region.any():
        raise ValueError("the region in which an offset is to be fitted is empty")
    return mean_bias(np.asarray(reference)[region], np.asarray(result)[region])


def _same_shape(first: Array, second: Array) -> None:
    if np.shape(first) != np.shape(second):
        raise ValueError(f"the shapes {np.shape(first)}, {np.shape(second)} differ")
