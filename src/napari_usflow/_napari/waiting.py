"""Work that napari waits for: opening a file, making a sample.

napari wants the layers when the reader returns, so the work cannot simply go on in
the background. It is done in a thread all the same, while the window is kept drawn
and its progress bar moving; clicks have to wait, so that nothing starts twice.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from napari_usflow.jobs import Event, Progress

__all__ = ["wait_for"]

T = TypeVar("T")

_POLL_S = 0.02
_STEPS = 100


def wait_for(events: Generator[Event, None, T], what: str) -> T:
    """Run a generator to its end, with a bar in napari's activity dock.

    Parameters
    ----------
    events : generator
        Reports :class:`~napari_usflow.jobs.Progress`, or nothing: then the bar only
        shows that work is going on.
    what : str
        Text beside the bar.

    Returns
    -------
    object
        What the generator returned; what it raised is raised here.
    """
    from napari.utils import progress

    state = _Share()
    with progress(total=0, desc=what) as bar:
        app = _application()
        if app is None:
            return state.follow(events)
        from qtpy.QtCore import QEventLoop

        no_clicks = QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents
        with ThreadPoolExecutor(1, thread_name_prefix="usflow-wait") as pool:
            future = pool.submit(state.follow, events)
            while not future.done():
                wait([future], timeout=_POLL_S)
                app.processEvents(no_clicks)
                if state.value:
                    bar.total = _STEPS
                    bar.update(round(_STEPS * state.value) - bar.n)
        return future.result()


class _Share:
    """How much is done, written by one thread and read by another."""

    def __init__(self) -> None:
        self.value = 0.0

    def follow(self, events: Generator[Event, None, T]) -> T:
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                value: T = stop.value
                return value
            if isinstance(event, Progress) and event.total:
                self.value = event.done / event.total


def _application() -> Any:
    """Give the Qt application when this is its thread, without loading Qt."""
    if "qtpy.QtWidgets" not in sys.modules:
        return None
    from qtpy.QtCore import QThread
    from qtpy.QtWidgets import QApplication

    app = QApplication.instance()
    here = app is not None and app.thread() == QThread.currentThread()
    return app if here else None
