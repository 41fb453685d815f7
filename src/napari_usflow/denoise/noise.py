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

__all__ = ["SPECKLE_DB", "SPECKLE_LIMITS_DB", "speckle_std", "white_noise_std"]

SPECKLE_DB = 10 / np.log(10) * np.pi / sqrt(6)
"""Standard deviation of fully developed speckle after log compression: 5.570 dB.

The intensity is exponential, its logarithm has a Gumbel distribution.
"""

SPECKLE_LIMITS_DB = (2.0, 7.0)
"""What is believed of an estimate on beamformed data.

Averaging L looks (compounding, smoothing) brings speckle down to
(10 / ln 10) sqrt(psi1(L)): 3.5 dB for two, 2.3 dB for four. More than 7 dB is not
speckle but structure, such as side lobes in a void.
"""

WINDOW = 7
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


def speckle_std(images: Sequence[Frame]) -> float:
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

    Returns
    -------
    float
        In the images' values; 0 when there is no window that varies.
    """
    pooled = [_window_std(image) for image in images if min(image.shape) >= WINDOW]
    spreads = np.concatenate(pooled) if pooled else np.empty(0)
    spreads = spreads[spreads > 1e-3 * spreads.max(initial=0.0)]
    if spreads.size == 0:
        return 0.0
    # Spreads live on a logarithmic scale: bins of 5 %, smoothed over five.
    bins = np.round(np.log(spreads) / 0.05).astype(int)
    counts = np.convolve(np.bincount(bins - bins.min()), np.ones(5), mode="same")
    mode = np.exp(0.05 * (int(np.argmax(counts)) + bins.min()))
    near = spreads[np.abs(spreads / mode - 1) < 1 / 3]
    return float(np.sqrt(np.mean(near**2)))


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


def _window_std(image: Frame) -> npt.NDArray[np.float64]:
    """Sample standard deviation of windows at every second pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(
        np.asarray(image, dtype=np.float64), (WINDOW, WINDOW)
    )
    return np.asarray(windows[::2, ::2].std(axis=(2, 3), ddof=1)).ravel()
