"""Figures of merit: contrast, speckle, resolution and distance to a reference.

Formulas on samples and profiles, no matter where they were taken; for the targets of a
phantom see :mod:`~napari_usflow.evaluate.phantom_scores`. "The challenge" is PICMUS
(Liebgott et al., IEEE IUS 2016).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "cnr",
    "contrast_db",
    "edge_width",
    "enl",
    "gcnr",
    "psnr",
    "region_mean",
    "speckle_snr",
    "ssim",
    "width_at_drop",
]

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_FWHM_DROP_DB = 6.0
_FWHM_OVERSAMPLING = 10


def contrast_db(inside: Array, outside: Array) -> float:
    """Contrast of two regions as the challenge defines it.

    20 log10(|mean_in - mean_out| / sqrt((var_in + var_out) / 2)), both variances
    unbiased.

    Parameters
    ----------
    inside, outside : ndarray, any shape, dB
        Values of the two regions, at least two each.

    Returns
    -------
    float
        Decibels; -inf for equal means, inf for two flat regions.
    """
    _need(inside, outside, count=2)
    difference = abs(float(np.mean(inside)) - float(np.mean(outside)))
    spread = np.sqrt((np.var(inside, ddof=1) + np.var(outside, ddof=1)) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(20 * np.log10(np.divide(difference, spread)))


def cnr(inside: Array, outside: Array) -> float:
    """Contrast-to-noise ratio |mean_in - mean_out| / sqrt(var_in + var_out).

    For two regions of fully developed speckle D dB apart it is D / 7.877 on decibels,
    as each has a standard deviation of 5.570 dB.
    """
    _need(inside, outside, count=1)
    difference = abs(float(np.mean(inside)) - float(np.mean(outside)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(difference, np.hypot(np.std(inside), np.std(outside))))


def gcnr(inside: Array, outside: Array) -> float:
    """Generalized contrast-to-noise ratio: 1 minus the overlap of two histograms.

    1 - sum(min(p_in, p_out)) = sum(abs(p_in - p_out)) / 2 (A. Rodriguez-Molares et al.,
    IEEE Trans. UFFC 67(4), 2020). About sqrt(n) bins, n pixels in the smaller region,
    hold equal shares of the pixels of both, and one edge lies where the distribution
    functions differ most. So the result is the same on decibels, amplitudes and grey
    levels.

    Histograms of few pixels differ by chance: those of two equal regions of 400 pixels
    by 0.13. The expected part of that is subtracted. Pixels count as independent: where
    the grain is wider than a pixel, small regions still score too high. A result of few
    grey levels saturates the measure at 1; read it beside a measure of resolution.

    Parameters
    ----------
    inside, outside : ndarray, any shape
        Values of the two regions, at least one each.

    Returns
    -------
    float
        0 (the same distribution) to 1 (disjoint).
    """
    _need(inside, outside, count=1)
    sizes = np.size(inside), np.size(outside)
    values = np.concatenate([np.ravel(inside), np.ravel(outside)])
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    within = np.bincount(place.ravel()[: sizes[0]], minlength=counts.size)
    bins = _equal_bins(within, counts, math.ceil(math.sqrt(min(sizes))))
    p_in, p_out = (
        np.bincount(bins, weights=part) / size
        for part, size in zip((within, counts - within), sizes, strict=True)
    )
    if not np.minimum(p_in, p_out).any():
        return 1.0
    difference = np.abs(p_in - p_out)
    shares = np.bincount(bins, weights=counts) / values.size
    variance = shares * (1 - shares) * (1 / sizes[0] + 1 / sizes[1])
    return max(0.0, float(difference.sum() - _by_chance(difference, variance)) / 2)


def _equal_bins(within: Array, counts: Array, number: int) -> Array:
    """Bin of each distinct value, rising, in about ``number`` bins of equal counts.

    ``counts`` pixels have each value, ``within`` of them in the first region. The bins
    are laid out to either side of the value where the distribution functions of the
    two regions differ most: disjoint regions share no bin.
    """
    outside = counts - within
    distance = np.cumsum(within) / within.sum() - np.cumsum(outside) / outside.sum()
    middle = int(np.abs(distance).argmax()) + 1
    bins: list[Array] = []
    first = 0
    for part in (counts[:middle], counts[middle:]):
        count = int(part.sum())
        parts = max(1, round(number * count / counts.sum()))
        # Equal values share a bin, that of the middle of their ranks.
        ranks = (np.cumsum(part) - part / 2) / max(count, 1)
        bins.append(first + np.floor(parts * ranks).astype(np.intp))
        first += parts
    return np.concatenate(bins)


def _by_chance(difference: Array, variance: Array) -> float:
    """Sum by which chance raises the absolute differences of two histograms.

    Of d ~ N(m, s^2) the mean of abs(d) exceeds abs(m) by 2 s (phi(z) - z Phi(-z)),
    z = abs(m) / s. For the unknown m the differences stand, shrunk by the share of
    their sum of squares that chance explains, within three standard deviations of a
    chi-squared sum (W. James and C. Stein, Proc. 4th Berkeley Symp., 1961).
    """
    from scipy.special import ndtr

    seen = variance > 0
    deviation, observed = np.sqrt(variance[seen]), difference[seen]
    squares = float(np.sum(observed**2))
    chance = float(variance.sum()) * (1 + 3 * math.sqrt(2 / max(1, observed.size)))
    share = 1 - chance / squares if squares > chance else 0.0
    z = share * observed / deviation
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return float(np.sum(2 * deviation * (density - z * ndtr(-z))))


def speckle_snr(envelope: Array) -> float:
    """Mean over standard deviation of a linear envelope, sqrt(pi / (4 - pi)) = 1.913.

    That value is the one of fully developed (Rayleigh) speckle; despeckling raises it.

    Parameters
    ----------
    envelope : ndarray, any shape, linear amplitude >= 0
        Samples of a homogeneous region, at least two.
    """
    _need(envelope, count=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(np.mean(envelope), np.std(envelope, ddof=1)))


def enl(intensity: Array) -> float:
    """Equivalent number of looks, mean^2 / variance of a linear intensity.

    1 for fully developed speckle, L for the mean of L independent looks.
    """
    _need(intensity, count=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.divide(np.mean(intensity) ** 2, np.var(intensity, ddof=1))
    return float(ratio)


def region_mean(frame: Array, region: Mask) -> float:
    """Mean of a frame over a region, in the frame's values."""
    values = np.asarray(frame)[region]
    _need(values, count=1)
    return float(values.mean(dtype=np.float64))


