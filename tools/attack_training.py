"""Attacks on training: a run that is killed, or asked to end, loses nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from attack_common import Outcome, Rng, Run, hidden_files, wait_for

KINDS = ("flow", "network")
STEPS, VALIDATE_EVERY = 40, 20


def _train(
    kind: str, data: Path, run: Path, steps: int, *, as_command: bool = False
) -> int:
    """Train a small flow, or network; a checkpoint is due after each step."""
    import torch

    from napari_usflow.jobs import result_of

    torch.set_num_threads(1)
    short: dict[str, Any] = {
        "batch_size": 8,
        "warmup_steps": 2,
        "validate_every": VALIDATE_EVERY,
        "validation_patches": 8,
        "checkpoint_minutes": 0.001,
    }
    module: Any
    if kind == "flow":
        from napari_usflow.prior.glow import GlowConfig
        from napari_usflow.training.flow import configs as module
        from napari_usflow.training.flow.train import train_prior_events as train

        config: Any = module.TrainConfig(
            flow=GlowConfig(patch_size=16, steps=(1, 1), hidden=(8, 8)),
            likelihood_steps=steps,
            denoising_steps=0,
            noise_groups=1,
            **short,
        )
        known: dict[str, Any] = module.CONFIGS
    else:
        from napari_usflow.networks.architecture import UNetConfig
        from napari_usflow.training.network import configs as module
        from napari_usflow.training.network.train import train_network_events as train

        config = module.NetworkConfig(
            network=UNetConfig(channels=(8, 8), blocks=(1, 1)),
            steps=steps,
            crop=16,
            **short,
        )
        known = module.NETWORK_CONFIGS
    if as_command:
        from napari_usflow.cli import main

        name = next(iter(known))
        known[name] = config
        return main(["train", str(data), "--out", str(run), "--config", name])
    result_of(train(data, out=run, config=config, resume=True, device="cpu"))
    return 0


def _train_command(kind: str, data: Path, run: Path) -> int:
    """Train by the command line, and for ever."""
    return _train(kind, data, run, 10**6, as_command=True)


def terminated_trainings(folder: Path, times: int, rng: Rng) -> Iterator[Outcome]:
    """End trainings by SIGTERM at random steps: each saves its last one."""
    data = _volumes(folder)
    for kind in KINDS:
        for number in range(times):
            run = folder / f"ended-{kind}-{number}"
            process = Run(folder, _train_command, kind, data, run)
            begun = _at_a_random_step(process, run, rng)
            process.send(signal.SIGTERM)
            saved = sorted((run / "checkpoints").glob("*.pt"))
            last = _steps(run)[-1] if _steps(run) else 0
            yield Outcome(
                f"SIGTERM while training a {kind}, {number + 1}",
                begun
                and process.exit_code == 0
                and bool(saved)
                and saved[-1].stem == f"step-{last:07d}"
                and not hidden_files(run / "checkpoints"),
                f"exit code {process.exit_code}, step {last} saved",
            )


def killed_trainings(folder: Path, times: int, rng: Rng) -> Iterator[Outcome]:
    """Kill trainings at random steps: each goes on to the same bits."""
    data = _volumes(folder)
    for kind in KINDS:
        whole = folder / f"whole-{kind}"
        Run(folder, _train, kind, data, whole, STEPS).wait()
        expected = _result(whole)
        for number in range(times):
            run = folder / f"killed-{kind}-{number}"
            process = Run(folder, _train, kind, data, run, STEPS)
            begun = _at_a_random_step(process, run, rng)
            process.send(signal.SIGKILL)
            killed_at = _steps(run)[-1] if _steps(run) else 0
            Run(folder, _train, kind, data, run, STEPS).wait()
            yield Outcome(
                f"SIGKILL while training a {kind}, {number + 1}",
                begun
                and _result(run) == expected
                and _steps(run) == list(range(1, STEPS + 1)),
                f"killed at step {killed_at} of {STEPS}, went on to the same bits",
            )


def _at_a_random_step(process: Run, run: Path, rng: Rng) -> bool:
    """Wait for the first checkpoint, and from there to a random moment."""
    checkpoints, step = run / "checkpoints", int(rng.integers(1, STEPS - 5))
    wait_for(lambda: list(checkpoints.glob("*.safetensors")), process)
    begun = wait_for(lambda: (_steps(run) or [0])[-1] >= step, process)
    time.sleep(float(rng.uniform(0, 0.05)))
    return begun


def _volumes(folder: Path) -> Path:
    import h5py

    data = folder / "mri"
    data.mkdir()
    rng = np.random.default_rng(0)
    for name in ("knee_a", "knee_b"):
        smooth = np.abs(np.cumsum(rng.normal(size=(2, 64, 64)), axis=1))
        with h5py.File(data / f"{name}.h5", "w") as file:
            file["reconstruction_rss"] = smooth.astype(np.float32)
            file.attrs["pixel_size_mm"] = (0.4375, 0.4375)
    return data


def _steps(run: Path) -> list[int]:
    from napari_usflow.training.run_folder import RunFolder

    return [record["step"] for record in RunFolder(run).records() if "loss" in record]


def _result(run: Path) -> dict[str, bytes]:
    """Weights, averages and optimizer of a run's last checkpoint, as bytes."""
    import torch

    from napari_usflow.training.run_folder import RunFolder

    newest = RunFolder(run).checkpoints()[0]
    state = torch.load(newest.path, weights_only=True)
    moments = {
        f"{number}.{name}": value
        for number, values in state["optimizer"]["state"].items()
        for name, value in values.items()
    }
    parts = {name: state[name] for name in (*KINDS, "average") if name in state}
    return {
        f"{part}.{name}": value.numpy().tobytes()
        for part, values in {**parts, "optimizer": moments}.items()
        for name, value in values.items()
    }
