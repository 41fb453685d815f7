"""Terminal output: progress, notes, errors and JSON."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Generator
from typing import Any, TypeVar

from napari_usflow.jobs import (
    Event,
    FrameDone,
    Note,
    Progress,
    changed_events,
    result_of,
)

__all__ = ["Reporter", "complain", "show_json"]

T = TypeVar("T")


def complain(text: str) -> None:
    """Write an error as one line on standard error."""
    print(f"usflow: {' '.join(text.split())}", file=sys.stderr)


def show_json(content: Any) -> None:
    """Write a report on standard output; NaN becomes null, what JSON lacks text."""
    print(json.dumps(_without_nan(content), indent=2, default=str))


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


class Reporter:
    """Writes the events of a job on standard error as they pass.

    On a terminal progress is one line that is rewritten; elsewhere, where every line
    stays, it is only what was finished.

    Parameters
    ----------
    first_frame : int
        Number that frame 0 of the job has in its file.
    """

    def __init__(self, first_frame: int = 0) -> None:
        self._first_frame = first_frame
        self._terminal = sys.stderr.isatty()
        self._shown = 0
        self._last_s = 0.0

    def watch(self, events: Generator[Event, None, T]) -> Generator[Event, None, T]:
        """Pass events on, showing each."""

        def shown(event: Event) -> Event:
            self.show(event)
            return event

        try:
            return (yield from changed_events(events, shown))
        finally:
            self._clear()

    def finish(self, events: Generator[Event, None, T]) -> T:
        """Show all events of a job and return its result."""
        return result_of(self.watch(events))

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Note):
            self.line(event.text)
        elif isinstance(event, FrameDone):
            seconds = event.info.get("seconds")
            took = "" if seconds is None else f" in {seconds:.2g} s"
            self.line(f"frame {self._first_frame + event.index} done{took}")
        elif isinstance(event, Progress):
            share = event.done / event.total if event.total else 0.0
            self.status(f"{event.label} {share:4.0%}".strip())

    def line(self, text: str) -> None:
        """Write a line that stays."""
        self._clear()
        print(text, file=sys.stderr, flush=True)

    def status(self, text: str) -> None:
        """Write a line that the next one replaces; only a terminal shows it."""
        now = time.monotonic()
        if self._terminal and now - self._last_s >= 0.1:
            self._last_s = now
            print("\r" + text.ljust(self._shown), end="", file=sys.stderr, flush=True)
            self._shown = len(text)

    def _clear(self) -> None:
        if self._shown:
            print("\r" + " " * self._shown, end="\r", file=sys.stderr, flush=True)
            self._shown = 0
