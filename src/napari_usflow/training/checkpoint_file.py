"""Reading the file of a checkpoint, which a run may have been handed by anybody."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

__all__ = ["read_state"]

_LAST_STEP = 10**9
_TENSORS = ("average",)


def read_state(path: Path, kind: str) -> dict[str, Any]:
    """Read a checkpoint's state without running what is in it.

    Parameters
    ----------
    path : Path
    kind : str
        The name under which the model's weights stand.

    Raises
    ------
    ValueError
        When it unpacks to more than it is, its step is none, or weights are not finite.
    Exception
        Whatever torch and pickle raise.
    """
    _check_archive(path)
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    step = state["step"]
    if not isinstance(step, int) or not 0 <= step <= _LAST_STEP:
        raise ValueError(f"its step is {step!r:.40}")
    for part in (kind, *_TENSORS):
        for name, value in dict(state[part]).items():
            if value.is_floating_point() and not value.isfinite().all():
                raise ValueError(f"{part} {name} has values that are not finite")
    return state


def _check_archive(path: Path) -> None:
    """Refuse an archive whose members are packed; torch writes them as they are."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
                raise ValueError(f"{member.filename} in it is packed")
