"""Figures of merit against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from napari_usflow.evaluate.metrics import (
    cnr,
    contrast_db,
    edge_width,
    enl,
    gcnr,
    psnr,
    region_mean,
    speckle_snr,
    ssim,
    width_at_drop,
)

COUNT = 400_000


def speckle_db(
    rng: np.random.Generator, level_db: float, count: int = COUNT
) -> np.ndarray:
    """Fully developed speckle: an exponential intensity, in decibels."""
    return level_db + 10 * np.log10(rng.exponential(size=count))


@pytest.mark.parametrize("level_db", [6.0, 10.0, 20.0])
def test_gcnr_of_two_exponential_regions(level_db: float) -> None:
    rng = np.random.default_rng(0)
    r = 10 ** (level_db / 10)
    # The densities cross where the intensity is ln(r) / (1 - 1/r).
    expected = r ** (-1 / (r - 1)) - r ** (-r / (r - 1))

    found = gcnr(speckle_db(rng, 0), speckle_db(rng, -level_db))

    assert found == pytest.approx(expected, abs=0.005)


def test_gcnr_does_not_change_when_the_sides_do() -> None:
    rng = np.random.default_rng(1)
    first, second = speckle_db(rng, 0), speckle_db(rng, -10)

    assert gcnr(first, second) == gcnr(second, first)


@pytest.mark.parametrize("level_db", [3.0, 6.0, 10.0, 20.0])
def test_gcnr_of_small_regions_is_that_of_large_ones(level_db: float) -> None:
    r = 10 ** (level_db / 10)
    expected = r ** (-1 / (r - 1)) - r ** (-r / (r - 1))
    scores = [
        gcnr(
            speckle_db(np.random.default_rng(seed), 0, 400),
            speckle_db(np.random.default_rng(1000 + seed), -level_db, 400),
        )
        for seed in range(100)
    ]

    # Three standard errors of the mean (0.035 / 10), and 0.01 of bias.
    assert np.mean(scores) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("sizes", [(400, 400), (400, 4000), (2000, 2000)])
def test_gcnr_of_two_equal_small_regions_is_none(sizes: tuple[int, int]) -> None:
    scores = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        regions = (speckle_db(rng, 0, size) for size in sizes)
        scores.append(gcnr(*regions))

    assert np.mean(scores) < 0.02
    assert np.quantile(scores, 0.9) < 0.05


def test_gcnr_is_the_same_on_decibels_amplitudes_and_unequal_sizes() -> None:
    rng = np.random.default_rng(7)
    bright, dark = speckle_db(rng, 0, 500), speckle_db(rng, -10, 2000)

    assert gcnr(10 ** (bright / 20), 10 ** (dark / 20)) == gcnr(bright, dark)
    assert gcnr(bright, dark) == gcnr(dark, bright)


def test_gcnr_tells_spreads_apart_where_means_are_equal() -> None:
    rng = np.random.default_rng(8)
    narrow, wide = rng.normal(0, 1, COUNT), rng.normal(0, 3, COUNT)
    # The densities cross at +-c, c^2 = 2 ln 3 / (1 - 1/9).
    c = np.sqrt(2 * np.log(3) / (1 - 1 / 9))
    expected = erf(c / np.sqrt(2)) - erf(c / 3 / np.sqrt(2))

    assert gcnr(narrow, wide) == pytest.approx(expected, abs=0.005)


def test_gcnr_at_its_ends() -> None:
    assert gcnr(np.arange(10.0), np.arange(10.0)) == 0
    assert gcnr(np.zeros(5), np.ones(7)) == 1
    assert gcnr(np.zeros(1), np.ones(9)) == 1
    assert gcnr(np.arange(500.0), 1000 + np.arange(2000.0)) == 1
    assert gcnr(np.zeros(5), np.zeros(3)) == 0


@pytest.mark.parametrize("level_db", [5.0, 20.0])
def test_cnr_of_developed_speckle_on_decibels(level_db: float) -> None:
    rng = np.random.default_rng(2)
    # std of log speckle: (10 / ln 10) pi / sqrt(6) = 5.570 dB in each region
    expected = level_db / (np.sqrt(2) * 10 / np.log(10) * np.pi / np.sqrt(6))

    found = cnr(speckle_db(rng, -level_db), speckle_db(rng, 0))

    assert found == pytest.approx(expected, rel=0.01)
    assert expected == pytest.approx(level_db / 7.877, rel=1e-4)


def test_contrast_of_developed_speckle_on_decibels() -> None:
    rng = np.random.default_rng(3)

    found = contrast_db(speckle_db(rng, -20), speckle_db(rng, 0))

    assert found == pytest.approx(20 * np.log10(20 / 5.570), abs=0.05)


def test_contrast_takes_unbiased_variances() -> None:
    # means 1 and 11, unbiased variances 2 and 2 (biased: 1 and 1)
    found = contrast_db(np.array([0.0, 2.0]), np.array([10.0, 12.0]))

    assert found == pytest.approx(20 * np.log10(10 / np.sqrt(2)))


def test_contrast_of_flat_regions_is_infinite() -> None:
    assert contrast_db(np.zeros(3), np.ones(3)) == np.inf
    assert contrast_db(np.arange(3.0), np.arange(3.0)) == -np.inf


def test_speckle_snr_of_a_rayleigh_envelope() -> None:
    envelope = np.random.default_rng(4).rayleigh(size=COUNT)

    assert speckle_snr(envelope) == pytest.approx(
        np.sqrt(np.pi / (4 - np.pi)), rel=0.01
    )
    assert np.sqrt(np.pi / (4 - np.pi)) == pytest.approx(1.913, abs=1e-3)


@pytest.mark.parametrize("looks", [1, 4])
def test_equivalent_number_of_looks(looks: int) -> None:
    rng = np.random.default_rng(5)

    intensity = rng.exponential(size=(looks, COUNT)).mean(axis=0)

    assert enl(intensity) == pytest.approx(looks, rel=0.02)


def test_psnr_is_the_range_over_the_error() -> None:
    reference = np.zeros((20, 20))

    assert psnr(reference + 0.1, reference, data_range=1) == pytest.approx(20)
    assert psnr(reference + 6, reference, data_range=60) == pytest.approx(20)
    assert psnr(reference, reference, data_range=1) == np.inf


def test_psnr_does_not_clip() -> None:
    assert psnr(np.full(4, 2.0), np.zeros(4), data_range=1) == pytest.approx(
        -20 * np.log10(2)
    )


def test_ssim_of_a_constant_offset() -> None:
    # Flat images leave only the luminance term, (2ab + c) / (a^2 + b^2 + c).
    a, b, c = 0.6, 0.4, 0.01**2

    found = ssim(np.full((16, 16), a), np.full((16, 16), b), data_range=1)

    assert found == pytest.approx((2 * a * b + c) / (a**2 + b**2 + c))


def test_ssim_of_an_image_with_itself_and_its_negative() -> None:
    frame = 0.5 + 0.1 * np.random.default_rng(6).normal(size=(32, 32))

    assert ssim(frame, frame, data_range=1) == pytest.approx(1)
    assert ssim(1 - frame, frame, data_range=1) < -0.5


def test_ssim_scales_with_the_range() -> None:
    rng = np.random.default_rng(7)
    frame, other = rng.normal(size=(2, 32, 32))

    assert ssim(60 * frame, 60 * other, data_range=60) == pytest.approx(
        ssim(frame, other, data_range=1)
    )


@given(st.floats(0.3, 1.0), st.floats(-0.5, 0.5), st.floats(-80, 0))
def test_width_of_a_gaussian_peak(fwhm: float, centre: float, top: float) -> None:
    x = np.linspace(-1.8, 1.8, 52)
    # A Gaussian amplitude is a parabola in decibels; 6 dB down it is as wide as
    # fwhm sqrt(6 / 6.0206), 6.0206 dB being one half.
    profile = top - 20 * np.log10(2) * (2 * (x - centre) / fwhm) ** 2
    step = x[1] - x[0]

    found = width_at_drop(profile, x)

    # Straight lines cut the top of the peak off, by at most the parabola's sagitta;
    # two ends, each one interpolated sample.
    assert found == pytest.approx(
        fwhm * np.sqrt(6 / 6.0206), abs=0.2 * step + 0.3 * step
    )


def test_width_of_a_triangle_is_exact_to_one_interpolated_sample() -> None:
    x = np.linspace(-2, 2, 41)

    found = width_at_drop(-20 * np.abs(x), x)

    assert found == pytest.approx(2 * 6 / 20, abs=4 / 409)


def test_width_reaches_to_the_outermost_sample_above_the_drop() -> None:
    x = np.arange(7.0)
    two_peaks = np.array([-40, 0, -40, -40, -40, -3, -40.0])

    assert width_at_drop(two_peaks, x) > 3.9


@pytest.mark.parametrize("direction", [1, -1])
def test_edge_width_of_a_ramp_is_four_fifths_of_it(direction: int) -> None:
    x = np.linspace(0, 10, 101)
    profile = direction * np.clip((x - 4) / 2, 0, 1)

    assert edge_width(profile, x) == pytest.approx(0.8 * 2)


def test_edge_width_of_a_blurred_step() -> None:
    x = np.linspace(-5, 5, 401)
    profile = -40 + 30 * (1 + erf(x / (0.5 * np.sqrt(2)))) / 2

    # 10 % and 90 % of a Gaussian integral lie 2 * 1.2816 standard deviations apart.
    assert edge_width(profile, x) == pytest.approx(2 * 1.28155 * 0.5, rel=1e-3)


@pytest.mark.parametrize("profile", [np.zeros(10), np.r_[np.zeros(5), np.full(5, 0.0)]])
def test_no_edge_has_no_width(profile) -> None:
    assert np.isnan(edge_width(profile, np.arange(10.0)))


def test_region_mean_is_taken_over_the_region() -> None:
    frame = np.array([[1.0, 2.0], [30.0, 4.0]])

    assert region_mean(frame, frame < 5) == pytest.approx(7 / 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: contrast_db(np.zeros(1), np.zeros(5)),
        lambda: gcnr(np.zeros(0), np.zeros(5)),
        lambda: speckle_snr(np.ones(1)),
        lambda: region_mean(np.zeros((2, 2)), np.zeros((2, 2), bool)),
    ],
)
def test_too_few_pixels_are_refused(call) -> None:
    with pytest.raises(ValueError, match="a region needs at least"):
        call()


def test_frames_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        psnr(np.zeros((2, 3)), np.zeros((3, 2)), data_range=1)
