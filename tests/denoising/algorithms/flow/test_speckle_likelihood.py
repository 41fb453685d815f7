"""The likelihood of log-compressed speckle against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import gammaln
from scipy.stats import gamma

from napari_usflow.denoising.algorithms.flow.speckle_likelihood import (
    BRIGHTEST,
    SpeckleLikelihood,
    kept_level,
)

NATS_PER_60_DB = 6 * np.log(10)


def draw(looks: float, x: float, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Log-compressed mean of L exponential intensities about x, in [0, 1] of 60 dB."""
    rng = np.random.default_rng(seed)
    return x + np.log(rng.gamma(looks, 1 / looks, shape)) / NATS_PER_60_DB


def test_it_is_the_density_of_the_logarithm_of_a_gamma_variable() -> None:
    looks, x = 3.0, 0.6
    speckle = SpeckleLikelihood(looks, NATS_PER_60_DB)
    y = torch.linspace(0.3, 0.65, 50, dtype=torch.float64)

    found = -speckle.negative_log(y, torch.full_like(y, x))

    ratio = np.exp(NATS_PER_60_DB * (y.numpy() - x))
    log_density = gamma.logpdf(ratio, looks, scale=1 / looks) + np.log(ratio)
    # The normalisation is left out: 0 where y = x.
    at_x = looks * np.log(looks) - gammaln(looks) - looks
    np.testing.assert_allclose(found, log_density - at_x, atol=1e-9)


@pytest.mark.parametrize(
    ("sigma_db", "looks", "weight"), [(5.570, 1.0, 1.0), (3.488, 2.0, 1.0)]
)
def test_looks_follow_from_the_noise_level(sigma_db, looks, weight) -> None:
    speckle = SpeckleLikelihood.of_noise(sigma_db / 60, 60.0)

    assert speckle.looks == pytest.approx(looks, rel=1e-3)
    assert speckle.weight == pytest.approx(weight, rel=1e-3)


def test_more_noise_than_one_look_has_weighs_less() -> None:
    speckle = SpeckleLikelihood.of_noise(2 * 5.570 / 60, 60.0)

    assert speckle.looks == 1.0
    assert speckle.weight == pytest.approx(0.25, rel=1e-3)
    # 10 / ln 10 = 4.343 dB for one look, twice that for a quarter of its weight.
    assert 60 * speckle.working_std == pytest.approx(2 * 4.343, rel=1e-3)


@pytest.mark.parametrize("looks", [1.0, 4.0])
def test_working_residuals_have_no_mean_and_the_stated_spread(looks: float) -> None:
    speckle = SpeckleLikelihood(looks, NATS_PER_60_DB)
    y = draw(looks, 0.5, (1000, 1000))

    residual = speckle.working_residual(y, np.full_like(y, 0.5))

    # What lies beyond the brightest is missing from the mean.
    above = gamma.sf(BRIGHTEST, [looks + 1, looks], scale=1 / looks)
    missing_db = 4.343 * (above[0] - BRIGHTEST * above[1])
    assert residual.mean() * 60 == pytest.approx(-missing_db, abs=0.015)
    assert residual.std() == pytest.approx(speckle.working_std, rel=0.05)


@pytest.mark.parametrize(("looks", "bias_db"), [(1.0, -2.507), (2.0, -1.174)])
def test_bias_is_the_mean_of_log_compressed_speckle(looks, bias_db) -> None:
    speckle = SpeckleLikelihood(looks, NATS_PER_60_DB)

    assert 60 * speckle.bias == pytest.approx(bias_db, abs=2e-3)
    assert draw(looks, 0.5, (1000, 1000)).mean() - 0.5 == pytest.approx(
        speckle.bias, abs=0.01 / 60
    )


def test_working_residual_is_the_gradient_over_the_expected_curvature() -> None:
    speckle = SpeckleLikelihood(2.5, NATS_PER_60_DB, weight=0.4)
    y = torch.linspace(0.0, 0.9, 40, dtype=torch.float64)
    x = torch.full_like(y, 0.5, requires_grad=True)

    (gradient,) = torch.autograd.grad(speckle.negative_log(y, x).sum(), x)

    curvature = 0.4 * 2.5 * NATS_PER_60_DB**2
    step = speckle.working_residual(y.numpy(), x.detach().numpy())
    np.testing.assert_allclose(step, -gradient / curvature, rtol=1e-9)


def test_it_is_convex_and_finite_far_out() -> None:
    speckle = SpeckleLikelihood(1.0, NATS_PER_60_DB)
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64)

    value = speckle.negative_log(torch.zeros_like(x), x)

    assert torch.isfinite(value).all()
    assert (value.diff().diff() > -1e-9).all()


def test_many_looks_are_gaussian() -> None:
    sigma = 0.2 / 60
    speckle = SpeckleLikelihood.of_noise(sigma, 60.0)
    y = torch.linspace(-2 * sigma, 2 * sigma, 9, dtype=torch.float64)

    value = speckle.negative_log(y, torch.zeros_like(y))

    assert speckle.working_std == pytest.approx(sigma, rel=2e-3)
    torch.testing.assert_close(value, y**2 / (2 * sigma**2), rtol=0.04, atol=1e-12)


def test_scoring_with_a_gaussian_prior_ends_at_the_posterior_mode() -> None:
    """The posterior mean of a Gaussian prior shrinks; then the mode is known."""
    speckle = SpeckleLikelihood(1.0, NATS_PER_60_DB)
    mean, spread, y = 0.5, 0.03, np.array([0.42, 0.5, 0.55])
    share = spread**2 / (spread**2 + speckle.working_std**2)
    x = np.full(3, mean)
    for _ in range(200):
        x = mean + share * (x + speckle.working_residual(y, x) - mean)

    def posterior(v: float, observed: float) -> float:
        value = speckle.negative_log(torch.tensor(observed), torch.tensor(v))
        # As the step's noise level says it: a denoiser that shrinks by ``share`` has
        # the prior (x - mean)^2 / (2 spread^2).
        return float(value) + (v - mean) ** 2 / (2 * spread**2)

    modes = [
        minimize_scalar(
            posterior, bounds=(0.3, 0.7), args=(float(v),), method="bounded",
            options={"xatol": 1e-7},
        ).x
        for v in y
    ]  # fmt: skip
    np.testing.assert_allclose(x, modes, atol=1e-4)


def test_level_of_the_frame_is_kept_and_still_pixels_have_no_say() -> None:
    y = np.zeros((40, 40))
    y[:, :20] = draw(1.0, 0.6, (40, 20))
    x = np.zeros((40, 40))
    x[:, :20] = 0.6

    kept = kept_level(x, x, y)

    assert kept[:, :20].mean() == pytest.approx(y[:, :20].mean(), abs=0.2 / 60)
