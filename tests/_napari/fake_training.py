"""A stand-in for the training engine: the same events and files, without a flow."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.training.events import (
    CheckpointWritten,
    Estimated,
    Previewed,
    TrainStep,
    Validated,
)
from napari_usflow.training.run_config import RunConfig
from napari_usflow.training.run_folder import RunFolder

LEVELS = (0.1, 0.2, 0.3, 0.4)


class Ballast:
    """Stands for the flow that a run computes with."""


class FakeEngine:
    """Called as ``train_prior_events`` or ``train_network_events``; notes how.

    Parameters
    ----------
    step_s, save_s : float
        Time that a step and the last save take.
    validate_every : int
    fail_at : int, optional
        Step that fails as torch does.
    network : bool
        Report what is told of a network.
    """

    def __init__(
        self,
        *,
        step_s: float = 0.002,
        save_s: float = 0.0,
        validate_every: int = 20,
        fail_at: int | None = None,
        network: bool = False,
    ) -> None:
        self.network = network
        self.step_s, self.save_s = step_s, save_s
        self.validate_every, self.fail_at = validate_every, fail_at
        self.calls: list[dict[str, Any]] = []
        self.ballast: list[Any] = []

    def __call__(
        self,
        data: Any,
        *,
        out: Path,
        config: RunConfig,
        resume: bool | Path = False,
        token: CancelToken,
        **others: Any,
    ) -> Generator[Event, None, Path]:
        import weakref

        self.calls.append(
            {"data": data, "out": out, "config": config, "resume": resume, **others}
        )
        flow = Ballast()
        self.ballast.append(weakref.ref(flow))
        run = RunFolder(Path(out))
        run.path.mkdir(parents=True, exist_ok=True)
        run.config.write_text(json.dumps({"kind": config.kind, **asdict(config)}))
        step = 0
        if resume is True and run.checkpoints():
            step = run.checkpoints()[0].step
        elif resume:
            step = int(Path(resume).stem.removeprefix("step-"))
        yield Note("reading")
        yield Estimated(1_200_000, 3600.0, 850.0, 3 * 2**28)
        while step < config.steps and not token.cancelled:
            time.sleep(self.step_s)
            if step == self.fail_at:
                raise RuntimeError("CUDA out of memory")
            step += 1
            loss = 1.0 + 4.0 * np.exp(-step / 30) + 0.1 * np.sin(7 * step)
            run.append({"step": step, "loss": loss})
            left = (config.steps - step) * self.step_s
            yield TrainStep(step, config.steps, step / 50, loss, 1e-3, 850.0, left)
            if step % self.validate_every == 0:
                yield from self._look(run, step)
                yield self._save(run, step)
        time.sleep(self.save_s)
        yield self._save(run, step)
        return run.weights

    def _look(self, run: RunFolder, step: int) -> Generator[Event, None, None]:
        psnr = {s: 34 - 20 * s - 6 * np.exp(-step / 60) for s in LEVELS}
        bits = None if self.network else 4 + 2 * np.exp(-step / 60)
        judged = Validated(step, bits, psnr, 22 + step / 1000 if self.network else None)
        run.append(judged.record())
        yield judged
        rng = np.random.default_rng(step)
        names = ("real", "generated", "noisy", "denoised")
        pictures = {name: rng.random((16, 8, 8), dtype=np.float32) for name in names}
        if self.network:
            pictures["generated"] = pictures["generated"][:0]
        yield Previewed(step=step, sigma=0.2, **pictures)

    def _save(self, run: RunFolder, step: int) -> CheckpointWritten:
        point = run.checkpoint(step)
        point.path.parent.mkdir(exist_ok=True)
        point.path.write_bytes(b"state")
        for prior in (point.weights, run.weights):
            prior.write_bytes(b"prior of step %d" % step)
        return CheckpointWritten(step, point.path, point.weights)
