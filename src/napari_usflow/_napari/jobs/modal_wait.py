"""Work that napari waits for: opening a file, making a sample, saving a layer.

napari wants the layers when the reader returns, so the work cannot simply go on in
the background. It is done in a thread all the same, while the window is kept drawn
and its progress bar moving; clicks have to wait, so that nothing starts twice. Work
that may be stopped shows a dialog with a button for it, which takes its clicks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from napari_usflow.jobs import CancelToken, Event, Progress, result_of

__all__ = ["called_in_thread", "wait_for"]

T = TypeVar("T")

_POLL_S = 0.02
_STEPS = 100
_DIALOG_AFTER_MS = 500


def wait_for(
    events: Generator[Event, None, T], what: str, *, token: CancelToken | None = None
) -> T:
    """Run a generator to its end, with a bar in napari's activity dock.

    Parameters
    ----------
    events : generator
        Reports :class:`~napari_usflow.jobs.Progress`, or nothing: then the bar only
        shows that work is going on.
    what : str
        Text beside the bar.
    token : CancelToken, optional
        What ``events`` look at; then work of more than half a second shows a dialog
        with a Cancel button instead of the bar.

    Returns
    -------
    object
        What the generator returned; what it raised is raised here.
    """
    state = _Share()
    app = _application()
    if token is not None and app is not None:
        return _with_dialog(events, what, token, state, app)
    from napari.utils import progress

    with progress(total=0, desc=what) as bar:
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


def called_in_thread(call: Callable[[], T]) -> T:
    """Call a function in a thread, and keep the window drawn until it returns.

    For the reading of a frame. Clicks have to wait. Outside of the window's thread the
    function is called at once.
    """
    app = _application()
    if app is None:
        return call()
    from qtpy.QtCore import QEventLoop

    with ThreadPoolExecutor(1, thread_name_prefix="usflow-read") as pool:
        future = pool.submit(call)
        while not wait([future], timeout=_POLL_S).done:
            app.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        return future.result()


def _with_dialog(
    events: Generator[Event, None, T],
    what: str,
    token: CancelToken,
    state: _Share,
    app: Any,
) -> T:
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QMainWindow, QProgressDialog

    # Its child looks like napari.
    windows = [w for w in app.topLevelWidgets() if isinstance(w, QMainWindow)]
    shown = next((window for window in windows if window.isVisible()), None)
    dialog = QProgressDialog(what, "Cancel", 0, 0, shown)
    dialog.setWindowTitle("napari-usflow")
    # Nothing else in napari can be clicked meanwhile.
    dialog.setWindowModality(Qt.WindowModality.ApplicationModal)
    dialog.setMinimumDuration(_DIALOG_AFTER_MS)
    dialog.setAutoReset(False)
    dialog.canceled.connect(token.cancel)
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="usflow-wait") as pool:
            future = pool.submit(state.follow, events)
            while not future.done():
                wait([future], timeout=_POLL_S)
                if state.value and not token.cancelled:
                    dialog.setMaximum(_STEPS)
                    dialog.setValue(round(_STEPS * state.value))
                    dialog.setLabelText(f"{what}\n{state.label}".strip())
                app.processEvents()
        return future.result()
    finally:
        dialog.close()
        dialog.deleteLater()


class _Share:
    """Progress value, written by one thread and read by another."""

    def __init__(self) -> None:
        self.value = 0.0
        self.label = ""

    def follow(self, events: Generator[Event, None, T]) -> T:
        return result_of(events, self._take)

    def _take(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total:
            self.value = event.done / event.total
            self.label = event.label


def _application() -> Any:
    """Return the Qt application when this is its thread, without loading Qt."""
    if "qtpy.QtWidgets" not in sys.modules:
        return None
    from qtpy.QtCore import QThread
    from qtpy.QtWidgets import QApplication

    app = QApplication.instance()
    here = app is not None and app.thread() == QThread.currentThread()
    return app if here else None
