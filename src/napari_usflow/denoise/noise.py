"""How strong the noise of an image is, measured in the image itself.

Two estimators, because no single one is right for both kinds of noise: white noise
is read from the finest diagonal wavelets, which see almost no structure; speckle is
correlated, these wavelets miss most of it, and the spread within small windows is
read instead. Both work at the pixel at which the image is denoised.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt

from napari_usflow.denoise.contract import Frame
from napari_usflow.ultrasound.speckle_statistics import correlation

__all__ = [
    "SPECKLE_LIMITS_DB",
    "speckle_correlation",
    "speckle_std",
    "white_noise_std",
]

SPECKLE_LIMITS_DB = (2.0, 7.0)
"""What is believed of an estimate on beamformed data.

Averaging L looks (compounding, smoothing) brings speckle down to
(10 / ln 10) sqrt(psi1(L)): 3.5 dB for two, 2.3 dB for four. More than 7 dB is not
speckle but structure, such as side lobes in a void.
"""

WINDOW = 7
_CORRELATION_WINDOW = 16
_MAD_OF_NORMAL = 0.6745

_R3, _NORM = sqrt(3.0), 4 * sqrt(2.0)
_DB2_HIGH_PASS = (
    (1 - _R3) / _NORM,
    -(3 - _R3) / _NORM,
    (3 + _R3) / _NORM,
    -(1 + _R3) / _NORM,
)


def white_noise_std(images: Sequence[Frame]) -> float:
    """Estimate the standard deviation of white noise.

    The median magnitude of the finest diagonal coefficients of the Daubechies-2
    wavelet transform, divided by 0.6745 (Donoho and Johnstone 1994).

    Parameters
    ----------
    images : sequence of ndarray, shape (Z, X)
        Images with the same noise; their coefficients are pooled.

    Returns
    -------
    float
        In the images' values; 0 when none is at least 4 by 4 pixels.
    """
    pooled = [_diagonal_detail(image).ravel() for image in images]
    magnitudes = np.abs(np.concatenate(pooled)) if pooled else np.empty(0)
    return float(np.median(magnitudes)) / _MAD_OF_NORMAL if magnitudes.size else 0.0


def speckle_std(images: Sequence[Frame], above: float | None = None) -> float:
    """Estimate the standard deviation of log-compressed speckle.

    Homogeneous regions share one spread whatever their brightness, and edges have
    all kinds of larger ones. So the most frequent standard deviation within windows
    of 7 by 7 pixels is sought; the result is the root mean square of those within a
    third of it, as the mode alone lies below the spread of the skewed distribution.
    Windows that are nearly constant (outside the sector, clipped) do not count.

    Parameters
    ----------
    images : sequence of ndarray, shape (Z, X)
        Images with the same noise, log-compressed.
    above : float, optional
        Windows with a lower mean do not count, unless none that varies has a higher
        one: near black, the grey maps of scanners are flat and clip.

    Returns
    -------
    float
        In the images' values; 0 when there is no window that varies.
    """
    pooled = [_windows(image) for image in images if min(image.shape) >= WINDOW]
    means, spreads = np.concatenate(pooled, axis=1) if pooled else np.empty((2, 0))
    varies = spreads > 1e-3 * spreads.max(initial=0.0)
    bright = varies if above is None else varies & (means >= above)
    spreads = spreads[bright if bright.any() else varies]
    if spreads.size == 0:
        return 0.0
    # Spreads live on a logarithmic scale: bins of 5 %, smoothed over five.
    bins = np.round(np.log(spreads) / 0.05).astype(int)
    counts = np.convolve(np.bincount(bins - bins.min()), np.ones(5), mode="same")
    mode = np.exp(0.05 * (int(np.argmax(counts)) + bins.min()))
    near = spreads[np.abs(spreads / mode - 1) < 1 / 3]
    return float(np.sqrt(np.mean(near**2)))


def speckle_correlation(image: Frame, max_lag: int = 3) -> npt.NDArray[np.float64]:
    """Estimate the autocorrelation of log-compressed speckle from a whole image.

    The mean over the windows of 16 by 16 pixels (more for long lags) whose spread is
    within a third of that of the speckle, see :func:`speckle_std`; the others hold
    edges, or nothing.

    Parameters
    ----------
    image : ndarray, shape (Z, X)
        Log-compressed.
    max_lag : int
        Largest lag along either axis, in pixels.

    Returns
    -------
    ndarray, shape (2 max_lag + 1, 2 max_lag + 1), float64
        As :func:`~napari_usflow.ultrasound.speckle_statistics.correlation` gives it of
        a region.

    Raises
    ------
    ValueError
        When the image has no such window.
    """
    side = max(_CORRELATION_WINDOW, 4 * max_lag + 1)
    level = speckle_std([image])
    windows = (
        np.asarray(image[z : z + side, x : x + side], dtype=np.float64)
        for z in range(0, image.shape[0] - side + 1, side // 2)
        for x in range(0, image.shape[1] - side + 1, side // 2)
    )
    kept = [w for w in windows if level > 0 and abs(w.std(ddof=1) / level - 1) < 1 / 3]
    if not kept:
        raise ValueError(
            f"an image of {image.shape[0]} x {image.shape[1]} pixels has no "
            f"homogeneous window of {side} x {side} to measure the correlation of its "
            "speckle in; choose a region by hand"
        )
    total = sum(correlation(window, max_lag) for window in kept)
    return np.asarray(total / len(kept))


def _diagonal_detail(image: Frame) -> npt.NDArray[np.float64]:
    """Finest high-high coefficients, without those that would need padding."""
    detail = np.asarray(image, dtype=np.float64)
    for axis in (0, 1):
        count = max((detail.shape[axis] - 2) // 2, 0)
        taps = [
            tap * np.take(detail, np.arange(count) * 2 + shift, axis=axis)
            for shift, tap in enumerate(_DB2_HIGH_PASS)
        ]
        detail = sum(taps[1:], start=taps[0])
    return detail


def _windows(image: Frame) -> npt.NDArray[np.float64]:
    """Mean and sample standard deviation of windows at every second pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(
        np.asarray(image, dtype=np.float64), (WINDOW, WINDOW)
    )[::2, ::2]
    mean, spread = windows.mean(axis=(2, 3)), windows.std(axis=(2, 3), ddof=1)
    return np.stack([mean.ravel(), spread.ravel()])
