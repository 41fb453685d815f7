"""Mixtures of Gaussians: densities by scipy, fits to data that are known mixtures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Progress, result_of
from napari_usflow.lab.density import mixture_fit
from napari_usflow.lab.density.mixture import Mixture
from napari_usflow.lab.density.mixture_fit import fit_mixture


def random_mixture(rng: np.random.Generator, components: int, d: int) -> Mixture:
    roots = rng.standard_normal((components, d, d)) / np.sqrt(d)
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(d)
    weights = rng.dirichlet(np.full(components, 5.0))
    means = 3 * rng.standard_normal((components, d))
    return Mixture(*(a.astype(np.float32) for a in (weights, means, covariances)))


def test_density_is_scipys() -> None:
    rng = np.random.default_rng(0)
    mixture = random_mixture(rng, 3, 5)
    x = 2 * rng.standard_normal((50, 5)).astype(np.float32)

    expected = np.log(
        sum(
            w * multivariate_normal(m, c).pdf(x)
            for w, m, c in zip(
                mixture.weights, mixture.means, mixture.covariances, strict=True
            )
        )
    )
    np.testing.assert_allclose(mixture.log_prob(x), expected, rtol=1e-4, atol=1e-3)


def test_samples_have_the_moments_of_the_mixture() -> None:
    rng = np.random.default_rng(1)
    mixture = random_mixture(rng, 2, 3)

    drawn = mixture.sample(40_000, rng)

    mean = mixture.weights @ mixture.means
    second = np.einsum(
        "k,kij->ij",
        mixture.weights,
        mixture.covariances + mixture.means[:, :, None] * mixture.means[:, None, :],
    )
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.06)
    np.testing.assert_allclose(drawn.T @ drawn / len(drawn), second, rtol=0.05)


def test_one_component_is_the_sample_mean_and_covariance() -> None:
    x = random_mixture(np.random.default_rng(2), 1, 4).sample(
        3000, np.random.default_rng(3)
    )

    fitted = result_of(fit_mixture(x, x[:500], 1, iterations=1, shrinkages=(1.0,)))

    np.testing.assert_allclose(fitted.means[0], x.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(
        fitted.covariances[0], np.cov(x, rowvar=False, bias=True), atol=2e-3
    )


def test_fit_finds_the_density_that_made_the_data() -> None:
    rng = np.random.default_rng(4)
    truth = random_mixture(rng, 3, 4)
    x, fresh = truth.sample(6000, rng), truth.sample(4000, rng)

    fitted = result_of(fit_mixture(x, fresh[:2000], 3, iterations=20))

    # The truth is the best there is; a fit to 6000 of them comes close.
    gap = truth.log_prob(fresh[2000:]).mean() - fitted.log_prob(fresh[2000:]).mean()
    assert -0.01 < gap < 0.05


def test_screening_changes_no_fit_of_components_that_lie_apart(monkeypatch) -> None:
    rng = np.random.default_rng(5)
    truth = random_mixture(rng, 6, 12)
    x = truth.sample(1500, rng)

    def fit() -> Mixture:
        return result_of(fit_mixture(x, x[:300], 6, iterations=4, shrinkages=(12.0,)))

    exact = fit()
    monkeypatch.setattr(mixture_fit, "_LEADING", 4)
    screened = fit()

    difference = exact.log_prob(x).mean() - screened.log_prob(x).mean()
    assert abs(difference) < 0.05


def test_shrinkage_is_the_one_that_others_like_best() -> None:
    rng = np.random.default_rng(6)
    truth = random_mixture(rng, 2, 16)
    x, others = truth.sample(60, rng), truth.sample(1000, rng)

    def fit(*shrinkages: float) -> Mixture:
        return result_of(fit_mixture(x, others, 2, shrinkages=shrinkages))

    alone = {s: fit(s).log_prob(others).mean() for s in (0.1, 30.0, 1e5)}
    assert alone[30.0] > max(alone[0.1], alone[1e5])
    assert fit(0.1, 30.0, 1e5).shrinkage == 30.0


def test_a_component_without_patches_does_no_harm() -> None:
    # Eight components for twelve patches: some stay empty.
    x = np.random.default_rng(9).standard_normal((12, 5), dtype=np.float32)

    fitted = result_of(fit_mixture(x, x, 8, iterations=6))

    assert np.isfinite(fitted.log_prob(x)).all()
    assert all(np.linalg.eigvalsh(c)[0] > 0 for c in fitted.covariances)


def test_without_means_the_covariances_hold_the_level() -> None:
    x = np.float32(5.0) + np.random.default_rng(7).standard_normal(
        (2000, 3), dtype=np.float32
    )

    fitted = result_of(
        fit_mixture(x, x, 1, iterations=1, zero_mean=True, shrinkages=(1.0,))
    )

    assert not fitted.means.any()
    np.testing.assert_allclose(fitted.covariances[0], x.T @ x / len(x), rtol=1e-3)


def test_fit_reports_progress_and_stops_when_asked() -> None:
    token = CancelToken()
    x = np.random.default_rng(8).standard_normal((500, 3), dtype=np.float32)

    events = fit_mixture(x, x, 2, token=token)

    assert isinstance(next(events), Progress)
    token.cancel()
    with pytest.raises(Cancelled):
        list(events)
