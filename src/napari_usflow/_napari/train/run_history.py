"""History of a training run from its folder: curves and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from napari_usflow.training.events import Validated
from napari_usflow.training.run_folder import Checkpoint, RunFolder

__all__ = ["RunHistory", "Saved", "read_history", "saved_points"]


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
    """A checkpoint, when it was written and how good the prior or network was then."""

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
        if "bits_per_dim" in record or "speckle_psnr_db" in record:
            psnr = {float(s): float(q) for s, q in record.get("psnr_db", {}).items()}
            history.validations.append(
                Validated(
                    int(record["step"]),
                    _number(record, "bits_per_dim"),
                    psnr,
                    _number(record, "speckle_psnr_db"),
                )
            )
    return history


def _number(record: dict[str, Any], name: str) -> float | None:
    return float(record[name]) if name in record else None


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
