"""Frames cut into patches come back whole."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoising.algorithms.flow.patching import Blend, PatchGrid


@pytest.mark.parametrize("stride", [5, 8, 16, 24, 32])
@pytest.mark.parametrize("shape", [(7, 5), (32, 32), (33, 70), (96, 41)])
def test_unchanged_patches_give_the_frame_back(
    shape: tuple[int, int], stride: int
) -> None:
    frame = np.random.default_rng(0).random(shape, dtype=np.float32)
    grid = PatchGrid(shape, 32, stride)
    blend = Blend(grid)
    batches = list(grid.batches(frame, 7))
    for patches in batches:
        blend.add(patches)
    assert sum(len(patches) for patches in batches) == len(grid)
    assert all(patches.shape[1:] == (32, 32) for patches in batches)
    np.testing.assert_allclose(blend.frame(), frame, rtol=1e-6)


def test_blending_leaves_no_seam_where_patches_differ() -> None:
    shape, stride = (96, 96), 16
    grid = PatchGrid(shape, 32, stride)
    levels = np.random.default_rng(0).random((len(grid), 1, 1), dtype=np.float32)
    blend = Blend(grid)
    blend.add(np.broadcast_to(levels, (len(grid), 32, 32)))
    # A hard seam would be a step of about the levels' spread (0.3).
    assert np.abs(np.diff(blend.frame(), axis=1)).max() < 0.12


def test_stride_beyond_the_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="stride"):
        PatchGrid((64, 64), 32, 33)
