"""Prior files: safetensors with a JSON header, so that loading can never run code.

The header (metadata key ``usflow``) holds the architecture, the patch and pixel size,
the training data and steps, the held-out quality and the licence.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_usflow.errors import PriorError
from napari_usflow.io.writing import write_beside

if TYPE_CHECKING:
    from napari_usflow.prior.glow import Glow

__all__ = [
    "DEFAULT_PRIOR",
    "available_priors",
    "load_weights",
    "read_card",
    "resolve",
    "save_prior",
]

FORMAT = "napari-usflow prior 1"
DEFAULT_PRIOR = "mri"
_LARGEST_BYTES = 512 * 2**20


def available_priors() -> list[str]:
    """Names of the shipped priors, the default first."""
    folder = resources.files("napari_usflow.prior") / "weights"
    names = sorted(
        Path(entry.name).stem
        for entry in folder.iterdir()
        if entry.name.endswith(".safetensors")
    )
    return sorted(names, key=lambda name: name != DEFAULT_PRIOR)


def resolve(name_or_path: str | os.PathLike[str] | None) -> Path:
    """Turn the name of a shipped prior, or a path, into a path that exists."""
    name = os.fspath(name_or_path) if name_or_path is not None else DEFAULT_PRIOR
    shipped = resources.files("napari_usflow.prior") / "weights" / f"{name}.safetensors"
    with resources.as_file(shipped) as path:
        if os.sep not in name and path.is_file():
            return path
    path = Path(name)
    if not path.is_file():
        raise PriorError(
            f"{name}: no such prior; give a .safetensors file or one of "
            f"{', '.join(available_priors()) or '(none shipped)'}"
        )
    return path


def read_card(name_or_path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Read a prior's header, without its weights.

    Raises
    ------
    PriorError
        When the file is not a prior, is truncated, or its header is damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = resolve(name_or_path)
    if path.stat().st_size > _LARGEST_BYTES:
        raise PriorError(f"{path}: too large for a prior ({path.stat().st_size} bytes)")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise PriorError(
            f"{path}: not a readable safetensors file ({error}); get it anew"
        ) from error
    if metadata.get("format") != FORMAT:
        raise PriorError(
            f"{path}: not a prior of this program (format {metadata.get('format')!r}, "
            f"expected {FORMAT!r})"
        )
    try:
        card: dict[str, Any] = json.loads(metadata["usflow"])
        card["architecture"]["patch_size"]
    except (KeyError, TypeError, ValueError) as error:
        raise PriorError(f"{path}: its header is damaged ({error})") from error
    return card


def load_weights(
    name_or_path: str | os.PathLike[str] | None,
) -> tuple[Glow, dict[str, Any]]:
    """Build the flow a file describes and fill it with its weights (on the CPU).

    Raises
    ------
    PriorError
        When the architecture or a tensor does not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from napari_usflow.parameters import check_parameters
    from napari_usflow.prior.glow import Glow, GlowConfig

    path = resolve(name_or_path)
    card = read_card(path)
    try:
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in card["architecture"].items()
        }
        config = GlowConfig(**fields)
        check_parameters(config)
        if max(*config.hidden, *config.steps) > 4096:
            raise ValueError(f"steps {config.steps}, hidden {config.hidden} are absurd")
        flow = Glow(config)
        # Half-precision storage is converted here; all arithmetic is float32.
        tensors = {
            key: value.to(dtype=flow.state_dict()[key].dtype)
            for key, value in load_file(path).items()
        }
        flow.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise PriorError(
            f"{path}: its weights do not fit its architecture ({error})"
        ) from error
    return flow.eval(), card


def save_prior(flow: Glow, path: Path, card: dict[str, Any]) -> None:
    """Write a prior file (beside it first, then renamed).

    Weights are stored as float16 where they are floating point.
    """
    import torch
    from safetensors.torch import save

    card = {**card, "architecture": asdict(flow.config)}
    tensors = {
        key: value.detach()
        .cpu()
        .contiguous()
        .to(torch.float16 if value.is_floating_point() else value.dtype)
        for key, value in flow.state_dict().items()
    }
    content = save(tensors, {"format": FORMAT, "usflow": json.dumps(card)})
    with write_beside(path) as beside:
        beside.write_bytes(content)
