"""SRAD: what diffuses, what does not, and which level is left."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoising.algorithms.srad import _Diffusion
from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create
from napari_usflow.jobs import result_of

SPECKLE = 5.57 / 60


def run(
    frame: np.ndarray, sigma: float = SPECKLE, *, span_db: float = 60.0, **params
) -> np.ndarray:
    return result_of(
        create("srad", **params).run(frame, Run(sigma, dynamic_range_db=span_db))
    )


def speckle(level_db: np.ndarray, seed: int = 0) -> np.ndarray:
    """Fully developed speckle over 60 dB; a mean intensity of 0 dB is at white."""
    intensity = np.random.default_rng(seed).exponential(size=level_db.shape)
    return (1 + (10 * np.log10(intensity) + level_db) / 60).astype(np.float32)


def amplitude(shape=(20, 30), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).rayleigh(size=shape).astype(np.float32) + 0.01


def published_q2(a: np.ndarray, z: int, x: int) -> float:
    """Yu and Acton 2002: right and left differences, mirrored at the border."""
    framed = np.pad(a, 1, mode="edge")
    here = a[z, x]
    right = framed[z + 2, x + 1] - here, framed[z + 1, x + 2] - here
    left = here - framed[z, x + 1], here - framed[z + 1, x]
    gradient2 = sum(d**2 for d in (*right, *left)) / here**2
    laplace = (sum(right) - sum(left)) / here
    return (gradient2 / 2 - laplace**2 / 16) / (1 + laplace / 4) ** 2


def test_variation_is_the_published_one() -> None:
    a = amplitude((9, 8)).astype(np.float64)

    found = _Diffusion(a.astype(np.float32)).variation()

    expected = [[published_q2(a, z, x) for x in range(8)] for z in range(9)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_step_is_the_published_update() -> None:
    """Explicit in time, written out pixel by pixel as in the paper."""
    a, q0, dt = amplitude((7, 6)).astype(np.float64), 0.5, 0.4
    c = np.empty_like(a)
    for z, x in np.ndindex(a.shape):
        q2 = published_q2(a, z, x)
        c[z, x] = np.clip(1 / (1 + (q2 - q0**2) / (q0**2 * (1 + q0**2))), 0, 1)
    i, k = np.pad(a, 1, mode="edge"), np.pad(c, 1, mode="edge")
    expected = np.empty_like(a)
    for z, x in np.ndindex(a.shape):
        p, q = z + 1, x + 1
        divergence = (
            k[p + 1, q] * (i[p + 1, q] - i[p, q])
            + k[p, q] * (i[p - 1, q] - i[p, q])
            + k[p, q + 1] * (i[p, q + 1] - i[p, q])
            + k[p, q] * (i[p, q - 1] - i[p, q])
        )
        expected[z, x] = i[p, q] + dt / 4 * divergence
    diffusion = _Diffusion(a.astype(np.float32))

    diffusion.step(q0, dt)

    assert np.ptp(c) > 0.5  # edges and speckle both
    np.testing.assert_allclose(diffusion.amplitude, expected, rtol=2e-5)


def test_longest_step_keeps_mean_and_range() -> None:
    a = amplitude((40, 40))
    diffusion = _Diffusion(a)

    for _ in range(200):
        diffusion.step(1.0, 1.0)

    assert diffusion.amplitude.mean() == pytest.approx(a.mean(), rel=1e-4)
    assert a.min() <= diffusion.amplitude.min()
    assert diffusion.amplitude.max() <= a.max()


def test_speckle_falls_to_a_third_and_a_step_of_20_db_stays() -> None:
    level = np.where(np.arange(64) < 32, -20.0, -40.0) * np.ones((64, 1))

    clean = 60 * (run(speckle(level)) - 1)

    left, right = clean[4:-4, 4:28], clean[4:-4, 36:60]
    assert left.std() < 5.57 / 3 and right.std() < 5.57 / 3
    assert left.mean() - right.mean() == pytest.approx(20, abs=1)


def test_level_is_that_of_the_decibels_not_of_the_envelope() -> None:
    """The mean of the envelope would be 1.46 dB above the mean of the decibels."""
    noisy = speckle(np.full((96, 96), -20.0))

    clean = run(noisy, variation=2.0, iterations=300)

    assert clean.std() * 60 < 0.5
    assert 60 * (clean.mean() - noisy.mean()) == pytest.approx(0, abs=0.05)


def test_level_of_speckle_does_not_depend_on_how_much_of_the_frame_is_empty() -> None:
    noisy = speckle(np.full((96, 96), -20.0))
    noisy[:, 32:] = 0.0  # outside the sector

    clean = run(noisy)

    assert 60 * (clean - noisy)[:, :28].mean() == pytest.approx(0, abs=0.2)


def test_dynamic_range_says_what_the_envelope_is() -> None:
    """The same decibels on another range give the same decibels."""
    noisy = speckle(np.full((32, 32), -20.0))
    narrow = (1 + (noisy - 1) * 60 / 40).astype(np.float32)

    clean = run(narrow, 5.57 / 40, span_db=40.0)

    np.testing.assert_allclose(40 * (clean - 1), 60 * (run(noisy) - 1), atol=1e-3)


@pytest.mark.parametrize("name", ["variation", "iterations"])
def test_more_of_it_removes_more(name: str) -> None:
    noisy = speckle(np.full((48, 48), -20.0))
    values = {"variation": (0.4, 1.0, 2.0), "iterations": (2, 8, 40)}[name]

    removed = [float((noisy - run(noisy, **{name: v})).std()) for v in values]

    assert removed[0] < removed[1] < removed[2]


def test_deep_nulls_and_bright_echoes_stay_finite() -> None:
    frame = np.full((16, 16), 0.5, np.float32)
    frame[3, 3], frame[8, 8] = -9.0, 20.0

    assert np.isfinite(run(frame)).all()
