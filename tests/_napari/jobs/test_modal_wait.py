"""Work that napari waits for."""

from __future__ import annotations

import threading
import time

import pytest
from qtpy.QtCore import QTimer

from napari_usflow._napari.jobs.modal_wait import wait_for
from napari_usflow.errors import FileFormatError
from napari_usflow.jobs import Progress


def working(seconds: float = 0.0, error: Exception | None = None):
    for done in range(5):
        time.sleep(seconds / 5)
        yield Progress(done, 5)
    if error is not None:
        raise error
    return threading.current_thread() is threading.main_thread()


@pytest.mark.gui
def test_window_stays_alive_while_the_work_is_done_elsewhere(qtbot):
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    in_main_thread = wait_for(working(0.5), "working")
    timer.stop()
    assert in_main_thread is False
    assert len(ticks) > 5


@pytest.mark.gui
def test_errors_arrive_as_they_are(qtbot):
    with pytest.raises(FileFormatError, match="damaged"):
        wait_for(working(error=FileFormatError("damaged")), "working")


@pytest.mark.gui
def test_progress_is_shown(qtbot, monkeypatch):
    import napari.utils

    seen: list[int] = []

    class Bar(napari.utils.progress):
        def update(self, n: int = 1) -> None:
            super().update(n)
            seen.append(self.n)

    monkeypatch.setattr(napari.utils, "progress", Bar)
    wait_for(working(0.3), "working")
    assert seen
    assert seen == sorted(seen)
    assert seen[-1] <= 100


def test_other_threads_work_where_they_are():
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(wait_for(working(), "here")))
    thread.start()
    thread.join()
    assert done == [False]
