"""Prior files: safetensors with a JSON header, so that loading can never run code.

The header (metadata key ``usflow``) holds the architecture, the patch and pixel size,
the training data and steps, the held-out quality and the licence.
"""

from __future__ import annotations

import os
from dataclasses import asdict
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
    name = DEFAULT_PRIOR if name_or_path is None else path_text(name_or_path)
    shipped = resources.files("napari_usflow.prior") / "weights" / f"{name}.safetensors"
    with resources.as_file(shipped) as path:
        if os.sep not in name and path.is_file():
            return path
    path = Path(name)
    if not path.is_file():
        raise PriorError(
            f"{name}: no such prior; choose a .safetensors file or one of "
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
    path = resolve(name_or_path)
    card = read_header(path, FORMAT, "prior")
    if "patch_size" not in card["architecture"]:
        raise PriorError(f"{path}: its header is damaged (it has no 'patch_size')")
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

    from napari_usflow.parameters import check_parameters
    from napari_usflow.prior.glow import Glow, GlowConfig

    path = resolve(name_or_path)
    card = read_card(path)
    try:
        config = GlowConfig(**tuples(card["architecture"]))
        check_parameters(config)
        if max(*config.hidden, *config.steps) > 4096:
            raise ValueError(f"steps {config.steps}, hidden {config.hidden} are absurd")
        flow = build(path, lambda: Glow(config), sum(config.steps))
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise PriorError(
            f"{path}: its weights do not fit its architecture ({error})"
        ) from error
    return flow.eval(), card


def save_prior(flow: Glow, path: Path, card: dict[str, Any]) -> None:
    """Write a prior file, see :func:`~.weights_file.write_weights`."""
    write_weights(flow, asdict(flow.config), path, FORMAT, card)
