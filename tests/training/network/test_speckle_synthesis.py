"""Speckle at baseband has the statistics that theory gives it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import exp1, spence

from napari_usflow.training.network.speckle_synthesis import (
    mean_log_intensity,
    point_echoes,
    speckle_field,
)

PIXEL_MM = 0.4375
DB = 10 / np.log(10)


def field(
    sigma_mm: tuple[float, float] = (0.25, 0.3), size: int = 128, count: int = 8
) -> np.ndarray:
    """Complex samples at the pixels' centres, of tissue of mean intensity 1."""
    sigma = torch.tensor([sigma_mm] * count) / PIXEL_MM
    generator = torch.Generator().manual_seed(0)
    power = torch.ones(count, size, size)
    return speckle_field(power, sigma, generator=generator).numpy()


@pytest.fixture(scope="module")
def speckle() -> np.ndarray:
    return field()


def test_mean_intensity_is_what_was_asked_for(speckle) -> None:
    assert np.mean(np.abs(speckle) ** 2) == pytest.approx(1.0, rel=0.02)


def test_envelope_is_rayleigh(speckle) -> None:
    envelope = np.abs(speckle)
    # sqrt(pi / (4 - pi))
    assert envelope.mean() / envelope.std() == pytest.approx(1.913, rel=0.01)


def test_decibels_have_the_mean_and_spread_of_log_compressed_speckle(speckle) -> None:
    decibels = 20 * np.log10(np.abs(speckle))
    assert decibels.mean() == pytest.approx(-2.507, abs=0.1)
    assert decibels.std() == pytest.approx(5.570, rel=0.02)


def test_correlation_of_decibels_is_the_dilogarithm_of_the_fields(speckle) -> None:
    """The logarithms of correlated exponential variables have covariance Li2(|rho|^2).

    A Gaussian of standard deviation s correlates the field by rho = exp(-d^2 / 4 s^2),
    the decibels by Li2(|rho|^2) / Li2(1): 0.14 axially and 0.23 laterally here.
    """
    decibels = 20 * np.log10(np.abs(speckle))
    decibels -= decibels.mean()
    for axis, sigma_mm in ((1, 0.25), (2, 0.3)):
        found = np.mean(decibels * np.roll(decibels, 1, axis)) / decibels.var()
        intensity = np.exp(-(PIXEL_MM**2) / (2 * sigma_mm**2))
        expected = spence(1 - intensity) / (np.pi**2 / 6)
        assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("sigma", [0.33, 0.5, 1.5])
def test_grain_finer_than_a_pixel_is_sampled_and_not_filtered(sigma: float) -> None:
    """Neighbours correlate as in the continuous field, by exp(-1 / 4 s^2)."""
    generator = torch.Generator().manual_seed(5)
    samples = speckle_field(
        torch.ones(16, 128, 128), torch.full((16, 2), sigma), generator=generator
    )
    found = (samples * samples.roll(1, 2).conj()).mean() / samples.abs().square().mean()
    # A quarter of a million samples, at most thirty of them in one grain.
    assert complex(found) == pytest.approx(np.exp(-1 / (4 * sigma**2)), abs=0.015)


def test_tissue_weights_its_own_speckle() -> None:
    power = torch.ones(8, 64, 64)
    power[:, 32:] = 100.0
    sigma = torch.full((8, 2), 0.5)
    generator = torch.Generator().manual_seed(1)

    found = speckle_field(power, sigma, generator=generator).abs().square()

    # Away from the step and from the joined ends of the axis.
    assert float(found[:, 5:27].mean()) == pytest.approx(1.0, rel=0.05)
    assert float(found[:, 37:59].mean()) == pytest.approx(100.0, rel=0.05)


def test_same_generator_gives_the_same_speckle() -> None:
    np.testing.assert_array_equal(field(size=16, count=1), field(size=16, count=1))


def test_point_is_seen_where_it_is_with_the_width_of_the_psf() -> None:
    positions = torch.tensor([[[10.0, 7.0], [3.0, 2.5]]])
    amplitudes = torch.tensor([[3.0, 0.0]]).to(torch.complex64)

    echo = point_echoes((20, 16), positions, amplitudes, torch.tensor([[0.8, 1.5]]))[0]

    assert echo.shape == (20, 16)
    assert complex(echo[10, 7]) == pytest.approx(3.0)
    assert abs(complex(echo[10, 10])) == pytest.approx(
        3 * np.exp(-0.5 * (3 / 1.5) ** 2)
    )
    assert abs(complex(echo[11, 7])) == pytest.approx(3 * np.exp(-0.5 * (1 / 0.8) ** 2))
    # The second one has no amplitude.
    assert abs(complex(echo[3, 2])) < 1e-6


def test_mean_of_the_logarithm_is_the_exponential_integral() -> None:
    ratio = np.concatenate([[0.0], np.logspace(-5, 3, 200)])
    power = np.full_like(ratio, 0.01)

    found = mean_log_intensity(torch.tensor(power), torch.tensor(ratio * power))

    some = ratio > 0
    expected = np.full_like(ratio, -0.5772156649)
    expected[some] = np.log(ratio[some]) + exp1(ratio[some])
    np.testing.assert_allclose(found, -20 + DB * expected, atol=1e-3)


@pytest.mark.parametrize("ratio", [0.2, 1.0, 6.0])
def test_mean_of_the_logarithm_is_that_of_an_echo_in_speckle(ratio: float) -> None:
    rng = np.random.default_rng(3)
    real, imaginary = rng.normal(0, np.sqrt(0.5), (2, 400_000))
    intensity = (np.sqrt(ratio) + real) ** 2 + imaginary**2

    found = mean_log_intensity(torch.tensor([1.0]), torch.tensor([ratio]))

    # The standard error of this Monte Carlo mean is below 0.01 dB.
    assert float(found) == pytest.approx(np.mean(DB * np.log(intensity)), abs=0.03)


@pytest.mark.parametrize("looks", [1, 2, 5])
def test_mean_of_the_logarithm_of_several_looks(looks: int) -> None:
    """Exact for tissue alone and a strong echo, within 0.15 dB in between."""
    rng = np.random.default_rng(4)
    for ratio, tolerance in ((0.0, 0.03), (2.0, 0.15), (100.0, 0.03)):
        real, imaginary = rng.normal(0, np.sqrt(0.5), (2, looks, 200_000))
        intensity = ((np.sqrt(ratio) + real) ** 2 + imaginary**2).mean(axis=0)

        found = mean_log_intensity(
            torch.ones(1, 1, 1), torch.full((1, 1, 1), ratio), torch.tensor([looks])
        )

        expected = np.mean(DB * np.log(intensity))
        assert float(found) == pytest.approx(expected, abs=tolerance)
