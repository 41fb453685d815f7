"""The training engine: one loop, a generator of events, that can stop and go on.

It trains whatever has a :class:`~.recipe.Recipe`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari_usflow.errors import Cancelled, UsflowError, size_text
from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.training.data import (
    Source,
    Split,
    TrainingData,
    prepare_data,
    split_data,
)
from napari_usflow.training.events import CheckpointWritten, Estimated, TrainStep
from napari_usflow.training.run_config import RunConfig
from napari_usflow.training.run_figures import draw_run
from napari_usflow.training.run_folder import Checkpoint, RunFolder
from napari_usflow.training.trainable import Recipe
from napari_usflow.training.trainer import Trainer, connect
from napari_usflow.training.trial import available_bytes

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["train"]


T = TypeVar("T")
ConfigT = TypeVar("ConfigT", bound=RunConfig)

_KEEP_CHECKPOINTS = 3


def train(
    recipe: Recipe[ConfigT],
    data: Source | Sequence[Source],
    *,
    out: str | os.PathLike[str],
    config: ConfigT | str | None = None,
    changes: Sequence[str] = (),
    resume: bool | str | os.PathLike[str] = False,
    start: str | os.PathLike[str] | None = None,
    validation: str | os.PathLike[str] | None = None,
    minutes: float | None = None,
    device: str = "auto",
    processes: int = 1,
    nodes: int = 1,
    token: CancelToken | None = None,
) -> Generator[Event, None, Path]:
    """Train what the recipe is for; yields events and returns the path of its file.

    Everything else is as :func:`~napari_usflow.training.flow.train.train_prior` says.
    """
    from napari_usflow.device import choose_device

    token = token or CancelToken()
    run = RunFolder(Path(out), recipe.result)
    go_on_from = _checkpoint(run, resume)
    configuration = recipe.configuration(config, run if resume else None, changes)
    weights = None
    if start is not None:
        _refuse_another_architecture(configuration, changes)
        beginning = recipe.begin_with(start, configuration)
        weights, configuration = beginning.weights, beginning.config
        if note := beginning.note(start):
            yield Note(note)
    recipe.check(configuration)
    split = split_data(data, validation, configuration)
    begin = go_on_from.step if go_on_from else 0
    held = ExitStack()
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        fabric = connect(choose_device(device), processes, nodes)
        if fabric.broadcast(begin) != begin:
            raise UsflowError(
                f"{run.path} holds step {begin} here, and another one at the first "
                "machine; to go on, all machines must share the run folder"
            )
        job = _Job(recipe, configuration, run, fabric, begin, token)
        prepared = yield from _first_alone(fabric, job.make_ready(split, nodes, held))
        # Processes of the same machine find what one of them has prepared.
        if fabric.local_rank != 0:
            fabric.barrier()
        if prepared is None:
            prepared = yield from prepare_data(split, configuration, run.patches, token)
        if fabric.local_rank == 0:
            fabric.barrier()
        trainer = recipe.trainer(
            configuration,
            fabric,
            prepared.sampler(configuration),
            prepared.judges(configuration),
            weights=weights,
        )
        if go_on_from is not None:
            trainer.load(go_on_from.path)
        yield from job.train(trainer, prepared.own_noise, _Clock(minutes))
    except Cancelled:
        pass
    except OSError as error:
        raise UsflowError(
            f"{error.filename or run.path}: {error.strerror or error}. Make room, or "
            "name another run folder; what was saved before is whole, and the run can "
            "be gone on with from there"
        ) from error
    finally:
        held.close()
    return run.weights


def _refuse_another_architecture(config: RunConfig, changes: Sequence[str]) -> None:
    """Raise ValueError where a field is set that the weights to begin with decide."""
    for change in changes:
        if change.strip().startswith(f"{config.kind}."):
            raise ValueError(
                f"{change}: a run that begins with the weights of another has its "
                "architecture; leave out the start, or this field"
            )


class _Job(Generic[ConfigT]):
    """A run that has been decided on, in one of its processes."""

    def __init__(
        self,
        recipe: Recipe[ConfigT],
        config: ConfigT,
        run: RunFolder,
        fabric: Fabric,
        begin: int,
        token: CancelToken,
    ) -> None:
        self._recipe, self._config, self._run = recipe, config, run
        self._fabric, self._begin, self._token = fabric, begin, token

    def make_ready(
        self, split: Split, nodes: int, held: ExitStack
    ) -> Generator[Event, None, TrainingData]:
        """Prepare the data and estimate time and memory before the first step."""
        held.enter_context(self._run.locked())
        prepared = yield from prepare_data(
            split, self._config, self._run.patches, self._token
        )
        yield self._check_memory(nodes)
        return prepared

    def _check_memory(self, nodes: int) -> Estimated:
        """Estimate what the run takes; refuse what cannot be held."""
        device, processes = self._fabric.device, self._fabric.world_size
        estimate = self._recipe.estimate(
            self._config, device, step=self._begin, processes=processes
        )
        free = available_bytes(device)
        # Processes on a CPU share its memory; of GPUs each has its own.
        needed = estimate.memory_bytes
        if device.type == "cpu":
            needed *= processes // nodes
        if free is not None and needed > free:
            raise UsflowError(
                f"a step would take {size_text(needed)} on {device}, "
                f"of which {size_text(free)} are free; {self._recipe.remedy}"
            )
        return estimate

    def train(
        self,
        trainer: Trainer[ConfigT, Any],
        volumes: Mapping[str, float],
        clock: _Clock,
    ) -> Generator[Event, None, None]:
        """Train; the first process reports the steps and saves."""
        config, fabric, begin = self._config, self._fabric, self._begin
        first = fabric.global_rank == 0
        if first:
            self._run.begin({"kind": config.kind, **asdict(config)}, begin)
            if begin:
                yield Note(f"going on from step {begin} of {config.steps}")
        patches = config.patches_per_step(fabric.world_size)
        while trainer.step < config.steps:
            # All processes must leave the loop at the same step.
            if fabric.broadcast(
                self._token.cancelled or clock.over(trainer.step - begin)
            ):
                break
            before = time.monotonic()
            loss, rate = trainer.train_step()
            if not first:
                continue
            self._run.append(
                {"step": trainer.step, "loss": round(loss, 6), "rate": rate}
            )
            yield TrainStep(
                trainer.step,
                config.steps,
                trainer.step * patches / trainer.sampler.patches_per_epoch,
                loss,
                rate,
                patches_per_second=patches / (time.monotonic() - before),
                seconds_left=clock.left(trainer.step - begin, config.steps - begin),
            )
            if trainer.step % config.validate_every == 0:
                yield from self._validate(trainer)
            if clock.checkpoint_due(config.checkpoint_minutes):
                yield self._save(trainer, volumes)
        if first and trainer.step > begin:
            if trainer.step % config.validate_every:
                yield from self._validate(trainer)
            yield self._save(trainer, volumes)

    def _validate(self, trainer: Trainer[ConfigT, Any]) -> Generator[Event, None, None]:
        judged = trainer.validate()
        self._run.append(judged.record())
        yield judged
        preview = trainer.preview()
        draw_run(self._run, preview)
        yield preview

    def _save(
        self, trainer: Trainer[ConfigT, Any], volumes: Mapping[str, float]
    ) -> CheckpointWritten:
        config, save = self._config, self._recipe.save
        checkpoint = self._run.checkpoint(trainer.step)
        card = {
            "pixel_mm": config.patches.pixel_mm,
            "value_range": [0.0, 1.0],
            "training": {**asdict(config), "steps_done": trainer.step},
            "data": list(volumes),
            "own_noise": {name: round(noise, 4) for name, noise in volumes.items()},
            "held_out": trainer.quality,
        }
        # The state last: a checkpoint counts when its state is there.
        save(trainer.average, checkpoint.weights, card)
        trainer.save(checkpoint.path)
        save(trainer.average, self._run.weights, card)
        self._run.forget_checkpoints(_KEEP_CHECKPOINTS)
        return CheckpointWritten(trainer.step, checkpoint.path, checkpoint.weights)


class _Clock:
    """When to save, when to stop, and how long it will take."""

    def __init__(self, minutes: float | None) -> None:
        self._start = self._saved = time.monotonic()
        self._limit = None if minutes is None else 60.0 * minutes

    def over(self, done: int) -> bool:
        """Whether the time given is used up; never before the first step."""
        return self._limit is not None and done > 0 and self._spent >= self._limit

    @property
    def _spent(self) -> float:
        return time.monotonic() - self._start

    def left(self, done: int, steps: int) -> float:
        """Seconds to the last step or to the end of the time given."""
        left = self._spent / done * (steps - done)
        if self._limit is not None:
            left = min(left, self._limit - self._spent)
        return max(0.0, left)

    def checkpoint_due(self, minutes: float) -> bool:
        """Whether the last checkpoint is older than this; starts the next interval."""
        now = time.monotonic()
        if now - self._saved < 60.0 * minutes:
            return False
        self._saved = now
        return True


def _checkpoint(
    run: RunFolder, resume: bool | str | os.PathLike[str]
) -> Checkpoint | None:
    """Find the checkpoint to go on from; refuse to write over another run."""
    there = run.checkpoints()
    if isinstance(resume, bool):
        if not resume and (there or run.weights.exists()):
            raise ValueError(
                f"{run.path} holds an earlier run; resume it, or choose another folder"
            )
        return there[0] if there and resume else None
    for checkpoint in there:
        if checkpoint.path.resolve() == Path(resume).resolve():
            return checkpoint
    names = ", ".join(str(checkpoint.path) for checkpoint in there)
    raise ValueError(
        f"{resume} is no whole checkpoint of the run {run.path}; there "
        f"{f'are {names}' if there else 'is none'}"
    )


def _first_alone(
    fabric: Fabric, work: Generator[Event, None, T]
) -> Generator[Event, None, T | None]:
    """Run in the first process while the others wait; these return None.

    When it fails it says why, and the others end quietly (Cancelled).
    """
    done, result = False, None
    try:
        if fabric.global_rank == 0:
            result = yield from work
        done = True
    finally:
        done = fabric.broadcast(done)
    if not done:
        raise Cancelled("the first process has ended")
    return result
