"""Training a prior: one loop, a generator of events, that can stop and go on."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from napari_usflow.errors import Cancelled, UsflowError
from napari_usflow.io.hdf5 import size_text
from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.parameters import check_parameters
from napari_usflow.prior.configs import CONFIGS, TrainConfig, read_config
from napari_usflow.prior.estimate import available_bytes, estimate
from napari_usflow.prior.events import CheckpointWritten, Estimated, TrainStep
from napari_usflow.prior.run_figures import draw_run
from napari_usflow.prior.run_folder import Checkpoint, RunFolder
from napari_usflow.prior.store import load_weights, save_prior
from napari_usflow.prior.trainer import Trainer, connect
from napari_usflow.prior.training_data import (
    Source,
    Split,
    TrainingData,
    prepare_data,
    split_data,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["train_prior"]


T = TypeVar("T")

_KEEP_CHECKPOINTS = 3


def train_prior(
    data: Source | Sequence[Source],
    *,
    out: str | os.PathLike[str],
    config: TrainConfig | str | None = None,
    resume: bool | str | os.PathLike[str] = False,
    start: str | os.PathLike[str] | None = None,
    validation: str | os.PathLike[str] | None = None,
    minutes: float | None = None,
    device: str = "auto",
    processes: int = 1,
    nodes: int = 1,
    token: CancelToken | None = None,
) -> Generator[Event, None, Path]:
    """Train a prior; yields events and returns the path of the prior file.

    Parameters
    ----------
    data : path, MriStack, or a sequence of them
        MRI files or folders of them (see :mod:`napari_usflow.io.mri`), or stacks.
    out : path
        Run folder (see :mod:`napari_usflow.prior.run_folder`).
    config : TrainConfig or str, optional
        Or a name of :data:`CONFIGS`. When omitted, that of the run that goes on, else
        ``cpu``.
    resume : bool or path
        Go on from the run's newest checkpoint, or from the one named (later ones and
        their part of the log are dropped); starts when there is none.
    start : str or path, optional
        A prior whose weights a new run begins with (a shipped one's name or a file),
        to suit it to other data; its architecture replaces the configuration's, and
        the steps of likelihood alone are left out.
    validation : path, optional
        Held-out files or a folder of them, which are not trained on where ``data``
        has them too. Without it every tenth stack of ``data`` is held out, even if
        others of the same subject are trained on.
    minutes : float, optional
        Stop (and save) after so many minutes of steps.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    processes : int
        Processes on this machine, one a GPU, or sharing the CPU. Each runs the
        calling script again, as Lightning Fabric does it.
    nodes : int
        Machines; start the same command on each (Fabric reads MASTER_ADDR,
        MASTER_PORT and NODE_RANK, or what torchrun or Slurm sets). To go on with a
        run they must share its folder.
    token : CancelToken, optional
        When cancelled, the run is saved and ends.

    Yields
    ------
    Event
        Notes and Progress while reading, then
        :class:`~napari_usflow.prior.events.Estimated`, a ``TrainStep`` a step, and
        ``Validated``, ``Previewed`` and ``CheckpointWritten`` as they come. Of
        several processes only the first one tells of the training.

    Raises
    ------
    FileFormatError
        When a data file cannot be used.
    PriorError
        When the checkpoint does not fit the configuration.
    UsflowError
        When the step would not fit in memory, or the run folder cannot be written.
    ValueError
        When there is no such configuration, the folder holds another run, or nothing
        is left to train on.
    """
    from napari_usflow.device import choose_device

    token = token or CancelToken()
    run = RunFolder(Path(out))
    go_on_from = _checkpoint(run, resume)
    config = _configuration(config, run if resume else None)
    weights = None
    if start is not None:
        flow, card = load_weights(start)
        pixel_mm = config.patches.pixel_mm
        if not math.isclose(card["pixel_mm"], pixel_mm, rel_tol=0.01):
            yield Note(
                f"{start} was trained at a pixel of {card['pixel_mm']:g} mm, this run "
                f"is at {pixel_mm:g} mm: what it knows of sizes has to be learned anew"
            )
        weights, config = flow.state_dict(), replace(config, flow=flow.config)
        if config.denoising_steps:
            # The prior has had its own; more would undo part of what came after.
            config = replace(config, likelihood_steps=0)
    if config.denoising_steps and not config.flow.conditional:
        raise ValueError(
            "a flow without noise levels has no posterior mean to train: set "
            "denoising_steps to 0 (as the configuration paper does), or conditional"
        )
    split = split_data(data, validation, config)
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
        prepared = yield from _first_alone(
            fabric, _make_ready(split, run, config, fabric, begin, nodes, token, held)
        )
        # Processes of the same machine find what one of them has prepared.
        if fabric.local_rank != 0:
            fabric.barrier()
        if prepared is None:
            prepared = yield from prepare_data(split, config, run.patches, token)
        if fabric.local_rank == 0:
            fabric.barrier()
        trainer = Trainer(
            config,
            fabric,
            prepared.sampler(config),
            prepared.judges(config),
            weights=weights,
        )
        if go_on_from is not None:
            trainer.load(go_on_from.path)
        clock = _Clock(minutes)
        yield from _train(trainer, run, prepared.own_noise, begin, clock, token)
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
    return run.prior


def _train(
    trainer: Trainer,
    run: RunFolder,
    volumes: dict[str, float],
    begin: int,
    clock: _Clock,
    token: CancelToken,
) -> Generator[Event, None, None]:
    """Take the steps; the first process tells of them and saves."""
    config, fabric = trainer.config, trainer.fabric
    first = fabric.global_rank == 0
    if first:
        run.begin(asdict(config), begin)
        if begin:
            yield Note(f"going on from step {begin} of {config.steps}")
    patches = config.patches_per_step(fabric.world_size)
    while trainer.step < config.steps:
        # All processes must leave the loop at the same step.
        if fabric.broadcast(token.cancelled or clock.over(trainer.step - begin)):
            break
        before = time.monotonic()
        loss, rate = trainer.train_step()
        if not first:
            continue
        run.append({"step": trainer.step, "loss": round(loss, 6), "rate": rate})
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
            yield from _validate(trainer, run)
        if clock.checkpoint_due(config.checkpoint_minutes):
            yield _save(trainer, run, volumes)
    if first and trainer.step > begin:
        if trainer.step % config.validate_every:
            yield from _validate(trainer, run)
        yield _save(trainer, run, volumes)


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


def _configuration(
    config: TrainConfig | str | None, earlier: RunFolder | None
) -> TrainConfig:
    """Find the configuration: given, by name, or that of the run that goes on."""
    if config is None and earlier is not None and earlier.config.is_file():
        config = read_config(earlier.config)
    if not isinstance(config, TrainConfig):
        name = config or "cpu"
        if name not in CONFIGS:
            raise ValueError(
                f"there is no configuration {name!r}; choose one of "
                f"{', '.join(CONFIGS)}"
            )
        config = CONFIGS[name]
    check_parameters(config)
    check_parameters(config.flow)
    check_parameters(config.patches)
    return config


def _checkpoint(
    run: RunFolder, resume: bool | str | os.PathLike[str]
) -> Checkpoint | None:
    """Find the checkpoint to go on from; refuse to write over another run."""
    there = run.checkpoints()
    if isinstance(resume, bool):
        if not resume and (there or run.prior.exists()):
            raise ValueError(
                f"{run.path} holds an earlier run; resume it, or name another folder"
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
    """Let the first process work and the others wait; these get None.

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


def _make_ready(
    split: Split,
    run: RunFolder,
    config: TrainConfig,
    fabric: Fabric,
    begin: int,
    nodes: int,
    token: CancelToken,
    held: ExitStack,
) -> Generator[Event, None, TrainingData]:
    """Do what must go well before the first step, and say what it will take."""
    held.enter_context(run.locked())
    prepared = yield from prepare_data(split, config, run.patches, token)
    yield _check_memory(config, fabric, begin, nodes)
    return prepared


def _check_memory(
    config: TrainConfig, fabric: Fabric, begin: int, nodes: int
) -> Estimated:
    """Estimate what the run takes; refuse what cannot be held."""
    found = estimate(config, fabric.device, step=begin, processes=fabric.world_size)
    free = available_bytes(fabric.device)
    # Processes on a CPU share its memory; of GPUs each has its own.
    sharing = fabric.world_size // nodes if fabric.device.type == "cpu" else 1
    needed = found.memory_bytes * sharing
    if free is not None and needed > free:
        raise UsflowError(
            f"a step would take {size_text(needed)} on {fabric.device}, "
            f"of which {size_text(free)} are free; lower batch_size, raise "
            "noise_groups (each part is worked on alone), or set checkpointing"
        )
    return found


def _validate(trainer: Trainer, run: RunFolder) -> Generator[Event, None, None]:
    judged = trainer.validate()
    run.append(asdict(judged))
    yield judged
    preview = trainer.preview()
    draw_run(run, preview)
    yield preview


def _save(
    trainer: Trainer, run: RunFolder, volumes: dict[str, float]
) -> CheckpointWritten:
    config = trainer.config
    checkpoint = run.checkpoint(trainer.step)
    card = {
        "pixel_mm": config.patches.pixel_mm,
        "value_range": [0.0, 1.0],
        "training": {**asdict(config), "steps_done": trainer.step},
        "data": list(volumes),
        "own_noise": {name: round(noise, 4) for name, noise in volumes.items()},
        "held_out": trainer.quality,
    }
    # The state last: a checkpoint counts when its state is there.
    save_prior(trainer.average, checkpoint.prior, card)
    trainer.save(checkpoint.path)
    save_prior(trainer.average, run.prior, card)
    run.forget_checkpoints(_KEEP_CHECKPOINTS)
    return CheckpointWritten(trainer.step, checkpoint.path, checkpoint.prior)
