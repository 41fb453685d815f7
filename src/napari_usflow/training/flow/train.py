"""Training a prior: the recipe of flows, and the public functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from napari_usflow.jobs import CancelToken, Event, result_of
from napari_usflow.prior.store import load_weights, save_prior
from napari_usflow.training.data import Source
from napari_usflow.training.engine import train
from napari_usflow.training.flow.configs import CONFIGS, TrainConfig
from napari_usflow.training.flow.cost_estimate import estimate
from napari_usflow.training.flow.trainer import FlowTrainer
from napari_usflow.training.trainable import Beginning, Recipe, RunOptions

__all__ = ["train_prior", "train_prior_events"]


def train_prior(
    data: Source | Sequence[Source],
    *,
    out: str | os.PathLike[str],
    config: TrainConfig | str | None = None,
    changes: Sequence[str] = (),
    resume: bool | str | os.PathLike[str] = False,
    start: str | os.PathLike[str] | None = None,
    validation: str | os.PathLike[str] | None = None,
    minutes: float | None = None,
    device: str = "auto",
    processes: int = 1,
    nodes: int = 1,
    on_event: Callable[[Event], object] | None = None,
    token: CancelToken | None = None,
) -> Path:
    """Train a prior on MRI and return the path of its file.

    Parameters
    ----------
    data : path, MriStack, or a sequence of them
        MRI files or folders of them (see :mod:`napari_usflow.mri`), or stacks.
    out : path
        Run folder (see :mod:`napari_usflow.training.run_folder`).
    config : TrainConfig or str, optional
        Or a name of :data:`CONFIGS`: ``cpu``, ``best`` (for a graphics card),
        ``paper`` or ``paper-small``. When omitted, that of the run that goes on, else
        ``cpu``.
    changes : sequence of str
        Fields of the configuration to set, ``"patches.only=knee"`` each.
    resume : bool or path
        Go on from the run's newest checkpoint, or from the one named (later ones and
        their part of the log are dropped); starts when there is none.
    start : str or path, optional
        A prior whose weights a new run begins with (a shipped one's name or a file),
        to suit it to other data; its architecture replaces the configuration's, and
        the steps of likelihood alone are left out.
    validation : path, optional
        Held-out files or a folder of them, which are not trained on where ``data``
        has them too. Without it every tenth subject of ``data`` is held out; a stack
        whose file names no subject counts as one.
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
    on_event : callable, optional
        Called with each event: ``Note`` and ``Progress`` while reading, then
        ``Estimated``, a ``TrainStep`` a step, and ``Validated``, ``Previewed`` and
        ``CheckpointWritten`` as they come (:mod:`napari_usflow.training.events`). Of
        several processes only the first one reports the training.
    token : CancelToken, optional
        When cancelled, also by ``on_event``, the run is saved and ends.

    Returns
    -------
    Path
        ``prior.safetensors`` in the run folder. A run that was cancelled before its
        first step has not written it.

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

    See Also
    --------
    train_prior_events : The same run as a generator of events.

    Examples
    --------
    An hour on a folder of MRI,:

    >>> import napari_usflow as usf
    >>> usf.train_prior("fastMRI", out="run", minutes=60)  # doctest: +SKIP
    PosixPath('run/prior.safetensors')

    One step of a very small flow, on a stack in memory; the other one is held out:

    >>> from dataclasses import replace
    >>> import numpy as np
    >>> from napari_usflow.mri import MriStack
    >>> from napari_usflow.prior.architecture import GlowConfig
    >>> from napari_usflow.training.flow.configs import CONFIGS
    >>> slices = np.random.default_rng(0).random((2, 32, 32), np.float32)
    >>> stacks = [MriStack(slices, (0.4375, 0.4375), name) for name in ("a", "b")]
    >>> flow = GlowConfig(patch_size=16, steps=(1,), hidden=(4,))
    >>> small = replace(CONFIGS["cpu"], flow=flow, batch_size=4, validation_patches=4)
    >>> events = []
    >>> prior = usf.train_prior(
    ...     stacks, out="small", config=small, minutes=0, on_event=events.append
    ... )
    >>> prior.name, type(events[-1]).__name__
    ('prior.safetensors', 'CheckpointWritten')
    """
    return result_of(
        train_prior_events(
            data,
            out=out,
            config=config,
            changes=changes,
            resume=resume,
            start=start,
            validation=validation,
            minutes=minutes,
            device=device,
            processes=processes,
            nodes=nodes,
            token=token,
        ),
        on_event,
    )


def train_prior_events(
    data: Source | Sequence[Source],
    *,
    out: str | os.PathLike[str],
    config: TrainConfig | str | None = None,
    **options: Unpack[RunOptions],
) -> Generator[Event, None, Path]:
    """Train a prior as :func:`train_prior` does, step by step.

    Parameters
    ----------
    data, out, config, **options
        As for :func:`train_prior`.

    Yields
    ------
    Event
        What ``on_event`` of :func:`train_prior` is called with.

    Returns
    -------
    Path
        As of :func:`train_prior`.
    """
    return train(_RECIPE, data, out=out, config=config, **options)


def _check(config: TrainConfig) -> None:
    if config.denoising_steps and not config.flow.conditional:
        raise ValueError(
            "a flow without noise levels has no posterior mean to train: set "
            "denoising_steps to 0 (as the configuration paper does), or conditional"
        )


def _begin_with(
    start: str | os.PathLike[str], config: TrainConfig
) -> Beginning[TrainConfig]:
    flow, card = load_weights(start)
    config = replace(config, flow=flow.config)
    if config.denoising_steps:
        # The prior has had its own; more would undo part of what came after.
        config = replace(config, likelihood_steps=0)
    return Beginning(flow.state_dict(), card, config)


_RECIPE = Recipe(
    result="prior.safetensors",
    configs=CONFIGS,
    default="cpu",
    remedy="lower batch_size, raise noise_groups (each part is worked on alone), or "
    "set checkpointing",
    begin_with=_begin_with,
    estimate=estimate,
    trainer=FlowTrainer,
    save=save_prior,
    check=_check,
)
