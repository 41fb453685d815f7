"""A coarser pixel and the way back: what is exact, and what leaves no trace."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import median_filter

from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.working_pixel import (
    WorkingPixel,
    detail_returned,
    grain_steps,
)

INSIDE = np.s_[8:-8, 8:-8]


def ramp(rows: int = 40, columns: int = 45) -> np.ndarray:
    z, x = np.mgrid[:rows, :columns]
    return (0.02 * z - 0.01 * x + 0.3).astype(np.float32)


def white(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("block_mean", [False, True])
@pytest.mark.parametrize("steps", [(1, 1), (2, 3), (4, 1), (3, 2)])
def test_linear_frame_comes_back_exactly(
    steps: tuple[int, int], block_mean: bool
) -> None:
    """Blocks of even sides too, which have no middle pixel: nothing moves."""
    pixel, frame = WorkingPixel(steps, block_mean), ramp()

    back = pixel.averaged(pixel.sampled(frame), frame.shape)

    assert (back.shape, back.dtype) == (frame.shape, np.float32)
    np.testing.assert_allclose(back[INSIDE], frame[INSIDE], atol=1e-6)


def test_constant_frame_comes_back_exactly_at_the_edges_too() -> None:
    frame, pixel = np.full((17, 23), 0.4, np.float32), WorkingPixel((2, 3))

    back = pixel.averaged(pixel.sampled(frame), frame.shape)

    np.testing.assert_allclose(back, frame, atol=1e-6)


def test_every_pixel_is_in_one_sampled_frame() -> None:
    frame = white((11, 10))

    frames = WorkingPixel((2, 3)).sampled(frame)

    np.testing.assert_array_equal(frames[4], frame[1::2, 1::3])
    np.testing.assert_array_equal(
        np.sort(np.concatenate([f.ravel() for f in frames])), np.sort(frame.ravel())
    )


def test_blocks_are_the_means_of_their_pixels() -> None:
    frame = white((12, 15))

    frames = WorkingPixel((3, 3), block_mean=True).sampled(frame)

    # The frame of shift (1, 1) has the blocks that begin at the first pixel.
    means = frame.reshape(4, 3, 5, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(frames[4], means, atol=1e-6)


@pytest.mark.parametrize("block_mean", [False, True])
def test_frames_on_different_levels_leave_no_lattice(block_mean: bool) -> None:
    """What a method adds to one sampled frame alone has the period of the pixel."""
    shape, pixel = (40, 45), WorkingPixel((2, 3), block_mean)
    levels = np.random.default_rng(0).random(6, np.float32)
    frames = [
        np.full(f.shape, level)
        for f, level in zip(pixel.sampled(np.zeros(shape)), levels, strict=True)
    ]

    back = pixel.averaged(frames, shape)

    np.testing.assert_allclose(back[INSIDE], levels.mean(), atol=1e-6)


def test_filtered_noise_is_equally_strong_at_every_phase() -> None:
    frame, pixel = white((600, 600)), WorkingPixel((2, 3))
    filtered = [median_filter(part, 3) for part in pixel.sampled(frame)]

    back = pixel.averaged(filtered, frame.shape)[12:-12, 12:-12]

    spread = [back[i::2, j::3].std() for i in range(2) for j in range(3)]
    assert max(spread) < 1.05 * min(spread)


@pytest.mark.parametrize(
    ("shape", "steps"), [((100, 100), (4, 3)), ((16, 100), (2, 3)), ((7, 5), (1, 1))]
)
def test_small_frame_has_no_room_for_a_coarse_pixel(
    shape: tuple[int, int], steps: tuple[int, int]
) -> None:
    pixel = WorkingPixel((4, 3), block_mean=True).within(shape)

    assert pixel == WorkingPixel(steps, block_mean=True)
    assert pixel.own == (steps == (1, 1))


@pytest.mark.parametrize(
    ("grain", "steps"),
    [
        ((0.2, 0.2), (1, 1)),
        ((1.0, 1.5), (1, 2)),  # the first is finer than 1.05
        ((3.0, 0.8), (4, 1)),
        ((1.1, 2.2), (2, 3)),  # 1.1 / 0.75 is nearer to 1, but wide is wide
    ],
)
def test_steps_bring_the_grain_to_what_is_wanted(grain, steps) -> None:
    assert grain_steps(grain, 0.75, from_=1.05) == steps


def test_strong_point_is_given_back_and_speckle_is_not() -> None:
    noisy = 0.5 + 0.05 * white((80, 80))
    point = np.s_[39:42, 39:42]
    noisy[point] += 0.6
    clean = np.full_like(noisy, 0.5)

    found = detail_returned(noisy, clean, Noise(0.05, (1.0, 1.0), white=False))

    np.testing.assert_allclose(found[point], noisy[point], atol=0.1)
    far = np.ones(noisy.shape, bool)
    far[33:48, 33:48] = False
    # Gaussian noise is 3.5 deviations above its mean at a pixel in 4,300.
    assert (found[far] != clean[far]).mean() < 0.001
    assert (found - clean)[far].std() < 0.02 * 0.05


def test_stronger_noise_of_a_region_is_no_detail() -> None:
    """A tenth of the frame has three times the noise; its peaks are not returned."""
    noisy = 0.5 + 0.02 * white((100, 100))
    noisy[:, :10] += 0.06 * white((100, 10), seed=1)
    clean = np.full_like(noisy, 0.5)

    found = detail_returned(noisy, clean, Noise(0.02, (1.0, 1.0), white=False))

    assert (found != clean)[:, :6].mean() < 0.005


def test_deep_null_is_speckle_however_deep() -> None:
    noisy = 0.5 + 0.02 * white((40, 40))
    noisy[20, 20] = -1.0
    clean = np.full_like(noisy, 0.5)

    found = detail_returned(noisy, clean, Noise(0.02, (1.0, 1.0), white=False))

    assert found[20, 20] == clean[20, 20]
