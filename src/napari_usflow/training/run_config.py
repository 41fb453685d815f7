"""Configuration shared by all kinds of training run."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from napari_usflow.io.guards.file_checks import regular_file
from napari_usflow.mri.patch_config import PatchConfig
from napari_usflow.parameters import parameter

__all__ = ["RunConfig", "kind_of_run", "read_run_config"]

T = TypeVar("T")
ConfigT = TypeVar("ConfigT", bound="RunConfig")


@dataclass(frozen=True)
class RunConfig(ABC):
    """Configuration of a training run of any kind: patches, schedule, validation.

    A subclass names its kind, has a field of that name with the architecture, and adds
    what only its own objective knows.
    """

    kind: ClassVar[str]
    """``flow`` or ``network``."""

    patches: PatchConfig = field(default_factory=PatchConfig)
    learning_rate: float = parameter(1e-3, help="of Adam", minimum=0.0, maximum=1.0)
    final_learning_rate: float = parameter(
        2e-5, help="at the last step", minimum=0.0, maximum=1.0
    )
    warmup_steps: int = parameter(200, help="steps of rising learning rate", minimum=0)
    decay_fraction: float = parameter(
        0.4,
        help="share of the run, at its end, over which the learning rate falls",
        minimum=0.0,
        maximum=1.0,
    )
    clip_norm: float = parameter(5.0, help="largest norm of a gradient", minimum=0.0)
    average: float = parameter(
        0.999,
        help="decay of the average of the weights; 0 for the weights of the last step",
        minimum=0.0,
        maximum=1.0,
    )
    validate_every: int = parameter(250, help="steps between validations", minimum=1)
    validation_patches: int = parameter(
        256, help="held-out patches of a validation", unit="patches", minimum=1
    )
    checkpoint_minutes: float = parameter(
        5.0, help="time between checkpoints", unit="min", minimum=0.001
    )
    bfloat16: bool = parameter(
        True, help="bfloat16 inside the networks; slow on CPUs without it"
    )
    seed: int = parameter(0, help="of weights, patches and noise", minimum=0)

    @property
    @abstractmethod
    def steps(self) -> int:
        """All steps of the run."""

    @property
    @abstractmethod
    def architecture(self) -> Any:
        """The dataclass that says what is trained; the field named as the kind."""

    @property
    @abstractmethod
    def drawn_size(self) -> int:
        """Side of the patches that are drawn, in pixels."""

    @abstractmethod
    def patches_per_step(self, processes: int = 1) -> int:
        """Patches of a step, of all processes together."""


def read_run_config(path: Path, defaults: ConfigT) -> ConfigT:
    """Read the configuration of a run.

    Fields that the file does not have, or that this version no longer has, are left
    at their defaults.

    Parameters
    ----------
    path : Path
        ``config.json`` of a run folder.
    defaults : RunConfig
        Of the kind that the run must be.

    Raises
    ------
    ValueError
        When the file is damaged, or the run is one of another kind.
    """
    try:
        stored = json.loads(regular_file(path).read_text(encoding="utf-8"))
        config = _filled(defaults, stored)
    except (OSError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not the configuration of a run ({error})") from error
    kind = stored.get("kind", "flow")
    if kind != defaults.kind:
        raise ValueError(
            f"{path} is of a {kind} training run, but a {defaults.kind} was "
            "requested; choose another folder"
        )
    return config


def kind_of_run(path: Path) -> str | None:
    """Return the kind of a run's ``config.json``; None where it cannot be read."""
    try:
        stored = json.loads(regular_file(path).read_text(encoding="utf-8"))
        return str(stored.get("kind", "flow"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def _filled(params: T, stored: dict[str, Any]) -> T:
    if not isinstance(stored, dict):
        raise TypeError(f"{stored!r} is no set of fields")
    changes: dict[str, Any] = {}
    for described in dataclasses.fields(params):  # type: ignore[arg-type]
        if described.name not in stored:
            continue
        value, now = stored[described.name], getattr(params, described.name)
        if dataclasses.is_dataclass(now):
            value = _filled(now, value)
        elif isinstance(now, tuple):
            value = tuple(value)
        changes[described.name] = value
    return dataclasses.replace(params, **changes)  # type: ignore[type-var]
