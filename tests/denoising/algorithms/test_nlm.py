"""Non-local means: what it does to noise and edges, and how it stops."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoising.algorithms.nlm import NonLocalMeans, NonLocalMeansParams
from napari_usflow.denoising.contract import Run
from napari_usflow.jobs import Note, result_of


def run(frame: np.ndarray, sigma: float, **params) -> np.ndarray:
    denoiser = NonLocalMeans(NonLocalMeansParams(**params))
    return result_of(denoiser.run(frame, Run(sigma)))


def test_noise_falls_to_a_quarter_and_the_edge_stays(step_image: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, step_image.shape)

    clean = run((step_image + noise).astype(np.float32), 0.1)

    ground, disk = clean[:10], clean[26:38, 26:38]
    assert ground.std() < 0.025 and disk.std() < 0.025
    assert disk.mean() - ground.mean() == pytest.approx(0.5, abs=0.02)


def test_stronger_filter_removes_more(step_image: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, step_image.shape)
    noisy = (step_image + noise).astype(np.float32)

    removed = [float((noisy - run(noisy, 0.1, h=h)).std()) for h in (0.1, 0.5, 1.0)]

    assert removed[0] < removed[1] < removed[2]


def test_values_outside_the_unit_range_are_kept() -> None:
    frame = np.full((32, 32), -0.6, np.float32)
    frame[:, 16:] = 1.4

    clean = run(frame, 0.1)

    np.testing.assert_allclose(clean, frame, atol=1e-5)


def test_even_patch_is_made_odd_and_said(step_image: np.ndarray) -> None:
    denoiser = NonLocalMeans(NonLocalMeansParams(patch_size=4))

    events = list(denoiser.run(step_image, Run(0.1)))

    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == ["a patch needs a centre: 5 px are used instead of 4 px"]
    np.testing.assert_array_equal(
        run(step_image, 0.1, patch_size=4), run(step_image, 0.1, patch_size=5)
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (7, 5)])
def test_frames_smaller_than_a_patch_keep_their_shape(shape) -> None:
    frame = np.random.default_rng(0).random(shape, dtype=np.float32)

    clean = run(frame, 0.1)

    assert clean.shape == shape
    assert clean.min() >= frame.min() and clean.max() <= frame.max()


def test_paper_setting_is_that_of_scikit_image_without_noise_taken_off(
    step_image: np.ndarray,
) -> None:
    from skimage.restoration import denoise_nl_means

    noise = np.random.default_rng(0).normal(0, 0.1, step_image.shape)
    noisy = (step_image + noise).astype(np.float32)

    clean = run(noisy, 0.1, **vars(NonLocalMeans.presets["paper"]))

    expected = denoise_nl_means(
        noisy, patch_size=10, patch_distance=10, h=0.08, fast_mode=True
    )
    np.testing.assert_allclose(clean, expected, atol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("h", 0.0), ("patch_size", 2)])
def test_parameters_out_of_limits_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"NonLocalMeansParams.{name} is"):
        NonLocalMeans(NonLocalMeansParams(**{name: value}))
