"""Where patches are taken and what they look like."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.mri import MriStack
from napari_usflow.mri.patches import (
    PatchConfig,
    PatchSampler,
    resample_slices,
    tenengrad,
)
from napari_usflow.parameters import check_parameters

PLAIN = PatchConfig(
    pixel_mm=0.5, uniform_fraction=0.0, native_fraction=0.0, contrast_fraction=0.0
)


def structured(count: int, rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Images with smooth and busy regions, 99.9th percentile 1."""
    rng = np.random.default_rng(seed)
    z = np.linspace(0, 1, rows)[:, None]
    images = 0.4 + z**3 * rng.standard_normal((count, rows, columns))
    images = np.clip(images, 0, None).astype(np.float32)
    return images / np.float32(np.percentile(images, 99.9))


def test_tenengrad_of_a_ramp_is_its_squared_slope() -> None:
    ramp = np.tile(np.arange(32, dtype=np.float32) * 0.25, (32, 1))
    assert tenengrad(ramp, 8)[16, 16] == pytest.approx(0.0625)


def test_positions_follow_the_gradient_and_a_constant() -> None:
    # p is proportional to sqrt(Tenengrad) + 0.1 of its mean, on a grid of 4 pixels.
    images = structured(3, 60, 52)
    sampler = PatchSampler([MriStack(images, (0.5, 0.5), "a")], PLAIN, 16)
    count = 200_000
    begin, _ = sampler._positions(count, np.random.default_rng(0))
    n, rest = np.divmod(begin, 60 * 52)
    row, column = np.divmod(rest, 52)
    drawn = np.zeros((3, 12, 10))
    np.add.at(drawn, (n, row // 4, column // 4), 1)
    focus = np.stack([tenengrad(i, 16)[8::4, 8::4][:12, :10] for i in images])
    expected = np.sqrt(focus) + 0.1 * np.sqrt(focus).mean()
    expected *= count / expected.sum()
    # Within a cell the last row or column may be cut off, which moves nothing out.
    error = (drawn - expected) / np.sqrt(expected)
    assert np.mean(error**2) == pytest.approx(1.0, abs=0.25)


def test_every_pixel_of_a_grid_cell_may_begin_a_patch() -> None:
    sampler = PatchSampler(
        [MriStack(structured(1, 64, 64), (0.5, 0.5), "a")], PLAIN, 16
    )
    begin, width = sampler._positions(20_000, np.random.default_rng(0))
    row, column = np.divmod(begin, width)
    assert set(row.tolist()) == set(column.tolist()) == set(range(49))


def test_edges_are_drawn_far_more_often_than_their_share_of_the_area() -> None:
    image = np.zeros((1, 256, 256), np.float32)
    image[0, 200:202] = 1.0
    sampler = PatchSampler([MriStack(image, (0.5, 0.5), "knee")], PLAIN, 16)
    patches = sampler.draw(400, np.random.default_rng(0))
    with_edge = (patches.max(axis=(1, 2, 3)) > 0.5).mean()
    # Eighteen of 241 rows of positions touch the line: 7 % of a uniform draw.
    assert with_edge > 0.3


def test_volume_without_any_gradient_is_drawn_evenly() -> None:
    flat = MriStack(np.ones((2, 40, 40), np.float32), (0.5, 0.5), "a")
    sampler = PatchSampler([flat], PLAIN, 16)
    begin, _ = sampler._positions(4000, np.random.default_rng(0))
    assert np.mean(begin >= 1600) == pytest.approx(0.5, abs=0.03)
    assert sampler.draw(10, np.random.default_rng(0)).min() == pytest.approx(1.0)


def test_volumes_are_drawn_by_the_root_of_their_slices_and_knees_more_often() -> None:
    stacks = [
        MriStack(structured(4, 40, 40), (0.5, 0.5), "my_Knee"),
        MriStack(structured(1, 48, 48), (0.5, 0.5), "brain"),
    ]
    sampler = PatchSampler(stacks, replace(PLAIN, knee_weight=3.0), 16)
    begin, _ = sampler._positions(40_000, np.random.default_rng(0))
    starts = [entry.start for entry in sampler.store.sets]
    sets = np.searchsorted(starts, begin, side="right") - 1
    # Weights 3 sqrt(4) and 1 sqrt(1).
    assert np.mean(sets == 0) == pytest.approx(6 / 7, abs=0.01)


def test_coarse_volume_is_also_drawn_at_its_own_pixel() -> None:
    rng = np.random.default_rng(0)
    noise = MriStack(rng.random((3, 60, 60), dtype=np.float32), (2.0, 2.0), "a")
    config = replace(PLAIN, native_fraction=0.25)
    patches = PatchSampler([noise], config, 16).draw(4000, rng)
    # White noise keeps its sharpness at its own pixel; splines between its pixels
    # are smooth.
    steps = np.abs(np.diff(patches[:, 0], axis=1)).mean(axis=(1, 2))
    assert np.mean(steps > 0.2) == pytest.approx(0.25, abs=0.03)


def test_patches_are_windows_of_the_slices_turned_and_mirrored() -> None:
    images = structured(2, 21, 24)
    config = replace(PLAIN, pixel_mm=0.5)
    sampler = PatchSampler([MriStack(images, (0.5, 0.5), "a")], config, 16)
    stored = np.clip(
        (images / np.percentile(images, 99.9)).astype(np.float16).astype(np.float32),
        0,
        1,
    )
    windows = np.lib.stride_tricks.sliding_window_view(stored, (16, 16), axis=(1, 2))
    windows = windows.reshape(-1, 16, 16)
    seen = set()
    for (patch,) in sampler.draw(300, np.random.default_rng(0)):
        matches = [
            (turn, mirrored)
            for mirrored in (False, True)
            for turn in range(4)
            if np.isclose(
                np.rot90(patch[:, ::-1] if mirrored else patch, turn),
                windows,
                atol=1e-3,
            )
            .all(axis=(1, 2))
            .any()
        ]
        assert len(matches) == 1
        seen.update(matches)
    assert len(seen) == 8


def test_uniform_patches_have_one_value_below_a_half() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random((1, 64, 64), dtype=np.float32)
    config = PatchConfig(pixel_mm=0.5, uniform_fraction=0.25)
    sampler = PatchSampler([MriStack(noise, (0.5, 0.5), "knee")], config, 16)
    patches = sampler.draw(1000, rng)
    flat = np.ptp(patches.reshape(1000, -1), axis=1) == 0
    assert flat.mean() == pytest.approx(0.25, abs=0.05)
    assert patches[flat].max() <= 0.5
    assert patches[flat].min() < 0.05


def test_contrast_is_varied_by_a_gain_and_an_offset_that_stay_in_range() -> None:
    stack = MriStack(structured(1, 64, 64), (0.5, 0.5), "a")
    plain = PatchSampler([stack], PLAIN, 16)
    varied = PatchSampler([stack], replace(PLAIN, contrast_fraction=1.0), 16)
    before = plain.draw(2000, np.random.default_rng(0)).std(axis=(1, 2, 3))
    after = varied.draw(2000, np.random.default_rng(0)).std(axis=(1, 2, 3))
    ratio = after / before
    # Gains in [0.4, 1.1]; clipping at 1 takes a little away.
    assert 0.35 < ratio.min() < 0.45
    assert 0.7 < ratio.mean() < 0.8
    assert ratio.max() < 1.11


def test_patches_lie_in_the_unit_range_and_repeat_for_a_seed() -> None:
    stack = MriStack(
        np.random.default_rng(1).random((2, 40, 50), dtype=np.float32) * 1.8,
        (1.0, 1.0),
        "brain",
    )
    sampler = PatchSampler([stack], PatchConfig(), 32)
    first, second = (sampler.draw(20, np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (20, 1, 32, 32)
    assert first.dtype == np.float32
    assert first.min() >= 0.0
    assert first.max() <= 1.0
    np.testing.assert_array_equal(first, second)


def test_own_noise_of_a_volume_is_told() -> None:
    rng = np.random.default_rng(0)
    z = np.linspace(0, 4, 128, dtype=np.float32)
    smooth = np.tile(0.5 + 0.3 * np.sin(z)[:, None], (2, 1, 128))
    noisy = smooth + 0.04 * rng.standard_normal(smooth.shape).astype(np.float32)
    scale = np.percentile(noisy, 99.9)
    stack = MriStack(noisy, (0.5, 0.5), "a")
    (entry,) = PatchSampler([stack], PLAIN, 16).store.sets
    assert entry.own_noise == pytest.approx(0.04 / scale, rel=0.15)


def test_resampling_keeps_millimetres() -> None:
    z = np.arange(64, dtype=np.float32)
    ramp = np.tile((z + 0.5)[:, None] / 64.0, (1, 64))[None]
    fine = resample_slices(ramp, (1.0, 1.0), 0.5)[0]
    assert fine.shape == (128, 128)
    # The centre of fine pixel k lies at (k + 0.5) / 2 coarse pixels.
    expected = (np.arange(128) + 0.5) / 2 / 64.0
    np.testing.assert_allclose(fine[20:-20, 64], expected[20:-20], atol=1e-4)


def test_resampling_is_the_same_for_large_images(monkeypatch) -> None:
    from napari_usflow.mri import resampling

    images = structured(2, 50, 40)
    small = resample_slices(images, (0.3, 0.7), 0.4375)
    monkeypatch.setattr(resampling, "_LARGEST_MATRIX", 10)
    large = resample_slices(images, (0.3, 0.7), 0.4375)
    assert small.shape == (2, *resampling.resampled_shape((50, 40), (0.3, 0.7), 0.4375))
    np.testing.assert_allclose(small, large, atol=1e-5)


def test_slices_smaller_than_a_patch_are_refused() -> None:
    stack = MriStack(np.ones((1, 20, 20), np.float32), (0.5, 0.5), "knee")
    with pytest.raises(ValueError, match="larger than a patch"):
        PatchSampler([stack], PLAIN, 32)


def test_temporary_slices_go_with_the_sampler() -> None:
    stack = MriStack(structured(1, 40, 40), (0.5, 0.5), "a")
    sampler = PatchSampler([stack], PLAIN, 16)
    folder: Path = sampler.store.folder
    assert folder.is_dir()
    del sampler
    gc.collect()
    assert not folder.exists()


def test_unknown_way_with_own_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="choose one of keep, drop, clean"):
        check_parameters(PatchConfig(own_noise="ignore"))