def psnr(result: Array, reference: Array, *, data_range: float) -> float:
    """Peak signal-to-noise ratio, 10 log10(data_range^2 / mean squared difference).

    Nothing is clipped. Identical arrays give inf.

    Parameters
    ----------
    result, reference : ndarray, of one shape
        In the same values.
    data_range : float
        Distance between the smallest and the largest possible value: 60 of decibels
        over 60 dB, 1 of values in [0, 1].

    Returns
    -------
    float
        Decibels.

    Raises
    ------
    ValueError
        When the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> reference = np.zeros((20, 20))
    >>> round(usf.psnr(reference + 6, reference, data_range=60), 1)
    20.0
    """
    _same_shape(result, reference)
    difference = np.asarray(result, np.float64) - np.asarray(reference, np.float64)
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.divide(data_range**2, np.mean(difference**2))))


def ssim(result: Array, reference: Array, *, data_range: float) -> float:
    """Structural similarity with the settings of Wang et al. (IEEE TIP 13(4), 2004).

    Gaussian weights of standard deviation 1.5 pixels, population covariance.

    Parameters
    ----------
    result, reference : ndarray, shape (Z, X)
        Frames in the same values, at least 11 pixels each way.
    data_range : float
        Distance between the smallest and the largest possible value.

    Returns
    -------
    float
        At most 1, of equal frames.

    Raises
    ------
    ValueError
        When the shapes differ, or the frames are smaller.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> frame = np.random.default_rng(0).random((32, 32))
    >>> round(usf.ssim(frame, frame, data_range=1), 3)
    1.0
    """
    from skimage.metrics import structural_similarity

    similarity: Any = structural_similarity
    _same_shape(result, reference)
    return float(
        similarity(
            np.asarray(reference, np.float64),
            np.asarray(result, np.float64),
            data_range=data_range,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def width_at_drop(
    profile_db: Array, positions_mm: Array, *, drop_db: float = _FWHM_DROP_DB
) -> float:
    """Width of a peak as the challenge measures it, in mm.

    The profile is interpolated linearly to ten times as many samples; the width is the
    distance between the first and the last that lie at most ``drop_db`` below the
    maximum (6 dB: full width at half maximum of the amplitude).

    Parameters
    ----------
    profile_db : ndarray, shape (n,), dB
    positions_mm : ndarray, shape (n,), rising
    """
    profile, positions = np.asarray(profile_db), np.asarray(positions_mm)
    _same_shape(profile, positions)
    fine = np.linspace(positions[0], positions[-1], _FWHM_OVERSAMPLING * positions.size)
    values = np.interp(fine, positions, profile)
    above = np.flatnonzero(values >= values.max() - drop_db)
    return float(fine[above[-1]] - fine[above[0]])


def edge_width(profile: Array, positions_mm: Array, *, plateau: float = 0.2) -> float:
    """Distance over which an edge goes from 10 % to 90 % of its step, in mm.

    Parameters
    ----------
    profile : ndarray, shape (n,)
        Values across the edge, rising or falling.
    positions_mm : ndarray, shape (n,), rising
    plateau : float
        Share of the samples at either end whose medians are the two levels.

    Returns
    -------
    float
        From the half-way crossing outwards to the nearest 10 % and 90 % crossings,
        linearly interpolated; NaN where there is no step.
    """
    profile = np.asarray(profile, np.float64)
    positions = np.asarray(positions_mm, np.float64)
    _same_shape(profile, positions)
    count = max(1, round(plateau * profile.size))
    low, high = np.median(profile[:count]), np.median(profile[-count:])
    if low == high:
        return float("nan")
    step = (profile - low) / (high - low)
    middle = int(np.argmax(step >= 0.5))
    below = np.flatnonzero(step[:middle] <= 0.1)
    above = np.flatnonzero(step[middle:] >= 0.9)
    if below.size == 0 or above.size == 0:
        return float("nan")
    before, after = int(below[-1]), middle + int(above[0])
    ends = []
    for level, i in ((0.1, before), (0.9, after - 1)):
        share = (level - step[i]) / (step[i + 1] - step[i])
        ends.append(positions[i] + share * (positions[i + 1] - positions[i]))
    return float(ends[1] - ends[0])


def _need(*regions: Array, count: int) -> None:
    if any(np.size(region) < count for region in regions):
        raise ValueError(f"a region needs at least {count} pixels")


def _same_shape(first: Array, second: Array) -> None:
    if np.shape(first) != np.shape(second):
        raise ValueError(f"the shapes {np.shape(first)}, {np.shape(second)} differ")
