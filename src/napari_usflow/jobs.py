"""Progress events and cancellation of long jobs.

Anything that may take longer than a second is a generator of :class:`Event`. The
command line prints them, a script collects them, napari draws them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from math import gcd
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import Cancelled

__all__ = [
    "CancelToken",
    "Event",
    "FrameDone",
    "Note",
    "Progress",
    "changed_events",
    "result_of",
    "share_of",
    "stack_of",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """Something that happened during a job."""


@dataclass(frozen=True)
class Progress(Event):
    """``done`` of ``total`` equal parts of the present step are finished."""

    done: int
    total: int
    label: str = ""


@dataclass(frozen=True)
class Note(Event):
    """A sentence the user should see (an estimate that was made, a fallback taken)."""

    text: str


@dataclass(frozen=True)
class FrameDone(Event):
    """One frame of a stack is finished.

    Attributes
    ----------
    index : int
        Index of the frame in the stack.
    data : ndarray, shape (Z, X), float32
        The finished frame, on the input's grid and in the input's values.
    info : dict
        What was found on the way, for provenance (``sigma``, ``seconds``, ...).
    """

    index: int
    data: npt.NDArray[np.float32]
    info: dict[str, Any] = field(default_factory=dict)


class CancelToken:
    """A flag that one thread sets and a job looks at between two batches.

    Examples
    --------
    Stop after the first frame:

    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> token = usf.CancelToken()
    >>> def stop(event):
    ...     if isinstance(event, usf.FrameDone):
    ...         token.cancel()
    >>> frames = np.random.default_rng(0).random((3, 16, 16))
    >>> usf.denoise(frames, method="tv", on_event=stop, token=token)
    Traceback (most recent call last):
    napari_usflow.errors.Cancelled: stopped on request
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop at the next look."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise :class:`~napari_usflow.errors.Cancelled` if asked to stop."""
        if self._event.is_set():
            raise Cancelled("stopped on request")


def result_of(
    events: Generator[Event, None, T],
    on_event: Callable[[Event], object] | None = None,
) -> T:
    """Run a generator of events to its end and return its result.

    Parameters
    ----------
    events : generator of Event
        The work.
    on_event : callable, optional
        Called with each event. An error that it raises ends the work.

    Returns
    -------
    object
        What the generator returns.
    """
    # Closed at once when on_event fails: a training run holds the lock of its folder.
    with closing(events):
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                value: T = stop.value
                return value
            if on_event is not None:
                on_event(event)


def stack_of(
    events: Generator[Event, None, Any],
    shape: tuple[int, ...],
    on_event: Callable[[Event], object] | None = None,
) -> npt.NDArray[np.float32]:
    """Run a generator of events to its end and return its frames as one stack.

    Parameters
    ----------
    events : generator of Event
        The work; each of its frames comes as :class:`FrameDone`.
    shape : tuple of int
        (frames, axial, lateral).
    on_event : callable, optional
        Called with each event.

    Returns
    -------
    ndarray, shape (frames, axial, lateral), float32
    """
    stack = np.empty(shape, np.float32)

    def keep(event: Event) -> None:
        if isinstance(event, FrameDone):
            stack[event.index] = event.data
        if on_event is not None:
            on_event(event)

    result_of(events, keep)
    return stack


def share_of(
    events: Generator[Event, None, T],
    start: int,
    whole: int,
    label: str = "",
    *,
    size: int = 1,
) -> Generator[Event, None, T]:
    """Turn the progress of a part into progress of the whole.

    Parameters
    ----------
    events : generator of Event
        The work of the part; other events are passed on as they are.
    start, size, whole : int
        Where the part begins, its size and that of the whole, all in the same units:
        parts, patches, steps.
    label : str
        Label of the progress; that of each event by default.

    Returns
    -------
    object
        What ``events`` returns.
    """

    def of_the_whole(event: Event) -> Event:
        if not isinstance(event, Progress):
            return event
        total = max(event.total, 1)
        units = gcd(size, total)
        done = start * (total // units) + size // units * event.done
        return Progress(done, whole * (total // units), label or event.label)

    return (yield from changed_events(events, of_the_whole))


def changed_events(
    events: Generator[Event, None, T], change: Callable[[Event], Event | None]
) -> Generator[Event, None, T]:
    """Pass events on as ``change`` returns them; None leaves one out.

    Returns
    -------
    object
        What ``events`` returns.
    """
    # A listener that stops early closes the work at once.
    with closing(events):
        while True:
            try:
                event = change(next(events))
            except StopIteration as stop:
                value: T = stop.value
                return value
            if event is not None:
                yield event
