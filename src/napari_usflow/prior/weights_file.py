"""Files of weights: safetensors with a JSON header, so that loading never runs code."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_usflow.errors import PriorError
from napari_usflow.files import write_beside

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "build",
    "path_text",
    "read_format",
    "read_header",
    "tuples",
    "write_weights",
]

ModuleT = TypeVar("ModuleT", bound="nn.Module")

_LARGEST_BYTES = 512 * 2**20


def path_text(name_or_path: object) -> str:
    """Return a name or a path as text; PriorError when it is neither."""
    if not isinstance(name_or_path, str | os.PathLike):
        raise PriorError(
            f"weights are given by a name or a path, not by {name_or_path!r}"
        )
    text = os.fsdecode(name_or_path)
    try:
        Path(text).is_file()
    except OSError as error:
        raise PriorError(f"{text:.60}: no such weights ({error.strerror})") from error
    return text


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
        _check_pixel(header.get("pixel_mm", 1.0))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise PriorError(f"{path}: its header is damaged ({error})") from error
    return header


def _check_pixel(pixel_mm: Any) -> None:
    is_number = isinstance(pixel_mm, int | float) and not isinstance(pixel_mm, bool)
    if not is_number or not 0 < pixel_mm < math.inf:
        raise ValueError(f"pixel_mm is {pixel_mm!r}; a size in mm was expected")


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


def build(path: Path, make: Callable[[], ModuleT], parts: int) -> ModuleT:
    """Build a module and fill it with the weights of a file.

    Half-precision storage is converted here; all arithmetic is float32. Nothing is
    allocated before the file is known to hold all weights, of the right shapes.

    Parameters
    ----------
    path : Path
        The file.
    make : callable
        Makes the module; called without memory behind it first.
    parts : int
        How many parts with weights of their own it has at least.

    Raises
    ------
    KeyError, ValueError, RuntimeError, SafetensorError
        When they do not fit, or are not finite.
    """
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(path, framework="numpy") as file:
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    # A module without memory takes time and room too.
    if parts > len(shapes):
        raise ValueError(f"it has {parts} parts, more than the file")
    with torch.device("meta"):
        outline = make().state_dict()
    wanted = {key: tuple(value.shape) for key, value in outline.items()}
    weights, stored = (
        sum(math.prod(shape) for shape in sizes.values()) for sizes in (wanted, shapes)
    )
    if weights > stored:
        raise ValueError(f"it has {weights} weights, more than the file ({stored})")
    for key, shape in wanted.items():
        if shapes.get(key) != shape:
            raise ValueError(f"{key} has shape {shapes.get(key)}; {shape} was expected")
    module = make()
    filling = {
        key: value.to(dtype=outline[key].dtype)
        for key, value in load_file(path).items()
    }
    damaged = [key for key, value in filling.items() if not value.isfinite().all()]
    if damaged:
        raise ValueError(f"{damaged[0]} has values that are not finite")
    module.load_state_dict(filling)
    return module


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
