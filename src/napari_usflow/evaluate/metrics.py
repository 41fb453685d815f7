"""Figures of merit: contrast, speckle, resolution and distance to a reference.

Formulas on samples and profiles, no matter where they were taken; for the targets of a
phantom see :mod:`~napari_usflow.evaluate.phantom_scores`. "The challenge" is PICMUS
(Liebgott et al., IEEE IUS 2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "GCNR_BINS",
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

GCNR_BINS = 256
"""Common bins of the two histograms; few samples in many bins bias gCNR upwards."""

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


def gcnr(inside: Array, outside: Array, *, bins: int = GCNR_BINS) -> float:
    """Generalized contrast-to-noise ratio, 1 - sum(min(p_in, p_out)).

    The two histograms share ``bins`` equal bins over the range of both regions
    (A. Rodriguez-Molares et al., IEEE Trans. UFFC 67(4), 2020). An output of few grey
    levels saturates it at 1: read it beside a measure of resolution.

    Returns
    -------
    float
        0 (the same distribution) to 1 (disjoint).
    """
    _need(inside, outside, count=1)
    low = float(min(np.min(inside), np.min(outside)))
    high = float(max(np.max(inside), np.max(outside)))
    shares = [
        np.histogram(region, bins=bins, range=(low, high))[0] / np.size(region)
        for region in (inside, outside)
    ]
    return float(1 - np.minimum(*shares).sum())


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
