"""Training a prior: one loop, a generator of events, that can stop and go on."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import Cancelled, UsflowError
from napari_usflow.io.hdf5 import size_text
from napari_usflow.io.mri import MriStack, find_files, name_of
from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.parameters import check_parameters
from napari_usflow.prior.configs import CONFIGS, TrainConfig
from napari_usflow.prior.estimate import available_bytes, estimate
from napari_usflow.prior.events import CheckpointWritten, Estimated, TrainStep
from napari_usflow.prior.patches import PatchSampler
from napari_usflow.prior.run_figures import draw_run
from napari_usflow.prior.run_folder import Checkpoint, RunFolder
from napari_usflow.prior.slices import prepare_slices
from napari_usflow.prior.store import load_weights, save_prior
from napari_usflow.prior.trainer import Trainer, connect

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["train_prior"]

Float = npt.NDArray[np.float32]
Source = str | os.PathLike[str] | MriStack

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
        Or a name of :data:`CONFIGS`; ``cpu`` when omitted.
    resume : bool or path
        Go on from the run's newest checkpoint, or from the one named (later ones and
        their part of the log are dropped); starts when there is none.
    start : str or path, optional
        A prior whose weights a new run begins with (a shipped one's name or a file),
        to suit it to other data; its architecture replaces the configuration's.
    validation : path, optional
        Held-out files or a folder of them. Without it every tenth stack of ``data``
        is held out.
    minutes : float, optional
        Stop (and save) after so many minutes more.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    processes : int
        Processes on this machine, one a GPU, or sharing the CPU. Each runs the
        calling script again, as Lightning Fabric does it.
    nodes : int
        Machines; start the same command on each (Fabric reads MASTER_ADDR,
        MASTER_PORT and NODE_RANK, or what torchrun or Slurm sets).
    token : CancelToken, optional
        When cancelled, the run is saved and ends.

    Yields
    ------
    Event
        Notes and Progress while reading, then
        :class:`~napari_usflow.prior.events.Estimated`, a ``TrainStep`` a step, and
        ``Validated``, ``Previewed`` and ``CheckpointWritten`` as they come. With
        several processes only the first one yields more than steps.

    Raises
    ------
    FileFormatError
        When a data file cannot be used.
    PriorError
        When the checkpoint does not fit the configuration.
    UsflowError
        When the step would not fit in memory.
    ValueError
        When there is no such configuration, or the folder holds another run.
    """
    from napari_usflow.device import choose_device

    config = _configuration(config)
    token = token or CancelToken()
    run = RunFolder(Path(out))
    go_on_from = _checkpoint(run, resume)
    weights = None
    if start is not None:
        flow, _ = load_weights(start)
        weights, config = flow.state_dict(), replace(config, flow=flow.config)
    training, held_out = _split(data, validation, config)
    names = [name_of(source) for source in training]
    fabric = connect(choose_device(device), processes, nodes)
    first = fabric.global_rank == 0
    run.path.mkdir(parents=True, exist_ok=True)
    try:
        samplers = yield from _prepare(training, held_out, run, config, fabric, token)
    except Cancelled:
        return run.prior
    begin = go_on_from.step if go_on_from else 0
    if first:
        yield _check_memory(config, fabric, begin)
    trainer = Trainer(config, fabric, *samplers, weights=weights)
    if go_on_from is not None:
        trainer.load(go_on_from.path)
        yield Note(f"going on from step {begin} of {config.steps}")
    if first:
        run.begin(asdict(config), begin)
    clock = _Clock(minutes)
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
            loss,
            rate,
            patches_per_second=config.batch_size / (time.monotonic() - before),
            seconds_left=clock.left(trainer.step - begin, config.steps - begin),
        )
        if trainer.step % config.validate_every == 0:
            yield from _validate(trainer, run)
        if clock.checkpoint_due(config.checkpoint_minutes):
            yield _save(trainer, run, names)
    if first and trainer.step > begin:
        if trainer.step % config.validate_every:
            yield from _validate(trainer, run)
        yield _save(trainer, run, names)
    return run.prior


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
        return left if self._limit is None else min(left, self._limit - self._spent)

    def checkpoint_due(self, minutes: float) -> bool:
        """Whether the last checkpoint is older than this; starts the next interval."""
        now = time.monotonic()
        if now - self._saved < 60.0 * minutes:
            return False
        self._saved = now
        return True


