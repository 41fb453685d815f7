"""Reading the file of a checkpoint, which a run may have been handed by anybody."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from napari_usflow.errors import PriorError
from napari_usflow.io.guards.file_checks import regular_file

__all__ = ["read_state", "unreadable"]

_LAST_STEP = 10**9
_NOTES = ("architecture", "quality")


def read_state(path: Path, kind: str) -> dict[str, Any]:
    """Read a checkpoint's state without running what is in it.

    Parameters
    ----------
    path : Path
    kind : str
        The name under which the model's weights stand.

    Returns
    -------
    dict
        As it was saved; what was JSON in it is read.

    Raises
    ------
    PriorError
        When it cannot be read, unpacks to more than it is, its step is none, or weights
        are not finite.
    """
    # A damaged file can fail in any way that torch and pickle know.
    try:
        _check_archive(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        _check_sizes(state, path.stat().st_size)
        step = state["step"]
        if not isinstance(step, int) or not 0 <= step <= _LAST_STEP:
            raise ValueError(f"its step is {step!r:.40}")
        for part in (kind, "average"):
            for name, value in dict(state[part]).items():
                if value.is_floating_point() and not value.isfinite().all():
                    raise ValueError(f"{part} {name} has values that are not finite")
        notes = {name: dict(json.loads(state[name])) for name in _NOTES}
    except Exception as error:
        raise unreadable(path, error) from error
    return {**state, **notes}


def _check_sizes(state: Any, most: int) -> None:
    """Refuse tensors that declare more numbers than the file has bytes for.

    A tensor may repeat one number of its storage as often as it says.
    """
    if isinstance(state, torch.Tensor):
        if state.layout != torch.strided or state.nbytes > most:
            raise ValueError(f"a tensor in it has the shape {tuple(state.shape)}")
    elif isinstance(state, dict):
        for value in state.values():
            _check_sizes(value, most)
    elif isinstance(state, list | tuple):
        for value in state:
            _check_sizes(value, most)


def unreadable(path: Path, error: Exception) -> PriorError:
    """Describe in one line why a checkpoint cannot be gone on with."""
    # torch says here how its protection is switched off, which nobody should do.
    is_pickle = isinstance(error, pickle.UnpicklingError)
    reason = "it holds objects that could run code" if is_pickle else str(error)
    text = " ".join(reason.split())[:200] or type(error).__name__
    return PriorError(
        f"{path}: not a readable checkpoint ({text}); resume from another"
    )


def _check_archive(path: Path) -> None:
    """Refuse an archive whose members are packed; torch writes them as they are."""
    size = regular_file(path).stat().st_size
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
                raise ValueError(f"{member.filename} in it is packed")
