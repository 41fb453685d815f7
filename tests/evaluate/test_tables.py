"""Tables: what a line looks like, and how cells add up to a test."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.evaluate.tables import last_frame, table, write_table
from napari_usflow.jobs import Event, FrameDone, Note, Progress, share_of


@dataclass(frozen=True)
class Line:
    name: str
    level_db: float
    count: int | None


def test_a_table_has_the_fields_as_its_head_and_one_line_each() -> None:
    rows = [Line("a, b", -1.23456, 3), Line("c", float("nan"), 0)]

    text = table(rows, {"level_db": "+.2f"})

    assert text == 'name,level_db,count\n"a, b",-1.23,3\nc,,0\n'


def test_what_is_none_leaves_a_cell_empty() -> None:
    assert table([Line("a", 1.0, None)]).splitlines()[1] == "a,1,"


def test_floats_have_four_digits_unless_told() -> None:
    assert table([Line("", 12.34567, 1)]).splitlines()[1] == ",12.35,1"


def test_a_table_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    with pytest.raises(ValueError, match=r"[Ff]ormat"):
        write_table(path, [Line("a", 1.0, 1)], {"level_db": "no format"})

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_last_frame_is_given_and_what_is_not_a_frame_told() -> None:
    frames = [FrameDone(i, np.full((1, 1), i, np.float32)) for i in range(2)]
    others = [Note("before"), Progress(1, 1)]

    def denoising() -> Generator[Event, None, None]:
        yield from (others[0], frames[0], others[1], frames[1])

    run, seen = last_frame(denoising()), []
    with pytest.raises(StopIteration) as stop:
        while True:
            seen.append(next(run))

    assert stop.value.value is frames[1]
    assert seen == others


def test_progress_in_a_cell_is_a_share_of_the_test() -> None:
    def cell() -> Generator[Event, None, str]:
        yield Note("as it is")
        yield Progress(1, 4)
        yield Progress(0, 0)
        return "made"

    run, seen = share_of(cell(), 2, 5, "third"), []
    with pytest.raises(StopIteration) as stop:
        while True:
            seen.append(next(run))

    assert stop.value.value == "made"
    assert seen[0] == Note("as it is")
    assert [e.done / e.total for e in seen[1:]] == pytest.approx([2.25 / 5, 2 / 5])
    assert seen[1].label == "third"
