"""Ours run as a user runs them; NLM is given its best setting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.errors import Cancelled, PriorError
from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.lab.contest.contestants import (
    Registered,
    Tuned,
    prior_names,
    registered,
)
from napari_usflow.lab.contest.mri_crops import mean_psnr, noisy, pick_crops


def denoised(contestant, crops, sigma, clean):
    run = contestant.denoise(crops, sigma, clean=clean, token=CancelToken())
    return result_of(run)


def test_ours_is_what_denoise_gives(mri_folder: Path, tiny_prior: Path) -> None:
    clean = pick_crops(mri_folder, "knee", count=2)
    y = noisy(clean, 0.2)
    contestant = Registered("flow", weights=tiny_prior, device="cpu")

    result = denoised(contestant, y, 0.2, clean)

    expected = usf.denoise(
        y,
        method="flow",
        sigma=0.2,
        value_range=(0.0, 1.0),
        weights=tiny_prior,
        device="cpu",
    )
    np.testing.assert_array_equal(result.crops, expected)
    assert result.seconds > 0


def test_a_prior_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"no prior")

    with pytest.raises(PriorError, match=r"bad\.safetensors"):
        registered("flow", [tmp_path / "bad.safetensors"], device="cpu")


def test_a_prior_without_noise_levels_is_told_at_once(tmp_path: Path) -> None:
    from napari_usflow.prior.glow import Glow, GlowConfig
    from napari_usflow.prior.store import save_prior

    flow = Glow(GlowConfig(steps=(1, 1), hidden=(8, 8), conditional=False))
    save_prior(flow, tmp_path / "paper.safetensors", {"pixel_mm": 0.4375})

    with pytest.raises(PriorError, match="trained without noise levels"):
        registered("flow", [tmp_path / "paper.safetensors"], device="cpu")


def test_a_tuned_method_takes_the_best_setting_of_the_grid(mri_folder: Path) -> None:
    clean = pick_crops(mri_folder, "knee", count=2)
    y = noisy(clean, 0.1)
    contestant = Tuned("nlm", grid={"patch_size": (3, 5), "h": (0.05, 0.8)})

    result = denoised(contestant, y, 0.1, clean)

    scores = {
        (patch, h): mean_psnr(
            clean,
            usf.denoise(
                y, method="nlm", sigma=0.1, value_range=(0, 1), patch_size=patch, h=h
            ),
        )
        for patch in (3, 5)
        for h in (0.05, 0.8)
    }
    patch, h = max(scores, key=lambda key: scores[key])
    assert result.setting == f"patch size {patch}, h {h:g}; best of 4"
    assert mean_psnr(clean, result.crops) == pytest.approx(scores[patch, h])
    assert mean_psnr(clean, result.crops) > mean_psnr(clean, y) + 5


def test_block_means_are_not_tried_at_the_pixel_of_the_crops(mri_folder: Path) -> None:
    clean = pick_crops(mri_folder, "knee", count=1)
    tried = method_class("tv").grid

    result = denoised(Tuned("tv"), noisy(clean, 0.1), 0.1, clean)

    assert "block" in tried and "block" not in result.setting
    assert result.setting.endswith(f"; best of {len(tried['weight'])}")


def test_a_search_that_is_stopped_gives_no_contestant_a_result() -> None:
    clean = np.full((1, 16, 16), 0.5, np.float32)
    token = CancelToken()
    run = Tuned("tv").denoise(noisy(clean, 0.1), 0.1, clean=clean, token=token)
    with pytest.raises(Cancelled):
        for _ in run:
            token.cancel()


@pytest.mark.parametrize("method", ["nlm", "obnlm", "srad", "tv"])
def test_every_baseline_takes_part_tuned(method: str) -> None:
    (contestant,) = registered(method, ["mri"], device="cpu")

    assert isinstance(contestant, Tuned)
    assert contestant.label == method


def test_nlm_has_no_prior_and_the_flow_one_row_each(tiny_prior: Path) -> None:
    priors = [tiny_prior, "mri"]

    assert [c.label for c in registered("nlm", priors, device="cpu")] == ["nlm"]
    assert prior_names(priors) == ["tiny", "mri"]


def test_priors_of_one_name_are_told_apart_by_their_folders() -> None:
    names = prior_names(["runs/knees/prior.safetensors", "runs/all/prior.safetensors"])

    assert names == ["knees/prior", "all/prior"]
    with pytest.raises(ValueError, match="same name"):
        prior_names(["a/prior.safetensors", "a/prior.safetensors"])
