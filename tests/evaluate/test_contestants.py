"""Ours run as a user runs them; NLM is given its best setting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.errors import PriorError
from napari_usflow.evaluate.contestants import (
    Registered,
    TunedNlm,
    prior_names,
    registered,
)
from napari_usflow.evaluate.mri_crops import mean_psnr, noisy, pick_crops
from napari_usflow.jobs import CancelToken, result_of


def denoised(contestant, crops, sigma, clean):
    run = contestant.denoise(crops, sigma, clean=clean, token=CancelToken())
    return result_of(run)


def test_ours_is_what_denoise_gives(mri_folder: Path, tiny_prior: Path) -> None:
    clean = pick_crops(mri_folder, "knee", count=2)
    y = noisy(clean, 0.2)
    contestant = Registered("flow", prior=tiny_prior, device="cpu")

    result = denoised(contestant, y, 0.2, clean)

    expected = usf.denoise(
        y, sigma=0.2, value_range=(0.0, 1.0), prior=tiny_prior, device="cpu"
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


def test_nlm_takes_the_best_setting_of_the_grid(mri_folder: Path) -> None:
    clean = pick_crops(mri_folder, "knee", count=2)
    y = noisy(clean, 0.1)

    result = denoised(TunedNlm([(3, 5, 0.01), (5, 7, 0.8)]), y, 0.1, clean)

    assert result.setting == "patch 5, distance 7, h 0.8 sigma; best of 2"
    assert mean_psnr(clean, result.crops) > mean_psnr(clean, y) + 5


def test_nlm_has_no_prior_and_the_flow_one_row_each(tiny_prior: Path) -> None:
    priors = [tiny_prior, "mri"]

    assert [c.label for c in registered("nlm", priors, device="cpu")] == ["nlm"]
    assert prior_names(priors) == ["tiny", "mri"]


def test_priors_of_one_name_are_told_apart_by_their_folders() -> None:
    names = prior_names(["runs/knees/prior.safetensors", "runs/all/prior.safetensors"])

    assert names == ["knees/prior", "all/prior"]
    with pytest.raises(ValueError, match="same name"):
        prior_names(["a/prior.safetensors", "a/prior.safetensors"])
