"""Training a network: what the engine is told of it, and the public function."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from napari_usflow.jobs import CancelToken, Event
from napari_usflow.networks.store import load_network, save_network
from napari_usflow.training.data import Source
from napari_usflow.training.engine import train
from napari_usflow.training.network.configs import NETWORK_CONFIGS, NetworkConfig
from napari_usflow.training.network.trainer import NetworkTrainer, estimate_network
from napari_usflow.training.trainable import Beginning, Recipe

__all__ = ["train_network"]


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
    token: CancelToken | None = None,
) -> Generator[Event, None, Path]:
    """Train a network that denoises in one pass; yields events and returns its path.

    It learns from MRI with simulated noise and speckle
    (:mod:`napari_usflow.training.network.pairs`), by the engine that trains priors:
    what :func:`~napari_usflow.training.flow.train.train_prior` says of stopping, going
    on, several processes and errors holds here too.

    Parameters
    ----------
    data, changes, resume, validation, minutes, device, processes, nodes, token
        As for :func:`~napari_usflow.training.flow.train.train_prior`.
    out : path
        Run folder (see :mod:`napari_usflow.training.run_folder`).
    config : NetworkConfig or str, optional
        Or a name of :data:`NETWORK_CONFIGS`. When omitted, that of the run that goes
        on, else ``realtime``.
    start : str or path, optional
        A network whose weights a new run begins with (a shipped one's name or a file),
        to suit it to other data; its architecture replaces the configuration's.

    Yields
    ------
    Event
        As for :func:`~napari_usflow.training.flow.train.train_prior`.
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
