"""The posterior mean on frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow.denoising.algorithms.flow.posterior_mean import _turn
from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.noise_estimation import FINEST_GRAIN, Noise
from napari_usflow.errors import Cancelled, PriorError
from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.prior.glow import Glow, GlowConfig
from napari_usflow.prior.store import save_prior


def scene(size: int = 64) -> np.ndarray:
    z, x = np.mgrid[:size, :size]
    clean = np.full((size, size), 0.6, np.float32)
    clean[(z - 30) ** 2 + (x - 34) ** 2 < 14**2] = 0.2
    return clean


def denoised(frame: np.ndarray, sigma: float, **params) -> np.ndarray:
    run = create("flow", device="cpu", **params).run(frame, Run(sigma))
    return result_of(run)


def test_white_noise_is_taken_as_it_is_and_grain_at_a_coarser_pixel() -> None:
    flow = create("flow", device="cpu")
    white, speckle = Noise(0.1, FINEST_GRAIN, True), Noise(0.1, (1.8, 2.7), False)

    own, coarse = flow.working_pixel(white), flow.working_pixel(speckle)

    assert own.own and flow.working_sigma(white, own) == pytest.approx(0.1, rel=1e-3)
    # The grain is then about as wide as that of white noise, but still correlated.
    assert all(0.4 < g / s < 1 for g, s in zip((1.8, 2.7), coarse.steps, strict=True))
    assert 0.1 < flow.working_sigma(speckle, coarse) < 0.2


@pytest.mark.parametrize(("sigma", "gain_db"), [(0.1, 9.0), (0.3, 10.0)])
def test_noise_on_a_simple_scene_is_removed(sigma: float, gain_db: float) -> None:
    clean = scene()
    noise = np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32)
    frame = clean + np.float32(sigma) * noise
    before, after = (
        np.square(v - clean).mean() for v in (frame, denoised(frame, sigma))
    )
    assert 10 * np.log10(before / after) > gain_db


def test_level_of_a_homogeneous_region_is_kept() -> None:
    noise = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)
    frame = np.float32(0.5) + np.float32(0.1) * noise
    assert denoised(frame, 0.1).mean() == pytest.approx(frame.mean(), abs=0.01)


def test_weaker_assumed_noise_changes_less() -> None:
    frame = scene() + np.float32(0.05) * np.random.default_rng(0).standard_normal(
        (64, 64), dtype=np.float32
    )
    changes = [
        np.abs(denoised(frame, sigma) - frame).mean() for sigma in (0.01, 0.05, 0.2)
    ]
    assert changes == sorted(changes)


def test_turning_patches_back_undoes_the_turn() -> None:
    rng = np.random.default_rng(0)
    patches = rng.random((40, 8, 8), dtype=np.float32)
    turns = rng.integers(8, size=40)
    turned = _turn(patches, turns)
    assert len(np.unique(turns)) == 8
    assert not np.array_equal(turned, patches)
    np.testing.assert_array_equal(_turn(turned, turns, back=True), patches)


def test_cancel_stops_before_the_next_batch() -> None:
    token = CancelToken()
    run = create("flow", device="cpu", batch_size=4).run(scene(), Run(0.1, token=token))
    next(run)
    token.cancel()
    with pytest.raises(Cancelled):
        next(run)


def test_prior_of_another_pixel_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fine.safetensors"
    save_prior(
        Glow(GlowConfig(patch_size=8, steps=(1,), hidden=(4,))), path, {"pixel_mm": 0.2}
    )
    with pytest.raises(PriorError, match=r"pixel of 0\.2 mm"):
        create("flow", weights=path, device="cpu").provenance()


def test_prior_without_noise_levels_is_refused(tmp_path: Path) -> None:
    config = GlowConfig(patch_size=8, steps=(1,), hidden=(4,), conditional=False)
    path = tmp_path / "plain.safetensors"
    save_prior(Glow(config), path, {"pixel_mm": 0.4375})
    denoiser = create("flow", weights=path, device="cpu")
    with pytest.raises(PriorError, match="use the method flow-map"):
        next(denoiser.run(scene(), Run(0.1)))
