"""Files of networks, and the shipped ones."""

from __future__ import annotations

import copy
import hashlib
import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_usflow.errors import PriorError
from napari_usflow.prior.weights_file import (
    build,
    path_text,
    read_header,
    tuples,
    write_weights,
)

if TYPE_CHECKING:
    import torch

    from napari_usflow.networks.unet import UNet

__all__ = [
    "Network",
    "available_networks",
    "load_network",
    "read_network_card",
    "save_network",
]

FORMAT = "napari-usflow network 1"
_MOST_CHANNELS = 4096
_MOST_BLOCKS = 256


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network on its device; equal to itself only.

    Attributes
    ----------
    unet : UNet
        Without gradients for its weights.
    card : dict
        The header of its file.
    name, sha256 : str
        File name without ending; hash of the file.
    device : torch.device
    """

    unet: UNet
    card: dict[str, Any]
    name: str
    sha256: str
    device: torch.device

    def in_fast_type(self) -> UNet:
        """Return the network with weights of the type its device is fastest in.

        They are converted once: for each frame anew that takes a third of the time of
        a small one.
        """
        from napari_usflow.networks.precision import fast_type

        wanted = fast_type(self.device)
        if wanted is self.unet.head.weight.dtype:
            return self.unet
        return _converted(self, wanted)


def available_networks() -> list[str]:
    """Names of the shipped networks."""
    folder = resources.files("napari_usflow.networks") / "weights"
    return sorted(
        Path(entry.name).stem
        for entry in folder.iterdir()
        if entry.name.endswith(".safetensors")
    )


def read_network_card(name_or_path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a network's header, without its weights.

    Raises
    ------
    PriorError
        When the file is not a network, is truncated, or its header is damaged.
    """
    return read_header(_resolve(name_or_path), FORMAT, "network")


def load_network(
    name_or_path: str | os.PathLike[str], *, device: str = "auto"
) -> Network:
    """Load a network.

    Parameters
    ----------
    name_or_path : str or path
        A shipped network's name or a ``.safetensors`` file.
    device : str
        See :func:`napari_usflow.device.choose_device`.

    Raises
    ------
    PriorError
        When there is no such network, or its file cannot be used.
    """
    from napari_usflow.device import choose_device

    path = _resolve(name_or_path)
    return _load(path, path.stat().st_mtime_ns, str(choose_device(device)))


def save_network(network: UNet, path: Path, card: dict[str, Any]) -> None:
    """Write a network file, see :func:`~.prior.weights_file.write_weights`."""
    write_weights(network, asdict(network.config), path, FORMAT, card)


def _resolve(name_or_path: str | os.PathLike[str]) -> Path:
    name = path_text(name_or_path)
    folder = resources.files("napari_usflow.networks") / "weights"
    with resources.as_file(folder / f"{name}.safetensors") as path:
        if os.sep not in name and path.is_file():
            return path
    path = Path(name)
    if not path.is_file():
        raise PriorError(
            f"{name}: no such network; choose a .safetensors file or one of "
            f"{', '.join(available_networks()) or '(none shipped)'}"
        )
    return path


@lru_cache(maxsize=2)
def _load(path: Path, changed_ns: int, device: str) -> Network:
    # The time of the last change is part of the key: a file that training has just
    # written again is read again.
    del changed_ns
    import torch
    from safetensors import SafetensorError

    from napari_usflow.networks.architecture import UNetConfig
    from napari_usflow.networks.unet import UNet
    from napari_usflow.parameters import check_parameters

    card = read_header(path, FORMAT, "network")
    try:
        config = UNetConfig(**tuples(card["architecture"]))
        check_parameters(config)
        if max(config.channels) > _MOST_CHANNELS or sum(config.blocks) > _MOST_BLOCKS:
            raise ValueError(f"{config} is absurd")
        unet = build(path, lambda: UNet(config), sum(config.blocks))
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise PriorError(
            f"{path}: its weights do not fit its architecture ({error})"
        ) from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    where = torch.device(device)
    unet = unet.to(where).eval().requires_grad_(False)
    return Network(unet, card, path.stem, digest, where)


@lru_cache(maxsize=2)
def _converted(network: Network, dtype: torch.dtype) -> UNet:
    return copy.deepcopy(network.unet).to(dtype)
