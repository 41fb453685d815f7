"""Training a prior: what the engine is told of flows, and the public function."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from napari_usflow.jobs import CancelToken, Event
from napari_usflow.prior.store import load_weights, save_prior
from napari_usflow.training.data import Source
from napari_usflow.training.engine import train
from napari_usflow.training.flow.configs import CONFIGS, TrainConfig
from napari_usflow.training.flow.cost_estimate import estimate
from napari_usflow.training.flow.trainer import FlowTrainer
from napari_usflow.training.trainable import Beginning, Recipe

__all__ = ["train_prior"]


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
    token: CancelToken | None = None,
) -> Generator[Event, None, Path]:
    """Train a prior; yields events and returns the path of the prior file.

    Parameters
    ----------
    data : path, MriStack, or a sequence of them
        MRI files or folders of them (see :mod:`napari_usflow.mri`), or stacks.
    out : path
        Run folder (see :mod:`napari_usflow.training.run_folder`).
    config : TrainConfig or str, optional
        Or a name of :data:`CONFIGS`. When omitted, that of the run that goes on, else
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
    token : CancelToken, optional
        When cancelled, the run is saved and ends.

    Yields
    ------
    Event
        Notes and Progress while reading, then
        :class:`~napari_usflow.training.events.Estimated`, a ``TrainStep`` a step, and
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
    return train(
        _RECIPE,
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
    )


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
