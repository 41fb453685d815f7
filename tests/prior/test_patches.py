"""Where patches are taken and what they look like."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.io.fastmri import MriStack
from napari_usflow.prior.patches import (
    PatchConfig,
    PatchSampler,
    resample_slices,
    tenengrad,
)

PLAIN = PatchConfig(
    pixel_mm=0.5, uniform_fraction=0.0, native_fraction=0.0, contrast_fraction=0.0
)


def test_tenengrad_of_a_ramp_is_its_squared_slope() -> None:
    ramp = np.tile(np.arange(32, dtype=np.float32) * 0.25, (32, 1))
    assert tenengrad(ramp, 8)[16, 16] == pytest.approx(0.0625)


def test_edges_are_drawn_far_more_often_than_their_share_of_the_area() -> None:
    image = np.zeros((1, 256, 256), np.float32)
    image[0, 200:202] = 1.0
    sampler = PatchSampler([MriStack(image, (0.5, 0.5), "knee")], PLAIN, 16)
    patches = sampler.draw(400, np.random.default_rng(0))
    with_edge = (patches.max(axis=(1, 2, 3)) > 0.5).mean()
    # Eighteen of 241 rows of positions touch the line: 7 % of a uniform draw.
    assert with_edge > 0.3


def test_uniform_patches_have_one_value_below_a_half() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random((1, 64, 64), dtype=np.float32)
    config = PatchConfig(pixel_mm=0.5, uniform_fraction=0.25)
    sampler = PatchSampler([MriStack(noise, (0.5, 0.5), "knee")], config, 16)
    patches = sampler.draw(1000, rng)
    flat = np.ptp(patches.reshape(1000, -1), axis=1) == 0
    assert flat.mean() == pytest.approx(0.25, abs=0.05)
    assert patches[flat].max() <= 0.5


def test_patches_lie_in_the_unit_range_and_repeat_for_a_seed() -> None:
    stack = MriStack(
        np.random.default_rng(1).random((2, 40, 50), dtype=np.float32) * 1.8,
        (1.0, 1.0),
        "brain",
    )
    sampler = PatchSampler([stack], PatchConfig(), 32)
    first, second = (sampler.draw(20, np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (20, 1, 32, 32)
    assert first.min() >= 0.0
    assert first.max() <= 1.0
    np.testing.assert_array_equal(first, second)


def test_resampling_keeps_millimetres() -> None:
    z = np.arange(64, dtype=np.float32)
    ramp = np.tile((z + 0.5)[:, None] / 64.0, (1, 64))[None]
    fine = resample_slices(ramp, (1.0, 1.0), 0.5)[0]
    assert fine.shape == (128, 128)
    # The centre of fine pixel k lies at (k + 0.5) / 2 coarse pixels.
    expected = (np.arange(128) + 0.5) / 2 / 64.0
    np.testing.assert_allclose(fine[20:-20, 64], expected[20:-20], atol=1e-4)


def test_slices_smaller_than_a_patch_are_refused() -> None:
    stack = MriStack(np.ones((1, 20, 20), np.float32), (0.5, 0.5), "knee")
    with pytest.raises(ValueError, match="larger than a patch"):
        PatchSampler([stack], PLAIN, 32)
