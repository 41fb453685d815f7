"""Figures of fully developed speckle, against closed forms and drawn samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import gumbel_l, rayleigh

from napari_usflow.ultrasound.speckle_statistics import (
    BIAS_DB,
    ENVELOPE_SNR,
    SPECKLE_DB,
    correlation,
    correlation_length,
    gaussian_psf_correlation,
    looks_from_std,
    looks_mean_db,
    looks_std_db,
    tempering_weight,
)


def log_speckle(shape: tuple[int, int], seed: int, psf_px: float = 0.0) -> np.ndarray:
    """Log-compressed intensity of a complex Gaussian field, in dB."""
    field = np.random.default_rng(seed).standard_normal((2, *shape))
    if psf_px:
        field = gaussian_filter(field, (0, psf_px, psf_px), mode="wrap")
    return 10 * np.log10((field**2).sum(axis=0))


def test_constants_are_those_of_the_gumbel_and_rayleigh_distributions() -> None:
    in_db = 10 / np.log(10)

    # The logarithm of an exponential variable has the Gumbel distribution of minima.
    assert pytest.approx(in_db * gumbel_l.std()) == SPECKLE_DB
    assert pytest.approx(-in_db * gumbel_l.mean()) == BIAS_DB
    assert pytest.approx(rayleigh.mean() / rayleigh.std()) == ENVELOPE_SNR
    assert pytest.approx((5.570, 2.507, 1.913), abs=5e-4) == (
        SPECKLE_DB,
        BIAS_DB,
        ENVELOPE_SNR,
    )


@pytest.mark.parametrize("looks", [0.5, 1, 2, 4.3, 16])
def test_looks_are_those_of_the_gamma_distribution(looks: float) -> None:
    rng = np.random.default_rng(int(10 * looks))
    intensity = rng.gamma(looks, 1 / looks, size=400_000)
    drawn_db = 10 * np.log10(intensity)

    assert looks_std_db(looks) == pytest.approx(drawn_db.std(), rel=0.01)
    assert looks_mean_db(looks) == pytest.approx(drawn_db.mean(), abs=0.05)


def test_one_look_is_fully_developed_speckle() -> None:
    assert looks_std_db(1) == pytest.approx(5.570, abs=5e-4)
    assert looks_mean_db(1) == pytest.approx(-2.507, abs=5e-4)


@pytest.mark.parametrize("looks", [0.01, 0.7, 1.0, 3.0, 1000.0])
def test_number_of_looks_is_found_from_the_spread(looks: float) -> None:
    assert looks_from_std(looks_std_db(looks)) == pytest.approx(looks, rel=1e-6)


def test_looks_beyond_what_can_be_told_are_the_limits() -> None:
    assert looks_from_std(1e-9) == 1e6
    assert looks_from_std(1e9) == 1e-3


@pytest.mark.parametrize("function", [looks_std_db, looks_mean_db, looks_from_std])
@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_looks_and_spreads_are_positive(function, wrong: float) -> None:
    with pytest.raises(ValueError, match="expected a positive number"):
        function(wrong)


def test_white_speckle_is_uncorrelated() -> None:
    rho = correlation(log_speckle((96, 80), 0), (2, 3))

    assert rho.shape == (5, 7)
    assert rho[2, 3] == pytest.approx(1)
    rho[2, 3] = 0
    assert np.abs(rho).max() < 0.05  # 1 / sqrt(7680) = 0.011 each
    np.testing.assert_allclose(rho, rho[::-1, ::-1])


@pytest.mark.parametrize("psf_px", [0.8, 1.2])
def test_correlation_is_that_of_the_point_spread_function(psf_px: float) -> None:
    regions = [log_speckle((192, 192), seed, psf_px) for seed in range(3)]

    rho = np.mean([correlation(region, 4) for region in regions], axis=0)

    expected = gaussian_psf_correlation(4, pixel_size_mm=1, sigma_mm=(psf_px, psf_px))
    np.testing.assert_allclose(rho, expected, atol=0.03)
    assert tempering_weight(rho) == pytest.approx(tempering_weight(expected), rel=0.07)


def test_taking_off_the_mean_of_a_small_region_is_made_up_for() -> None:
    field = log_speckle((480, 480), 3, psf_px=1.0)
    blocks = field.reshape(24, 20, 24, 20).swapaxes(1, 2).reshape(-1, 20, 20)

    rho = np.mean([correlation(block, 4) for block in blocks], axis=0)

    expected = gaussian_psf_correlation(4, pixel_size_mm=1, sigma_mm=(1, 1))
    np.testing.assert_allclose(rho, expected, atol=0.03)


def test_axial_and_lateral_lags_are_not_confused() -> None:
    field = np.random.default_rng(4).standard_normal((2, 128, 128))
    field = gaussian_filter(field, (0, 2.0, 0.0), mode="wrap")
    rho = correlation(10 * np.log10((field**2).sum(axis=0)), 6)

    axial, lateral = correlation_length(rho)

    assert axial > 3
    assert lateral == pytest.approx(1, abs=0.3)


def test_closed_form_has_the_values_of_the_dilogarithm() -> None:
    # Li2(1/2) = pi^2 / 12 - ln(2)^2 / 2; the intensity's correlation is 1/2 where
    # t^2 / (2 sigma^2) = ln 2.
    half_way = np.sqrt(2 * np.log(2))

    rho = gaussian_psf_correlation((1, 0), pixel_size_mm=half_way, sigma_mm=(1, 1))

    expected = (np.pi**2 / 12 - np.log(2) ** 2 / 2) / (np.pi**2 / 6)
    np.testing.assert_allclose(rho[:, 0], [expected, 1, expected])


def test_half_of_the_pixels_count_at_the_pixel_of_the_prior() -> None:
    rho = gaussian_psf_correlation(5, pixel_size_mm=0.4375, sigma_mm=(0.25, 0.3))

    assert tempering_weight(rho) == pytest.approx(0.51, abs=0.01)
    assert tempering_weight(np.ones((1, 1))) == 1


def test_weight_never_exceeds_one() -> None:
    assert tempering_weight(np.array([[-0.2, 1.0, -0.2]])) == 1


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (np.zeros((16, 16)), "constant"),
        (np.full((16, 16), np.nan), "NaN or infinite"),
        (np.zeros((6, 16)), "too small for lags up to 3 x 3"),
        (np.zeros((0, 0)), "too small"),
        (np.zeros((2, 16, 16)), "must be 2-D"),
    ],
)
def test_region_without_speckle_is_refused(region: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        correlation(region, 3)
