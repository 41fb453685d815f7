"""The training loop: it learns, saves, resumes, and its files are safe to load."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_usflow.errors import FileFormatError, PriorError, UsflowError
from napari_usflow.jobs import CancelToken, Note
from napari_usflow.mri import MriStack
from napari_usflow.mri.patches import PatchConfig
from napari_usflow.prior import load_prior
from napari_usflow.prior.glow import Glow, GlowConfig
from napari_usflow.prior.store import read_card
from napari_usflow.training import engine, trainer
from napari_usflow.training.events import (
    CheckpointWritten,
    Estimated,
    TrainStep,
    Validated,
)
from napari_usflow.training.flow.configs import CONFIGS, TrainConfig
from napari_usflow.training.flow.train import train_prior, train_prior_events
from napari_usflow.training.run_folder import RunFolder

TINY = TrainConfig(
    flow=GlowConfig(patch_size=16, steps=(2, 2), hidden=(8, 8), depth=(1,)),
    patches=PatchConfig(native_fraction=0.5),
    likelihood_steps=6,
    denoising_steps=4,
    batch_size=16,
    warmup_steps=2,
    validate_every=5,
    validation_patches=24,
)


def events_of(mri_folder: Path, out: Path, config: TrainConfig = TINY, **options):
    return list(
        train_prior_events(mri_folder, out=out, config=config, device="cpu", **options)
    )


def test_likelihood_of_held_out_patches_rises(mri_folder: Path, tmp_path: Path) -> None:
    config = replace(
        TINY,
        likelihood_steps=80,
        denoising_steps=0,
        learning_rate=5e-3,
        noise_groups=4,
        average=0.8,
        validate_every=10,
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
        validate_every=40,
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
    for event in train_prior_events(
        mri_folder, out=tmp_path / "parts", config=TINY, device="cpu", token=token
    ):
        if isinstance(event, TrainStep) and event.step == 7:
            token.cancel()
    rest = events_of(mri_folder, tmp_path / "parts", resume=True)

    steps = [e.step for e in rest if isinstance(e, TrainStep)]
    assert steps == [8, 9, 10]
    whole, parts = (
        torch.load(RunFolder(tmp_path / name).checkpoint(10).path, weights_only=True)[
            "flow"
        ]
        for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_epoch_says_how_often_the_pixels_were_drawn(tmp_path: Path) -> None:
    slices = np.random.default_rng(0).random((3, 32, 48), np.float32)
    stacks = [MriStack(slices, (0.4375, 0.4375), name) for name in ("one", "two")]
    config = replace(TINY, validation_patches=1)
    # One of the two is held out: 3 x 32 x 48 pixels, 18 patches of 16 x 16.
    epochs = [
        event.epoch
        for event in train_prior_events(
            stacks, out=tmp_path / "run", config=config, device="cpu"
        )
        if isinstance(event, TrainStep)
    ]
    assert epochs == pytest.approx([16 * step / 18 for step in range(1, 11)])


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


def test_folder_of_a_run_at_work_is_refused_to_another(
    mri_folder: Path, tmp_path: Path
) -> None:
    config = replace(TINY, checkpoint_minutes=0.001)
    first = train_prior_events(
        mri_folder, out=tmp_path / "run", config=config, device="cpu"
    )
    next(event for event in first if isinstance(event, TrainStep))

    with pytest.raises(UsflowError, match="another run is at work"):
        events_of(mri_folder, tmp_path / "run", resume=True)

    first.close()
    assert events_of(mri_folder, tmp_path / "run", resume=True)


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
        train_prior(mri_folder, out=tmp_path / "run", config="huge")


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
    assert card["data"] == ["knee_a", "knee_b"]
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


def test_posterior_mean_is_not_trained_without_noise_levels(
    mri_folder: Path, tmp_path: Path
) -> None:
    config = replace(TINY, flow=replace(TINY.flow, conditional=False))
    with pytest.raises(ValueError, match="set denoising_steps to 0"):
        events_of(mri_folder, tmp_path / "run", config)


def test_folder_without_mri_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no MRI found"):
        train_prior(tmp_path, out=tmp_path / "run")


def test_named_configurations_are_valid() -> None:
    assert {"paper", "paper-small", "cpu", "best"} == set(CONFIGS)
    assert not CONFIGS["paper"].flow.conditional
    assert CONFIGS["paper"].batch_size == 800


def test_estimate_comes_before_the_first_step(mri_folder: Path, tmp_path: Path) -> None:
    events = events_of(mri_folder, tmp_path / "run", minutes=0.0)
    kinds = [type(e) for e in events]
    assert kinds.index(Estimated) < kinds.index(TrainStep)
    found = events[kinds.index(Estimated)]
    assert found.parameters == sum(p.numel() for p in Glow(TINY.flow).parameters())
    assert found.seconds > 0


def test_step_that_does_not_fit_in_memory_is_refused_with_a_remedy(
    mri_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(engine, "available_bytes", lambda device: 1000)
    with pytest.raises(UsflowError, match=r"of which .* are free; lower batch_size"):
        events_of(mri_folder, tmp_path / "run")


def test_run_goes_back_to_a_checkpoint_and_forgets_what_came_after(
    mri_folder: Path, tmp_path: Path
) -> None:
    config = replace(TINY, checkpoint_minutes=0.001)
    for event in train_prior_events(
        mri_folder, out=tmp_path / "run", config=config, device="cpu"
    ):
        if isinstance(event, TrainStep):
            time.sleep(0.07)  # longer than the time between checkpoints
    run = RunFolder(tmp_path / "run")
    newest, middle, _ = run.checkpoints()
    assert (newest.step, middle.step) == (10, 9)

    events_of(mri_folder, run.path, config, resume=middle.path, minutes=0.0)

    steps = [r["step"] for r in run.records() if "loss" in r]
    assert steps == list(range(1, 11))


def test_run_that_starts_from_a_prior_has_its_architecture_and_weights(
    mri_folder: Path, tmp_path: Path
) -> None:
    events_of(mri_folder, tmp_path / "first")
    first = tmp_path / "first" / "prior.safetensors"
    other = replace(TINY, flow=GlowConfig(patch_size=8, steps=(1,), hidden=(4,)))
    still = replace(other, learning_rate=0.0, final_learning_rate=0.0)
    events_of(mri_folder, tmp_path / "second", still, start=first, minutes=0.0)
    second = tmp_path / "second" / "prior.safetensors"
    x = np.full((2, 16, 16), 0.3, np.float32)
    assert np.allclose(
        load_prior(first, device="cpu").log_prob(x),
        load_prior(second, device="cpu").log_prob(x),
        atol=1e-3,
    )


def test_start_from_a_prior_of_another_pixel_is_told(
    mri_folder: Path, tmp_path: Path
) -> None:
    events_of(mri_folder, tmp_path / "first", minutes=0.0)
    other = replace(TINY, patches=replace(TINY.patches, pixel_mm=0.6))
    first = tmp_path / "first" / "prior.safetensors"
    events = events_of(mri_folder, tmp_path / "second", other, start=first, minutes=0.0)
    told = [event.text for event in events if isinstance(event, Note)]
    assert any("0.4375 mm" in text and "0.6 mm" in text for text in told)


def test_stacks_in_memory_are_trained_on_as_files_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    slices = rng.random((3, 40, 40), np.float32)
    stacks = [MriStack(slices, (0.4375, 0.4375), name) for name in ("one", "two")]
    events = list(
        train_prior_events(
            stacks, out=tmp_path / "run", config=TINY, device="cpu", minutes=0.0
        )
    )
    assert any(isinstance(e, CheckpointWritten) for e in events)
    assert read_card(tmp_path / "run" / "prior.safetensors")["data"] == ["two"]


def test_run_folder_holds_figures_that_can_be_opened(
    mri_folder: Path, tmp_path: Path
) -> None:
    from PIL import Image

    events_of(mri_folder, tmp_path / "run", minutes=0.0)
    for name in ("curves.png", "samples.png"):
        with Image.open(tmp_path / "run" / "figures" / name) as picture:
            assert min(picture.size) > 100


def test_full_disk_keeps_the_last_checkpoint_and_says_what_happened(
    mri_folder: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    config = replace(TINY, checkpoint_minutes=0.001)
    events = train_prior_events(
        mri_folder, out=tmp_path / "run", config=config, device="cpu"
    )
    run = RunFolder(tmp_path / "run")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)

    try:
        with pytest.raises(UsflowError, match="File too large") as caught:
            for event in events:
                time.sleep(0.07)
                if isinstance(event, CheckpointWritten):
                    # Room for the log and a prior, but not for a whole state.
                    room = event.path.stat().st_size - 1
                    assert event.weights.stat().st_size < room
                    resource.setrlimit(resource.RLIMIT_FSIZE, (room, usual[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)

    assert "what was saved before is whole" in str(caught.value)
    assert len(run.checkpoints()) == 1
    assert not [p for p in run.path.rglob(".*") if p.is_file()]
    rest = events_of(mri_folder, run.path, config, resume=True, minutes=0.0)
    assert [e.step for e in rest if isinstance(e, TrainStep)] == [2]


def test_run_that_goes_on_keeps_its_own_configuration(
    mri_folder: Path, tmp_path: Path
) -> None:
    events_of(mri_folder, tmp_path / "run", minutes=0.0)
    rest = events_of(mri_folder, tmp_path / "run", None, resume=True)
    steps = [e for e in rest if isinstance(e, TrainStep)]
    assert (steps[0].step, steps[-1].step, steps[-1].steps) == (2, 10, 10)


def test_run_folder_that_cannot_be_made_is_one_clear_error(
    mri_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsflowError, match=r"file/run: Not a directory\. Make room, or"):
        events_of(mri_folder, tmp_path / "file" / "run")


def test_card_names_only_what_was_trained_on(mri_folder: Path, tmp_path: Path) -> None:
    config = replace(TINY, patches=PatchConfig(only="brain"))
    held_out = mri_folder / "knee_a.h5"
    events_of(mri_folder, tmp_path / "run", config, validation=held_out, minutes=0.0)
    card = read_card(tmp_path / "run" / "prior.safetensors")
    assert card["data"] == ["brain_a"]
    assert set(card["own_noise"]) == {"brain_a"}


def test_run_whose_gradient_stays_broken_ends_with_advice(
    mri_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(trainer, "_MOST_BROKEN", 3)
    broken = torch.full((), float("nan"))
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: broken)
    with pytest.raises(UsflowError, match="lower learning rate"):
        events_of(mri_folder, tmp_path / "run")


def test_checkpoint_keeps_the_held_out_figures(
    mri_folder: Path, tmp_path: Path
) -> None:
    events_of(mri_folder, tmp_path / "run")
    longer = replace(TINY, denoising_steps=5, validate_every=100)
    events = train_prior_events(
        mri_folder,
        out=tmp_path / "run",
        config=replace(longer, checkpoint_minutes=0.001),
        resume=True,
        device="cpu",
    )
    for event in events:
        time.sleep(0.07)  # longer than the time between checkpoints
        if isinstance(event, CheckpointWritten):
            break
    assert event.step == 11
    assert read_card(event.weights)["held_out"]["step"] == 10
