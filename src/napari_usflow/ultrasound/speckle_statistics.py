"""Statistics of log-compressed speckle, in theory and measured in an image.

Where many scatterers share a resolution cell (fully developed speckle), the echo is a
complex Gaussian variable: the envelope has a Rayleigh distribution, the intensity an
exponential one, the log-intensity a Gumbel (Fisher-Tippett) one. The mean intensity of
L independent such values, L looks, has a gamma distribution of shape L (J. W. Goodman,
"Speckle Phenomena in Optics", 2007). Everything here is in decibels of intensity,
10 log10, which are 20 log10 of the envelope.
"""

from __future__ import annotations

from math import exp, log, pi, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "BIAS_DB",
    "DB_PER_NAT",
    "ENVELOPE_SNR",
    "SPECKLE_DB",
    "correlation",
    "correlation_length",
    "gaussian_psf_correlation",
    "looks_from_std",
    "looks_mean_db",
    "looks_std_db",
    "tempering_weight",
]

Floats = npt.NDArray[np.float64]

DB_PER_NAT = 10 / log(10)
"""Decibels in a natural-logarithmic unit of intensity: 4.343 dB."""

SPECKLE_DB = DB_PER_NAT * pi / sqrt(6)
"""Standard deviation of fully developed speckle after log compression: 5.570 dB.

The intensity is exponential, its logarithm has a Gumbel distribution.
"""

BIAS_DB = DB_PER_NAT * float(np.euler_gamma)
"""Difference between the mean intensity in dB and the mean of the dB: 2.507 dB.

The intensity of fully developed speckle is exponential and E[ln I] = ln E[I] - gamma.
"""

ENVELOPE_SNR = sqrt(pi / (4 - pi))
"""Mean over standard deviation of the envelope of fully developed speckle: 1.913."""

_LOOKS_LIMITS = (1e-3, 1e6)


def looks_std_db(looks: float) -> float:
    """Standard deviation of the log-compressed mean intensity of L looks, in dB.

    (10 / ln 10) sqrt(psi1(L)), psi1 the trigamma function: 5.570 dB for one look,
    3.488 dB for two.

    Raises
    ------
    ValueError
        When the number of looks is not positive.
    """
    from scipy.special import polygamma

    return DB_PER_NAT * sqrt(float(polygamma(1, _positive(looks))))


def looks_mean_db(looks: float) -> float:
    """Mean of the log-compressed intensity of L looks, in dB above the mean intensity.

    (10 / ln 10) (psi(L) - ln L), psi the digamma function: -2.507 dB for one look,
    -1.174 dB for two; never positive.

    Raises
    ------
    ValueError
        When the number of looks is not positive.
    """
    from scipy.special import digamma

    return DB_PER_NAT * float(digamma(_positive(looks)) - log(looks))


def looks_from_std(std_db: float) -> float:
    """Return the number of looks whose standard deviation is this, see `looks_std_db`.

    Parameters
    ----------
    std_db : float
        Of a homogeneous region, in dB; positive.

    Returns
    -------
    float
        1 for 5.570 dB, below 1 for more; between 0.001 and a million.
    """
    from scipy.optimize import brentq

    few, many = _LOOKS_LIMITS
    _positive(std_db)
    if std_db >= looks_std_db(few):
        return few
    if std_db <= looks_std_db(many):
        return many
    log_looks = brentq(lambda v: looks_std_db(exp(v)) - std_db, log(few), log(many))
    return exp(log_looks)


