"""Files of weights: safetensors with a JSON header, so that loading never runs code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_usflow.errors import PriorError
from napari_usflow.files import write_beside

if TYPE_CHECKING:
    from torch import nn

__all__ = ["fill_weights", "read_format", "read_header", "tuples", "write_weights"]

_LARGEST_BYTES = 512 * 2**20


def read_format(path: Path) -> str | None:
    """Read what a file of weights says that it is; None when it does not.

    Raises
    ------
    PriorError
        When it is no such file.
    """
    return _metadata(path).get("format")


def read_header(path: Path, file_format: str, what: str) -> dict[str, Any]:
    """Read a file's header, without its weights.

    Parameters
    ----------
    path : Path
    file_format : str
        What it must say that it is.
    what : str
        What it should be, for errors, such as ``prior``.

    Raises
    ------
    PriorError
        When the file is something else, is truncated, or its header is damaged.
    """
    if path.stat().st_size > _LARGEST_BYTES:
        raise PriorError(
            f"{path}: too large for a {what} ({path.stat().st_size} bytes)"
        )
    metadata = _metadata(path)
    if metadata.get("format") != file_format:
        raise PriorError(
            f"{path}: not a {what} of this program (format "
            f"{metadata.get('format')!r}, expected {file_format!r})"
        )
    try:
        header: dict[str, Any] = json.loads(metadata["usflow"])
        dict(header["architecture"])
    except (KeyError, TypeError, ValueError) as error:
        raise PriorError(f"{path}: its header is damaged ({error})") from error
    return header


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise PriorError(
            f"{path}: not a readable safetensors file ({error}); get it anew"
        ) from error


def tuples(architecture: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an architecture, of whose tuples JSON has made lists."""
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in architecture.items()
    }


def fill_weights(module: nn.Module, path: Path) -> None:
    """Fill a module with the weights of a file.

    Half-precision storage is converted here; all arithmetic is float32.

    Raises
    ------
    KeyError, RuntimeError, SafetensorError
        When they do not fit.
    """
    from safetensors.torch import load_file

    wanted = module.state_dict()
    module.load_state_dict(
        {
            key: value.to(dtype=wanted[key].dtype)
            for key, value in load_file(path).items()
        }
    )


def write_weights(
    module: nn.Module,
    architecture: dict[str, Any],
    path: Path,
    file_format: str,
    header: dict[str, Any],
) -> None:
    """Write a module (beside the file first, then renamed).

    Weights are stored as float16 where they are floating point.
    """
    import torch
    from safetensors.torch import save

    header = {**header, "architecture": architecture}
    tensors = {
        key: value.detach()
        .cpu()
        .contiguous()
        .to(torch.float16 if value.is_floating_point() else value.dtype)
        for key, value in module.state_dict().items()
    }
    content = save(tensors, {"format": file_format, "usflow": json.dumps(header)})
    with write_beside(path) as beside:
        beside.write_bytes(content)
