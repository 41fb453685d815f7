"""One job at a time, in a thread, that reports, stops and fails cleanly.

The thread is superqt's, not napari's: the window keeps a reference to every worker
napari makes, and with it whatever the worker computed with. superqt in turn takes
a RuntimeError in a generator for a deleted window and ends without a word, and torch
raises RuntimeError for everything; so that error is wrapped on the way.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from napari_usflow.errors import Cancelled, JobError, UsflowError
from napari_usflow.jobs import CancelToken, Event, Progress

__all__ = [
    "GRACE_S",
    "EventSource",
    "HeldRun",
    "Job",
    "guarded",
    "one_core_left_to_the_window",
]

EventSource = Callable[[CancelToken], Generator[Event, None, object]]

GRACE_S = 0.3
"""Seconds a cancelled job may take to stop before it is left to itself."""

_PROGRESS_INTERVAL_S = 0.05
_EXIT_WAIT_MS = 120_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Outcome:
    """Outcome of a job; superqt would raise an exception that is returned bare."""

    error: Exception | None


def guarded(
    source: EventSource, token: CancelToken
) -> Generator[Event, None, _Outcome]:
    """Run a job so that it can be trusted in a generator worker.

    Progress is passed on at most twenty times a second: every event crosses into
    the window's thread, where it would be drawn.

    Yields
    ------
    Event
        The job's own.

    Returns
    -------
    _Outcome
        Without an error when the job came to its end, with
        :class:`~napari_usflow.errors.Cancelled` when it was stopped, else with a
        :class:`~napari_usflow.errors.JobError`.
    """
    due = 0.0
    try:
        for event in source(token):
            if isinstance(event, Progress):
                now = time.monotonic()
                if now < due:
                    continue
                due = now + _PROGRESS_INTERVAL_S
            yield event
    except Cancelled as stop:
        return _Outcome(stop.with_traceback(None))
    except Exception as error:  # noqa: BLE001 - whatever it is, the user must see it
        if not isinstance(error, UsflowError):
            # As text: a record with the exception would keep the job's memory.
            _log.error("a job failed\n%s", traceback.format_exc())
        return _Outcome(_readable(error))
    return _Outcome(None)


def _readable(error: Exception) -> JobError:
    """Describe an error without a traceback, which would keep the job's memory."""
    text = str(error).strip()
    if isinstance(error, UsflowError | ValueError) and text:
        return JobError(text)
    return JobError(f"{type(error).__name__}: {text}" if text else repr(error))


class Job:
    """A generator of events, run in a thread.

    The callbacks are called in the window's thread; ``on_end`` exactly once, unless
    the job is abandoned, and nothing after it.

    Parameters
    ----------
    source : callable
        Makes the generator, in the thread, from a token that says when to stop.
    on_event : callable
        Called with each event.
    on_end : callable
        Called with None, :class:`~napari_usflow.errors.Cancelled`, or the error.
    grace_s : float, optional
        How long it may take to stop. None for a job that has something to save: its
        end is waited for when it is cancelled, when it is abandoned (no other job
        can start before) and when Python exits.
    """

    _active: ClassVar[Job | None] = None

    def __init__(
        self,
        source: EventSource,
        *,
        on_event: Callable[[Event], None],
        on_end: Callable[[Exception | None], None],
        grace_s: float | None = GRACE_S,
    ) -> None:
        self._source: EventSource | None = source
        self._on_event = on_event
        self._on_end = on_end
        self._grace_s = grace_s
        self._token = CancelToken()
        self._worker: object = None

    @property
    def running(self) -> bool:
        """Whether its end is still to be reported."""
        return Job._active is self

    @classmethod
    def busy(cls) -> bool:
        """Whether any job is running in this process."""
        return cls._active is not None

    def start(self) -> None:
        """Start the thread.

        Raises
        ------
        JobError
            When another job is running: two at a time would only slow each other
            and the window down.
        """
        from superqt.utils import create_worker

        if Job.busy():
            raise JobError(
                "another job is running in this napari; wait for it or cancel it"
            )
        Job._active = self
        source, self._source = self._source, None
        if self._grace_s is None:
            atexit.register(self._end_before_exit)
        self._worker = create_worker(
            guarded,
            source,
            self._token,
            _connect={
                "yielded": self._receive,
                "returned": lambda outcome: self._finish(outcome.error),
                "errored": self._finish,
            },
        )

    def cancel(self) -> None:
        """Ask the job to stop.

        A solver looks at its token every few milliseconds. Where a library call
        does not come back in time, its result is given up.
        """
        from qtpy.QtCore import QTimer

        if self.running and not self._token.cancelled:
            self._token.cancel()
            if self._grace_s is not None:
                QTimer.singleShot(int(self._grace_s * 1000), self._give_up)

    def abandon(self) -> None:
        """Stop the job and report nothing any more; for a window that closes."""
        self._token.cancel()
        self._on_event = self._on_end = _ignore
        if self._grace_s is not None:
            self._release()

    def _receive(self, event: Event) -> None:
        if self.running:
            self._on_event(event)

    def _give_up(self) -> None:
        if self.running:
            self._finish(Cancelled("stopped on request"))

    def _finish(self, outcome: Exception | None) -> None:
        if self.running:
            on_end = self._on_end
            self._release()
            on_end(outcome)

    def _end_before_exit(self) -> None:
        """Make the exit wait: it would end Qt's threads in the middle of a file."""
        from qtpy.QtCore import QThreadPool

        self._token.cancel()
        if (pool := QThreadPool.globalInstance()) is not None:
            pool.waitForDone(_EXIT_WAIT_MS)

    def _release(self) -> None:
        if self.running:
            Job._active = None
        atexit.unregister(self._end_before_exit)
        self._worker = None
        self._on_event = self._on_end = _ignore


class Abandonable(Protocol):
    """A run that can be told to end without a word."""

    def abandon(self) -> None:
        """Stop and report nothing any more."""


RunT = TypeVar("RunT", bound=Abandonable)


class HeldRun(Generic[RunT]):
    """Holds the run of a widget apart from it, so that it can outlive it by a moment.

    Attributes
    ----------
    now : object or None
        The run at work.
    """

    def __init__(self) -> None:
        self.now: RunT | None = None

    def abandon(self, *_: object) -> None:
        """Abandon the run, if there is one; can be connected to any signal."""
        run, self.now = self.now, None
        if run is not None:
            run.abandon()


@contextmanager
def one_core_left_to_the_window() -> Iterator[None]:
    """Have torch use all cores but one.

    Its threads wait for each other at every step, spinning: with one core taken away
    by drawing, using all of them is many times slower than using the rest.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    with _Threads.lock:
        # A job beside another one would take the reduced number for the usual one.
        if not _Threads.jobs:
            _Threads.usual = torch.get_num_threads()
        _Threads.jobs += 1
        torch.set_num_threads(max(1, min(_Threads.usual, (os.cpu_count() or 2) - 1)))
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.jobs -= 1
            if not _Threads.jobs:
                torch.set_num_threads(_Threads.usual)


class _Threads:
    """Number of torch's threads before the first of the running jobs."""

    lock: ClassVar[threading.Lock] = threading.Lock()
    jobs: ClassVar[int] = 0
    usual: ClassVar[int] = 1


def _ignore(_: object) -> None:
    """Take the place of the callbacks of a job that is over."""
