"""The training loop: it learns, saves, resumes, and its files are safe to load."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_usflow.errors import FileFormatError, PriorError
from napari_usflow.jobs import CancelToken
from napari_usflow.prior import load_prior
from napari_usflow.prior.configs import CONFIGS, TrainConfig
from napari_usflow.prior.glow import GlowConfig
from napari_usflow.prior.patches import PatchConfig
from napari_usflow.prior.store import read_card
from napari_usflow.prior.training import (
    CheckpointWritten,
    TrainStep,
    Validated,
    train_prior,
)

TINY = TrainConfig(
    flow=GlowConfig(patch_size=16, steps=(2, 2), hidden=(8, 8)),
    patches=PatchConfig(native_fraction=0.5),
    likelihood_steps=6,
    denoising_steps=4,
    batch_size=16,
    warmup_steps=2,
    validate_every=5,
)


def events_of(mri_folder: Path, out: Path, config: TrainConfig = TINY, **options):
    return list(
        train_prior(mri_folder, out=out, config=config, device="cpu", **options)
    )


def test_likelihood_of_held_out_patches_rises(mri_folder: Path, tmp_path: Path) -> None:
    config = replace(
        TINY,
        likelihood_steps=80,
        denoising_steps=0,
        learning_rate=5e-3,
        noise_groups=4,
        average=0.8,
        validate_every=20,
    )
    events = events_of(mri_folder, tmp_path / "run", config)
    checks = [e for e in events if isinstance(e, Validated)]
    assert sum(isinstance(e, TrainStep) for e in events) == 80
    assert checks[-1].bits_per_dim < checks[0].bits_per_dim - 0.3
    assert set(checks[-1].psnr_db) == {0.1, 0.2, 0.3, 0.4}


def test_denoising_phase_lowers_the_error_of_the_posterior_mean(
    mri_folder: Path, tmp_path: Path
) -> None:
    config = replace(
        TINY,
        likelihood_steps=20,
        denoising_steps=80,
        learning_rate=5e-3,
        average=0.8,
        validate_every=20,
    )
    checks = [
        e
        for e in events_of(mri_folder, tmp_path / "run", config)
        if isinstance(e, Validated)
    ]
    assert checks[-1].psnr_db[0.2] > checks[0].psnr_db[0.2] + 1.0


def test_run_that_is_stopped_and_resumed_equals_one_that_was_not(
    mri_folder: Path, tmp_path: Path
) -> None:
    events_of(mri_folder, tmp_path / "whole")

    token = CancelToken()
    for event in train_prior(
        mri_folder, out=tmp_path / "parts", config=TINY, device="cpu", token=token
    ):
        if isinstance(event, TrainStep) and event.step == 7:
            token.cancel()
    rest = events_of(mri_folder, tmp_path / "parts", resume=True)

    steps = [e.step for e in rest if isinstance(e, TrainStep)]
    assert steps == [8, 9, 10]
    whole, parts = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["flow"]
        for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_resume_without_a_checkpoint_starts(mri_folder: Path, tmp_path: Path) -> None:
    events = events_of(mri_folder, tmp_path / "run", resume=True, minutes=0.0)
    assert [e.step for e in events if isinstance(e, TrainStep)] == [1]
    assert isinstance(events[-1], CheckpointWritten)


def test_run_is_not_overwritten_unless_it_is_resumed(
    mri_folder: Path, tmp_path: Path
) -> None:
    events_of(mri_folder, tmp_path / "run", minutes=0.0)
    before = (tmp_path / "run" / "prior.safetensors").read_bytes()
    with pytest.raises(ValueError, match="earlier run"):
        events_of(mri_folder, tmp_path / "run")
    assert (tmp_path / "run" / "prior.safetensors").read_bytes() == before


def test_run_cancelled_before_its_first_step_writes_no_prior(
    mri_folder: Path, tmp_path: Path
) -> None:
    token = CancelToken()
    token.cancel()
    events_of(mri_folder, tmp_path / "run", token=token)
    assert not (tmp_path / "run" / "prior.safetensors").exists()


def test_unknown_configuration_names_the_known_ones(
    mri_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="'huge'; choose one of paper, cpu, best"):
        next(train_prior(mri_folder, out=tmp_path / "run", config="huge"))


def test_checkpoint_of_another_architecture_is_refused(
    mri_folder: Path, tmp_path: Path
) -> None:
    events_of(mri_folder, tmp_path / "run", minutes=0.0)
    other = replace(TINY, flow=replace(TINY.flow, hidden=(8, 16)))
    with pytest.raises(PriorError, match="another architecture"):
        events_of(mri_folder, tmp_path / "run", other, resume=True)


def test_written_prior_loads_and_says_what_it_is(
    mri_folder: Path, tmp_path: Path
) -> None:
    events_of(mri_folder, tmp_path / "run")
    path = tmp_path / "run" / "prior.safetensors"
    card = read_card(path)
    prior = load_prior(path, device="cpu")
    assert card["training"]["steps_done"] == 10
    assert card["data"] == ["knee_a.h5", "knee_b.h5"]
    assert prior.patch_size == 16
    assert not list(tmp_path.rglob("*.part"))
    assert (
        json.loads((tmp_path / "run" / "config.json").read_text())["batch_size"] == 16
    )


def test_unconditional_prior_says_so_when_asked_for_a_posterior_mean(
    mri_folder: Path, tmp_path: Path
) -> None:
    flow = replace(TINY.flow, conditional=False)
    config = replace(TINY, flow=flow, denoising_steps=0, noise_groups=1)
    events_of(mri_folder, tmp_path / "run", config)
    prior = load_prior(tmp_path / "run" / "prior.safetensors", device="cpu")
    assert np.isfinite(prior.log_prob(np.full((1, 16, 16), 0.5))).all()
    with pytest.raises(PriorError, match="without noise levels"):
        prior.posterior_mean(np.zeros((1, 16, 16)), 0.1)


def test_folder_without_mri_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"no \.h5"):
        next(train_prior(tmp_path, out=tmp_path / "run"))


def test_named_configurations_are_valid() -> None:
    assert {"paper", "cpu", "best"} == set(CONFIGS)
    assert not CONFIGS["paper"].flow.conditional
    assert CONFIGS["paper"].batch_size == 800