def _configuration(config: TrainConfig | str | None) -> TrainConfig:
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
    raise ValueError(f"{resume} is no whole checkpoint of the run {run.path}")


def _split(
    data: Source | Sequence[Source],
    validation: str | os.PathLike[str] | None,
    config: TrainConfig,
) -> tuple[list[Path | MriStack], list[Path | MriStack]]:
    """Find the stacks to train on, and those that are held out."""
    given = [data] if isinstance(data, str | os.PathLike | MriStack) else list(data)
    stacks: list[Path | MriStack] = [s for s in given if isinstance(s, MriStack)]
    paths = [Path(s) for s in given if not isinstance(s, MriStack)]
    if paths or not stacks:
        stacks += find_files(paths)
    if validation is not None:
        return stacks, list(find_files([Path(validation)]))
    usable = [s for s in stacks if config.patches.takes(name_of(s))]
    if len(usable) < 2:
        return stacks, usable
    held_out = usable[::10]
    return [s for s in stacks if not any(s is h for h in held_out)], held_out


def _prepare(
    training: Sequence[Path | MriStack],
    held_out: Sequence[Path | MriStack],
    run: RunFolder,
    config: TrainConfig,
    fabric: Fabric,
    token: CancelToken,
) -> Generator[Event, None, tuple[PatchSampler, Float]]:
    """Prepare the slices, once a machine; gives the sampler and held-out patches."""
    plain = replace(
        config.patches, uniform_fraction=0.0, contrast_fraction=0.0, own_noise="keep"
    )
    # The held-out files may be of any anatomy: that is what generalising means.
    plain = replace(plain, only="")
    size = config.flow.patch_size
    samplers = []
    for name, sources, patches in (
        ("training", training, config.patches),
        ("held_out", held_out, plain),
    ):
        # Processes of the same machine find what the first of them has prepared.
        if fabric.local_rank != 0:
            fabric.barrier()
        store = yield from prepare_slices(
            sources, patches, size, run.patches / name, token=token
        )
        if fabric.local_rank == 0:
            fabric.barrier()
        samplers.append(PatchSampler(store, patches))
    chosen = samplers[1].draw(config.validation_patches, np.random.default_rng(1))
    return samplers[0], chosen


def _check_memory(config: TrainConfig, fabric: Fabric, begin: int) -> Estimated:
    """Estimate what the run takes; refuse what cannot be held."""
    found = estimate(config, fabric.device, step=begin, processes=fabric.world_size)
    free = available_bytes(fabric.device)
    # Processes on a CPU share its memory; of GPUs each has its own.
    sharing = fabric.world_size if fabric.device.type == "cpu" else 1
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


def _save(trainer: Trainer, run: RunFolder, names: list[str]) -> CheckpointWritten:
    config = trainer.config
    checkpoint = run.checkpoint(trainer.step)
    card = {
        "pixel_mm": config.patches.pixel_mm,
        "value_range": [0.0, 1.0],
        "training": {**asdict(config), "steps_done": trainer.step},
        "data": names,
        "held_out": trainer.quality,
    }
    try:
        # The state last: a checkpoint counts when its state is there.
        save_prior(trainer.average, checkpoint.prior, card)
        trainer.save(checkpoint.path)
        save_prior(trainer.average, run.prior, card)
    except OSError as error:
        checkpoint.prior.unlink(missing_ok=True)
        raise UsflowError(
            f"{checkpoint.path} could not be written ({error.strerror}); make room and "
            "resume: the checkpoint before it is whole"
        ) from error
    run.forget_checkpoints(_KEEP_CHECKPOINTS)
    return CheckpointWritten(trainer.step, checkpoint.path, checkpoint.prior)
