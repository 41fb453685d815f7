"""The user's own priors and networks: which there are, and which was chosen last.

They are remembered in the plugin's preferences, where napari keeps those.
"""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_usflow._napari.settings import own_weights, remember_own_weights
from napari_usflow.errors import PriorError
from napari_usflow.files import write_beside
from napari_usflow.networks.store import FORMAT as NETWORK_FORMAT
from napari_usflow.prior.weights_file import read_format

__all__ = [
    "OwnWeights",
    "is_network",
    "is_weights",
    "own_weights_registry",
    "weights_label",
]

_MOST = 10
_KEPT = "kept"


class OwnWeights(QObject):
    """The priors and networks a user trained and took into use, the newest first."""

    chosen = Signal(str)
    """A prior or network is to be used from now on, by its path."""

    def __init__(self) -> None:
        super().__init__()
        self._paths = [path for path in own_weights() if Path(path).is_file()]
        self._current: dict[bool, str] = {}

    def paths(self) -> list[str]:
        """Return those that still exist."""
        return [path for path in self._paths if Path(path).is_file()]

    def current(self, *, network: bool = False) -> str:
        """Return the one chosen since napari was started; empty when none was."""
        path = self._current.get(network, "")
        return path if Path(path).is_file() else ""

    def choose(self, weights: str | os.PathLike[str]) -> None:
        """Take a file into use, in every widget that offers what it is."""
        path = str(Path(weights).absolute())
        self._paths = [path, *(p for p in self._paths if p != path)][:_MOST]
        self._current[is_network(path)] = path
        remember_own_weights(self._paths)
        self.chosen.emit(path)

    def forget(self, weights: str) -> None:
        """Offer a file no more; it stays where it is."""
        self._paths = [path for path in self._paths if path != weights]
        self._current = {k: p for k, p in self._current.items() if p != weights}
        remember_own_weights(self._paths)

    def keep(self, weights: Path) -> Path:
        """Take the weights of a checkpoint into use, as a copy beside the checkpoints.

        A run drops its older checkpoints as it goes on; what the user denoises with
        has to stay.

        Parameters
        ----------
        weights : Path
            ``RUN/checkpoints/step-0001234.safetensors``.

        Returns
        -------
        Path
            ``RUN/kept/RUN-step-1234.safetensors``: results name it in their metadata.
        """
        run = weights.parent.parent
        step = int(weights.stem.removeprefix("step-"))
        copy = run / _KEPT / f"{run.name}-step-{step}.safetensors"
        copy.parent.mkdir(exist_ok=True)
        with write_beside(copy) as beside:
            shutil.copyfile(weights, beside)
        self.choose(copy)
        return copy


@cache
def own_weights_registry() -> OwnWeights:
    """Return the one registry of this process."""
    return OwnWeights()


def is_network(path: str | os.PathLike[str]) -> bool:
    """Return whether a file holds the weights of a network."""
    try:
        return read_format(Path(path)) == NETWORK_FORMAT
    except (PriorError, OSError):
        return False


def is_weights(path: str | os.PathLike[str]) -> bool:
    """Return whether a file holds the weights of a prior or a network."""
    try:
        return read_format(Path(path)) is not None
    except (PriorError, OSError):
        return False


def weights_label(name_or_path: str) -> str:
    """Name a prior, or network, so that those of different runs can be told apart."""
    path = Path(name_or_path)
    if path.parent.name == _KEPT:
        return path.stem
    is_result = path.name in ("prior.safetensors", "network.safetensors")
    return path.parent.name if is_result else path.name
