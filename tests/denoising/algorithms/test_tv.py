"""Total variation: what it minimises, and how its weight follows the noise."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create
from napari_usflow.jobs import result_of


def run(frame: np.ndarray, sigma: float, **params) -> np.ndarray:
    denoiser = create("tv", **params)
    return result_of(denoiser.run(frame, Run(sigma)))


def test_step_loses_what_the_objective_says() -> None:
    """A step of height 1 between plateaus n wide comes closer by weight / n each."""
    frame = np.zeros((40, 20), np.float32)
    frame[:, 10:] = 1.0

    clean = run(frame, 0.1, weight=2.0, tolerance=1e-6, iterations=5000)

    np.testing.assert_allclose(clean[:, :10], 0.2 / 10, atol=2e-3)
    np.testing.assert_allclose(clean[:, 10:], 1 - 0.2 / 10, atol=2e-3)


def test_weight_counts_noise_levels(step_image: np.ndarray) -> None:
    np.testing.assert_array_equal(
        run(step_image, 0.1, weight=1.0), run(step_image, 0.05, weight=2.0)
    )


def test_noise_falls_to_a_third_and_the_edge_stays(step_image: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, step_image.shape)

    clean = run((step_image + noise).astype(np.float32), 0.1)

    ground, disk = clean[:10], clean[26:38, 26:38]
    assert ground.std() < 0.033 and disk.std() < 0.033
    assert disk.mean() - ground.mean() == pytest.approx(0.5, abs=0.06)
