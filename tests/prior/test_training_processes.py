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

from napari_usflow.prior.run_folder import RunFolder
from napari_usflow.prior.store import read_card

SCRIPT = textwrap.dedent(
    """
    import sys
    import torch
    torch.set_num_threads(1)
    from napari_usflow.prior.configs import TrainConfig
    from napari_usflow.prior.glow import GlowConfig
    from napari_usflow.prior.training import train_prior

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
    for event in train_prior(
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
            read_card(checkpoint.prior)
        if killed.prior.exists():
            read_card(killed.prior)
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


def test_two_processes_share_a_step_and_keep_the_same_weights(
    start, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    assert start(run.path, processes=2).wait(timeout=120) == 0
    assert run.checkpoints()[0].step == 60
    losses = [r["loss"] for r in run.records() if "loss" in r]
    assert len(losses) == 60 and np.isfinite(losses).all()
    assert json.loads(run.config.read_text())["batch_size"] == 16
