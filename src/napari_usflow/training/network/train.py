"""Training a network: its recipe, and the public functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from napari_usflow.jobs import CancelToken, Event, result_of
from napari_usflow.networks.store import load_network, save_network
from napari_usflow.training.data import Source
from napari_usflow.training.engine import train
from napari_usflow.training.network.configs import NETWORK_CONFIGS, NetworkConfig
from napari_usflow.training.network.trainer import NetworkTrainer, estimate_network
from napari_usflow.training.trainable import Beginning, Recipe, RunOptions

__all__ = ["train_network", "train_network_events"]


def train_network(
    data: Source | Sequence[Source],
    *,
    out: str | os.PathLike[str],
    config: NetworkConfig | str | None = None,
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
    """Train a feed-forward denoising network on MRI and return the path of its file.

    It learns from MRI with simulated noise and speckle
    (:mod:`napari_usflow.training.network.pairs`), by the engine that trains priors:
    what :func:`~napari_usflow.training.flow.train.train_prior` says of stopping, going
    on, several processes and errors holds here too.

    Parameters
    ----------
    data, changes, resume, validation, minutes
        As for :func:`~napari_usflow.training.flow.train.train_prior`.
    device, processes, nodes, on_event, token
        As for :func:`~napari_usflow.training.flow.train.train_prior`.
    out : path
        Run folder (see :mod:`napari_usflow.training.run_folder`).
    config : NetworkConfig or str, optional
        Or a name of :data:`NETWORK_CONFIGS`: ``realtime`` (speckle),
        ``realtime-white`` (white noise), ``best-network`` (for a graphics card). When
        omitted, that of the run that goes on, else ``realtime``.
    start : str or path, optional
        A network whose weights a new run begins with (a shipped one's name or a file),
        to suit it to other data; its architecture replaces the configuration's.

    Returns
    -------
    Path
        ``network.safetensors`` in the run folder. A run that was cancelled before its
        first step has not written it.

    See Also
    --------
    train_network_events : The same run as a generator of events.

    Examples
    --------
    An hour on a folder of MRI, beginning with the shipped network:

    >>> import napari_usflow as usf
    >>> usf.train_network(
    ...     "fastMRI", out="run", start="realtime", minutes=60
    ... )  # doctest: +SKIP
    PosixPath('run/network.safetensors')

    One step of a very small network, on a stack in memory; the other one is held out:

    >>> from dataclasses import replace
    >>> import numpy as np
    >>> from napari_usflow.mri import MriStack
    >>> from napari_usflow.networks.architecture import UNetConfig
    >>> from napari_usflow.training.network.configs import NETWORK_CONFIGS
    >>> slices = np.random.default_rng(0).random((2, 48, 48), np.float32)
    >>> stacks = [MriStack(slices, (0.4375, 0.4375), name) for name in ("a", "b")]
    >>> small = replace(
    ...     NETWORK_CONFIGS["realtime"],
    ...     network=UNetConfig(channels=(4,), blocks=(1,)),
    ...     batch_size=2,
    ...     crop=16,
    ...     validation_patches=4,
    ... )
    >>> events = []
    >>> network = usf.train_network(
    ...     stacks, out="small", config=small, minutes=0, on_event=events.append
    ... )
    >>> network.name, type(events[-1]).__name__
    ('network.safetensors', 'CheckpointWritten')
    """
    return result_of(
        train_network_events(
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


def train_network_events(
    data: Source | Sequence[Source],
    *,
    out: str | os.PathLike[str],
    config: NetworkConfig | str | None = None,
    **options: Unpack[RunOptions],
) -> Generator[Event, None, Path]:
    """Train a network as :func:`train_network` does, step by step.

    Parameters
    ----------
    data, out, config, **options
        As for :func:`train_network`.

    Yields
    ------
    Event
        What ``on_event`` of :func:`train_network` is called with.

    Returns
    -------
    Path
        As of :func:`train_network`.
    """
    return train(_RECIPE, data, out=out, config=config, **options)


def _begin_with(
    start: str | os.PathLike[str], config: NetworkConfig
) -> Beginning[NetworkConfig]:
    network = load_network(start, device="cpu")
    config = replace(config, network=network.unet.config)
    return Beginning(network.unet.state_dict(), network.card, config)


_RECIPE = Recipe(
    result="network.safetensors",
    configs=NETWORK_CONFIGS,
    default="realtime",
    remedy="lower batch_size or crop",
    begin_with=_begin_with,
    estimate=estimate_network,
    trainer=NetworkTrainer,
    save=save_network,
)
