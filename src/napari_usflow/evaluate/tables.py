"""Tables of the tests: filled cell by cell, reported and written as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from napari_usflow.files import write_beside
from napari_usflow.jobs import Event, FrameDone

__all__ = ["Scored", "last_frame", "table", "write_table"]


@dataclass(frozen=True)
class Scored(Event):
    """A line of the table is known: one of the test's dataclass."""

    score: Any


def last_frame(run: Generator[Event, None, None]) -> Generator[Event, None, FrameDone]:
    """Pass on what a denoising or simulating run yields, and give its last frame."""
    done: FrameDone | None = None
    for event in run:
        if isinstance(event, FrameDone):
            done = event
        else:
            yield event
    assert done is not None, "an image has at least one frame"
    return done


def table(rows: Sequence[Any], formats: Mapping[str, str] | None = None) -> str:
    """Return dataclasses of one kind as CSV, one line each below the fields' names.

    Parameters
    ----------
    rows : sequence of dataclass
        At least one.
    formats : mapping of str to str, optional
        How a field's floats are written; ``.4g`` by default. None and NaN leave a
        cell empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(rows[0])]
    writer.writerow(names)
    for row in rows:
        writer.writerow(
            [_cell(getattr(row, n), (formats or {}).get(n, ".4g")) for n in names]
        )
    return text.getvalue()


def _cell(value: Any, spec: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return "" if value != value else f"{value:{spec}}"


def write_table(
    path: Path, rows: Sequence[Any], formats: Mapping[str, str] | None = None
) -> None:
    """Write :func:`table` to a file, whole or not at all."""
    with write_beside(path) as beside:
        beside.write_text(table(rows, formats), encoding="utf-8")
