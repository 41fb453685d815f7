"""The folder of a training run: what lies where, written so that a kill loses nothing.

::

    config.json                       the run's configuration
    log.jsonl                         one JSON object a line: steps and validations
    prior.safetensors                 the prior at the newest checkpoint; of the run
                                      of a network: network.safetensors
    checkpoints/step-0001234.pt       everything needed to go on
    checkpoints/step-0001234.safetensors   the prior (network) at that step
    patches/                          the training slices, prepared, memory-mapped
    figures/                          curves.png, samples.png
    lock                              held by the run that is at work

A file gets its name when it is whole. A run that goes on cuts the log back to its
checkpoint, so that the curves have neither a gap nor a step twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_usflow.errors import UsflowError
from napari_usflow.files import write_beside

__all__ = ["Checkpoint", "RunFolder"]


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a run that can be gone back to.

    Attributes
    ----------
    step : int
    path : Path
        The state to resume from.
    weights : Path
        The prior, or network, of that moment, usable as it is.
    """

    step: int
    path: Path
    weights: Path


class RunFolder:
    """Paths and logs of a run.

    Parameters
    ----------
    path : Path
        Made with the first file that is written.
    result : str
        File name of what is trained.
    """

    def __init__(self, path: Path, result: str = "prior.safetensors") -> None:
        self.path = path
        self.config = path / "config.json"
        self.log = path / "log.jsonl"
        self.weights = path / result
        self.patches = path / "patches"
        self.figures = path / "figures"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder; a process that ends lets it go.

        Raises
        ------
        UsflowError
            When another run is at work in it.
        """
        # Whoever ends the run may be another thread than the one that began it.
        lock = FileLock(self.path / "lock", timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            raise UsflowError(
                f"another run is at work in {self.path}; wait for it, stop it, or name "
                "another folder"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @property
    def _files(self) -> tuple[Path, ...]:
        return self.config, self.log, self.weights

    def checkpoint(self, step: int) -> Checkpoint:
        """Name the files of a checkpoint."""
        stem = self.path / "checkpoints" / f"step-{step:07d}"
        return Checkpoint(
            step, stem.with_suffix(".pt"), stem.with_suffix(".safetensors")
        )

    def checkpoints(self) -> list[Checkpoint]:
        """List the whole checkpoints, the newest first."""
        steps = sorted(
            (
                int(path.stem.removeprefix("step-"))
                for path in (self.path / "checkpoints").glob("step-*.pt")
                if path.stem.removeprefix("step-").isdecimal()
            ),
            reverse=True,
        )
        return [
            checkpoint
            for checkpoint in map(self.checkpoint, steps)
            if checkpoint.weights.is_file()
        ]

    def forget_checkpoints(self, keep: int) -> None:
        """Delete all but the newest ``keep`` checkpoints."""
        for old in self.checkpoints()[keep:]:
            old.path.unlink(missing_ok=True)
            old.weights.unlink(missing_ok=True)

    def begin(self, config: dict[str, Any], step: int) -> None:
        """Make the folder ready for the steps after ``step``.

        What a killed run left half-written is deleted, the log ends at ``step``, and
        later checkpoints, which this run will write again, go.
        """
        checkpoints = self.path / "checkpoints"
        checkpoints.mkdir(parents=True, exist_ok=True)
        # The folder may hold other hidden files: only names of ours are touched.
        for folder, pattern in (
            *((self.path, f".{p.stem}-*{p.suffix}") for p in self._files),
            (checkpoints, ".step-*"),
            (self.figures, ".*-*.png"),
        ):
            for left in folder.glob(pattern):
                left.unlink()
        same = {
            path
            for whole in self.checkpoints()
            if whole.step <= step
            for path in (whole.path, whole.weights)
        }
        for later in checkpoints.glob("step-*"):
            if later not in same:
                later.unlink()
        past = [r for r in self.records() if r["step"] <= step]
        with write_beside(self.log) as beside:
            lines = (json.dumps(record) + "\n" for record in past)
            beside.write_text("".join(lines), encoding="utf-8")
        with write_beside(self.config) as beside:
            beside.write_text(json.dumps(config, indent=1), encoding="utf-8")

    def append(self, record: dict[str, Any]) -> None:
        """Add a line to the log."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """Read the log; lines that a kill cut short, or that are none, are left out."""
        if not self.log.is_file():
            return []
        records = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                records.append(record)
        return records