def correlation(
    region_db: npt.NDArray[Any], max_lag: int | tuple[int, int] = 3
) -> Floats:
    """Measure the normalised autocorrelation of log-compressed speckle.

    Each lag is the mean product of the pairs that far apart. The region's own mean is
    taken off, which lowers every lag by the mean of all of them; that is put back,
    assuming that there is no correlation beyond the lags asked for.

    Parameters
    ----------
    region_db : ndarray, shape (Z, X), dB
        A homogeneous region, finite.
    max_lag : int or (int, int)
        Largest lag (axial, lateral), in pixels.

    Returns
    -------
    ndarray, shape (2 A + 1, 2 L + 1), float64
        1 in the centre, where the lag is zero; point-symmetric.

    Raises
    ------
    ValueError
        When the region is not 2-D, not finite, constant, or not larger than twice the
        largest lag.
    """
    from scipy.signal import correlate

    region = np.asarray(region_db, dtype=np.float64)
    axial, lateral = (int(n) for n in np.broadcast_to(max_lag, 2))
    if min(axial, lateral) < 0:
        raise ValueError(f"a lag cannot be negative, got {max_lag}")
    if (
        region.ndim != 2
        or region.shape[0] <= 2 * axial
        or region.shape[1] <= 2 * lateral
    ):
        raise ValueError(
            f"a region of shape {region.shape} is too small for lags up to "
            f"{axial} x {lateral} pixels; it must be 2-D and larger than twice that"
        )
    if not np.isfinite(region).all():
        raise ValueError("the region has NaN or infinite pixels")
    region = region - region.mean()
    if not np.any(np.abs(region) > 1e-9):
        raise ValueError("the region is constant: there is no speckle in it")
    sums, pairs = (
        correlate(array, array, mode="full", method="fft")[
            region.shape[0] - 1 - axial : region.shape[0] + axial,
            region.shape[1] - 1 - lateral : region.shape[1] + lateral,
        ]
        for array in (region, np.ones_like(region))
    )
    rho = sums / pairs
    rho /= rho[axial, lateral]
    # A mean of N values with a resolution cell of A has the variance A / N; the sum of
    # the K lags as they are is S = (A - K A / N) / (1 - A / N).
    total, share = float(rho.sum()), 1 / region.size
    cell = total / (1 + (total - rho.size) * share)
    lowered = float(np.clip(cell * share, 0.0, 0.5))
    return np.asarray(rho * (1 - lowered) + lowered)


def correlation_length(rho: npt.NDArray[Any]) -> tuple[float, float]:
    """Integral lengths (axial, lateral) of a correlation, in pixels.

    The sum over the lags along each axis: 1 for white noise.

    Parameters
    ----------
    rho : ndarray, shape (2 A + 1, 2 L + 1)
        As :func:`correlation` gives it.
    """
    axial, lateral = (n // 2 for n in rho.shape)
    return float(rho[:, lateral].sum()), float(rho[axial].sum())


def tempering_weight(rho: npt.NDArray[Any]) -> float:
    """Share of an independent sample that a pixel of correlated speckle is worth.

    1 / sum(rho) over all lags: the inverse of the area, in pixels, of a resolution
    cell. A log-likelihood that takes pixels for independent is to be multiplied by it.

    Parameters
    ----------
    rho : ndarray, shape (2 A + 1, 2 L + 1)
        Correlation of the log-compressed speckle, not of its intensity.

    Returns
    -------
    float
        In (0, 1]; 1 for white speckle.
    """
    return 1 / max(float(np.sum(rho)), 1.0)


def gaussian_psf_correlation(
    max_lag: int | tuple[int, int],
    *,
    pixel_size_mm: float | tuple[float, float],
    sigma_mm: tuple[float, float],
) -> Floats:
    """Autocorrelation of log-compressed speckle under a Gaussian point-spread function.

    The echo's autocorrelation is g = exp(-t^2 / (4 sigma^2)), that of the intensity
    g^2, and that of the log-intensity Li2(g^2) / Li2(1), Li2 the dilogarithm: the
    covariance of the logarithms of two correlated exponential variables (Goodman 2007).

    Parameters
    ----------
    max_lag : int or (int, int)
        Largest lag (axial, lateral), in pixels.
    pixel_size_mm : float or (float, float)
        Distance between pixels (axial, lateral) that are sampled, not averaged.
    sigma_mm : (float, float)
        Standard deviations (axial, lateral) of the function's envelope.

    Returns
    -------
    ndarray, shape (2 A + 1, 2 L + 1), float64
        1 in the centre.
    """
    from scipy.special import spence

    lags, sizes = np.broadcast_to(max_lag, 2), np.broadcast_to(pixel_size_mm, 2)
    axial, lateral = (
        np.exp(-((np.arange(-n, n + 1) * size / sigma) ** 2) / 4)
        for n, size, sigma in zip(lags, sizes, sigma_mm, strict=True)
    )
    intensity = np.outer(axial, lateral) ** 2
    # scipy's spence(x) is Li2(1 - x).
    return np.asarray(spence(1 - intensity) / (pi**2 / 6))


def _positive(number: float) -> float:
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"expected a positive number, got {number!r}")
    return float(number)
