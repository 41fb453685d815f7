"""Work that consists of parts reports as one piece of work."""

from __future__ import annotations

from collections.abc import Generator

from napari_usflow.jobs import Event, Note, Progress, share_of


def part() -> Generator[Event, None, str]:
    yield Note("begun")
    yield Progress(1, 2, "tiles")
    yield Progress(2, 2, "tiles")
    return "result"


def test_progress_of_a_part_is_its_share_of_the_whole() -> None:
    results = []

    def whole(label: str = "") -> Generator[Event, None, None]:
        results.append((yield from share_of(part(), 2, 3, label)))

    assert list(whole()) == [
        Note("begun"),
        Progress(5, 6, "tiles"),
        Progress(6, 6, "tiles"),
    ]
    assert list(whole("frame 1"))[-1] == Progress(6, 6, "frame 1")
    assert results == ["result", "result"]
