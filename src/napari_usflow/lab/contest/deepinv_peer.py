"""Shared parts of the peers from deepinv: storage of fits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from napari_usflow.device import choose_device
from napari_usflow.files import write_beside
from napari_usflow.interop.deepinv import load_deepinv
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.lab.contest.contestants import Contestant

__all__ = ["DeepinvPeer"]

Float = npt.NDArray[np.float32]


class DeepinvPeer(Contestant):
    """A patch prior of deepinv with its weights.

    Parameters
    ----------
    model : torch.nn.Module
        deepinv's model.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    """

    patch_size: ClassVar[int]

    def __init__(self, model: Any, device: str) -> None:
        self._device = choose_device(device)
        self._model = model.to(self._device).eval().requires_grad_(False)

    @classmethod
    @abstractmethod
    def recipe(cls) -> dict[str, Any]:
        """Return the recipe of the fit; a fit by another recipe is not used again."""

    @classmethod
    @abstractmethod
    def fit_events(
        cls, train: Float, held_out: Float, device: str, token: CancelToken
    ) -> Generator[Event, None, Self]:
        """Fit on vectors (N, patch_size^2) in [0, 1]."""

    @classmethod
    @abstractmethod
    def empty_model(cls) -> Any:
        """Make deepinv's model, not yet fitted."""

    @classmethod
    def load(cls, path: Path, device: str) -> Self:
        """Read a fit; ValueError when the file is damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        load_deepinv()
        model = cls.empty_model()
        try:
            model.load_state_dict(load_file(path))
        except (SafetensorError, OSError, RuntimeError) as error:
            raise ValueError(
                f"{path}: the kept fit cannot be read ({error}); delete it, and it is "
                "made anew"
            ) from error
        return cls(model, device)

    def save(self, path: Path) -> None:
        """Write the fit (beside it first, then renamed)."""
        from safetensors.torch import save

        state = self._model.state_dict()
        tensors = {key: value.cpu().contiguous() for key, value in state.items()}
        with write_beside(path) as beside:
            beside.write_bytes(save(tensors))
