"""Runs in processes of their own: killed ones go on, several share a step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_usflow.prior.store import read_card
from napari_usflow.training.run_folder import RunFolder

SCRIPT = textwrap.dedent(
    """
    import sys
    import torch
    torch.set_num_threads(1)
    from napari_usflow.training.flow.configs import TrainConfig
    from napari_usflow.prior.glow import GlowConfig
    from napari_usflow.training.flow.train import train_prior_events

    data, out, processes = sys.argv[1:4]
    config = TrainConfig(
        flow=GlowConfig(patch_size=16, steps=(2, 2), hidden=(8, 8), depth=(1,)),
        likelihood_steps=20,
        denoising_steps=40,
        batch_size=16,
        noise_groups=2,
        warmup_steps=2,
        validate_every=20,
        validation_patches=8,
        checkpoint_minutes=0.001,
    )
    for event in train_prior_events(
        data, out=out, config=config, resume=True, device="cpu",
        processes=int(processes),
    ):
        pass
    """
)


@pytest.fixture
def start(tmp_path: Path, mri_folder: Path):
    """Start a run of 60 steps in a process of its own."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    running = []

    def begin(out: Path, processes: int = 1) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(script), str(mri_folder), str(out)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        running.append(subprocess.Popen([*command, str(processes)], env=environment))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    state = torch.load(run.checkpoints()[0].path, weights_only=True)
    return state["flow"]


def wait_for(condition, process: subprocess.Popen[bytes]) -> None:
    while not condition():
        assert process.poll() is None, "the run ended early"
        time.sleep(0.002)


def test_run_killed_three_times_ends_as_one_that_was_not(start, tmp_path: Path) -> None:
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    rng = np.random.default_rng(0)
    for step in (5, 25, 45):
        process = start(killed.path)
        wait_for(
            lambda step=step: (
                killed.checkpoints() and killed.checkpoints()[0].step >= step
            ),
            process,
        )
        time.sleep(rng.uniform(0.0, 0.1))
        process.kill()
        process.wait()
        # Whatever has its final name is whole.
        for checkpoint in killed.checkpoints():
            torch.load(checkpoint.path, weights_only=True)
            read_card(checkpoint.weights)
        if killed.weights.exists():
            read_card(killed.weights)
    assert start(killed.path).wait() == 0
    assert start(whole.path).wait() == 0

    expected, found = weights(whole), weights(killed)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    curves = [
        [(r["step"], r["loss"]) for r in run.records() if "loss" in r]
        for run in (whole, killed)
    ]
    assert [step for step, _ in curves[1]] == list(range(1, 61))
    assert curves[0] == curves[1]
    assert not [p for p in killed.path.rglob(".*") if p.is_file()]


def test_two_processes_share_a_step(start, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    assert start(run.path, processes=2).wait(timeout=120) == 0
    assert run.checkpoints()[0].step == 60
    losses = [r["loss"] for r in run.records() if "loss" in r]
    assert len(losses) == 60 and np.isfinite(losses).all()
    assert json.loads(run.config.read_text())["batch_size"] == 16


STEPS = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import numpy as np
    import torch
    torch.set_num_threads(1)
    from napari_usflow.training.flow.configs import TrainConfig
    from napari_usflow.prior.glow import GlowConfig
    from napari_usflow.training.flow.trainer import FlowTrainer
    from napari_usflow.mri.patches import PatchSampler
    from napari_usflow.training.trainer import connect

    data, out = map(Path, sys.argv[1:])
    config = TrainConfig(
        flow=GlowConfig(patch_size=16, steps=(2, 2), hidden=(8, 8), depth=(1,)),
        likelihood_steps=2, denoising_steps=2, batch_size=16, noise_groups=2,
    )
    sampler = PatchSampler(sorted(data.glob("*.h5")), config.patches, 16)
    fabric = connect(torch.device("cpu"), 2, 1)
    held_out = sampler.draw(1, np.random.default_rng(0))
    trainer = FlowTrainer(config, fabric, sampler, held_out)
    losses = [trainer.train_step()[0] for _ in range(4)]
    torch.save(
        {"flow": trainer.model.state_dict(), "losses": losses},
        out / f"rank{fabric.global_rank}.pt",
    )
    """
)


def test_processes_draw_their_own_patches_and_keep_the_same_weights(
    tmp_path: Path, mri_folder: Path
) -> None:
    script = tmp_path / "steps.py"
    script.write_text(STEPS, encoding="utf-8")
    subprocess.run(
        [sys.executable, str(script), str(mri_folder), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=120,
    )
    first, second = (
        torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    assert all(a != b for a, b in zip(first["losses"], second["losses"], strict=True))
    assert all(torch.equal(first["flow"][k], second["flow"][k]) for k in first["flow"])


def test_other_processes_end_with_the_first_one_that_fails(
    tmp_path: Path, mri_folder: Path
) -> None:
    import h5py

    with h5py.File(mri_folder / "knee_b.h5", "a") as file:
        file["reconstruction_rss"][0, 0, 0] = np.nan
    command = [sys.executable, "-m", "napari_usflow.cli", "train", str(mri_folder)]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run"), "--processes", "2"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("usflow:")]
    assert done.returncode == 2
    assert len(errors) == 1 and "holds NaN" in errors[0]
