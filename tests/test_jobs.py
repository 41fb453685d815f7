"""Work that consists of parts reports as one piece of work."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_usflow.errors import Cancelled
from napari_usflow.jobs import (
    CancelToken,
    Event,
    FrameDone,
    Note,
    Progress,
    changed_events,
    result_of,
    share_of,
    stack_of,
)


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


def steps(count: int) -> Generator[Event, None, int]:
    for done in range(count + 1):
        yield Progress(done, count)
    return count


# Another program on the machine makes the drawing slow, and no example wrong.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 7)), min_size=1))
def test_progress_of_parts_of_any_size_rises_from_none_to_all(
    parts: list[tuple[int, int]],
) -> None:
    """Each part is (its size, the steps in which it reports)."""
    whole = sum(size for size, _ in parts)
    shares, start = [], 0
    for size, count in parts:
        for event in share_of(steps(count), start, whole, size=size):
            assert isinstance(event, Progress)
            shares.append(event.done / event.total)
        start += size

    assert shares[0] == 0
    assert shares == sorted(shares)
    end = 1 if parts[-1][1] else 1 - parts[-1][0] / whole
    assert shares[-1] == pytest.approx(end)


def test_progress_in_the_units_of_the_whole_stays_in_them() -> None:
    events = share_of(steps(30), 12, 50, "patches", size=30)

    assert list(events)[10] == Progress(22, 50, "patches")


def frames(order: list[int]) -> Generator[Event, None, str]:
    for index in order:
        yield FrameDone(index, np.full((2, 3), index, np.float32))
    return "end"


def test_frames_are_stacked_by_their_index() -> None:
    seen: list[Event] = []

    stack = stack_of(frames([2, 0, 1]), (3, 2, 3), seen.append)

    np.testing.assert_array_equal(stack[:, 0, 0], [0, 1, 2])
    assert (stack.dtype, len(seen)) == (np.float32, 3)


def test_an_error_of_a_listener_closes_the_work_at_once() -> None:
    closed = []

    def work() -> Generator[Event, None, None]:
        try:
            yield Note("begun")
        finally:
            closed.append(True)

    def listener(event: Event) -> None:
        raise KeyError("listener")

    with pytest.raises(KeyError):
        result_of(work(), listener)
    assert closed == [True]


def test_token_says_that_it_was_cancelled_and_raises_from_then_on() -> None:
    token = CancelToken()
    token.raise_if_cancelled()
    assert not token.cancelled

    token.cancel()

    assert token.cancelled
    with pytest.raises(Cancelled, match="stopped on request"):
        token.raise_if_cancelled()


def test_events_are_passed_on_as_they_are_changed_and_none_leaves_one_out() -> None:
    def loud(event: Event) -> Event | None:
        return Note(event.text.upper()) if isinstance(event, Note) else None

    seen: list[Event] = []

    assert result_of(changed_events(part(), loud), seen.append) == "result"
    assert seen == [Note("BEGUN")]
