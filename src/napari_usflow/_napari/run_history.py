"""What a run folder tells of the run so far: configuration, curves, checkpoints."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_usflow.prior.events import Validated
from napari_usflow.prior.run_folder import Checkpoint, RunFolder

if TYPE_CHECKING:
    from napari_usflow.prior.configs import TrainConfig

__all__ = ["RunHistory", "Saved", "read_config", "read_history", "saved_points"]

T = TypeVar("T")


@dataclass(frozen=True)
class RunHistory:
    """The curves of a run.

    Attributes
    ----------
    steps, losses : list
        Training loss.
    validations : list of Validated
        In the order of their steps.
    """

    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    validations: list[Validated] = field(default_factory=list)


@dataclass(frozen=True)
class Saved:
    """A checkpoint, when it was written and how good the prior was then."""

    checkpoint: Checkpoint
    written: datetime
    quality: Validated | None


def read_history(folder: RunFolder) -> RunHistory:
    """Read the log; lines of other kinds are left out."""
    history = RunHistory()
    for record in folder.records():
        if "loss" in record:
            history.steps.append(int(record["step"]))
            history.losses.append(float(record["loss"]))
        if "bits_per_dim" in record:
            psnr = {float(s): float(q) for s, q in record.get("psnr_db", {}).items()}
            history.validations.append(
                Validated(int(record["step"]), float(record["bits_per_dim"]), psnr)
            )
    return history


def saved_points(folder: RunFolder, validations: list[Validated]) -> list[Saved]:
    """List the checkpoints, the newest first, each with the validation before it."""
    points = []
    for checkpoint in folder.checkpoints():
        try:
            written = datetime.fromtimestamp(checkpoint.path.stat().st_mtime)
        except OSError:  # dropped in the meantime, in favour of newer ones
            continue
        before = [v for v in validations if v.step <= checkpoint.step]
        points.append(Saved(checkpoint, written, before[-1] if before else None))
    return points


def read_config(path: Path) -> TrainConfig:
    """Read the configuration of a run.

    Fields that the file does not have, or that this version no longer has, are left
    at their defaults.

    Raises
    ------
    ValueError
        When the file is damaged.
    """
    from napari_usflow.prior.configs import TrainConfig

    try:
        return _filled(TrainConfig(), json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the configuration of a run ({error})") from error


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
