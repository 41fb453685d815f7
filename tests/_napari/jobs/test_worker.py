"""A job in a thread: it ends, stops and fails without leaving anything behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from napari_usflow._napari.jobs.worker import GRACE_S, Job, guarded
from napari_usflow.errors import Cancelled, JobError, UsflowError
from napari_usflow.jobs import CancelToken, FrameDone, Note, Progress

# Half a second is promised; a busy machine is given twice that.
CONTROL_BACK_S = 1.0


class Model:
    """Stands for something heavy that a job computes with."""


def drain(source, token=None):
    """Run a guarded job in this thread; give its events and its outcome."""
    events, run = [], guarded(source, token or CancelToken())
    while True:
        try:
            events.append(next(run))
        except StopIteration as stop:
            return events, stop.value


def failing(error: Exception):
    def source(token):
        yield Note("begun")
        raise error

    return source


def test_runtime_error_comes_out_as_job_error():
    events, outcome = drain(failing(RuntimeError("CUDA out of memory")))
    assert events == [Note("begun")]
    assert isinstance(outcome.error, JobError)
    assert "CUDA out of memory" in str(outcome.error)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(), StopIteration(3)])
def test_error_without_text_still_says_something(error):
    _, outcome = drain(failing(error))
    assert isinstance(outcome.error, JobError)
    assert "Error" in str(outcome.error)


def test_our_own_errors_keep_their_sentence():
    _, outcome = drain(failing(UsflowError("layer 'a' has NaN")))
    assert str(outcome.error) == "layer 'a' has NaN"


def test_cancelling_is_not_a_failure():
    _, outcome = drain(failing(Cancelled("stopped")))
    assert isinstance(outcome.error, Cancelled)


def test_error_holds_on_to_nothing_the_job_had():
    model = Model()
    alive = weakref.ref(model)

    def source(token):
        mine = model_box.pop()
        yield Note("begun")
        raise RuntimeError(f"failed with {type(mine).__name__}")

    model_box = [model]
    del model
    _, outcome = drain(source)
    gc.collect()
    assert outcome.error is not None
    assert alive() is None


def test_progress_is_thinned_out_but_frames_and_notes_are_not():
    frame = np.zeros((2, 2), np.float32)

    def source(token):
        for i in range(1000):
            yield Progress(i, 1000)
            if i % 100 == 0:
                yield FrameDone(i, frame)
                yield Note(str(i))

    events, _ = drain(source)
    assert sum(isinstance(e, FrameDone) for e in events) == 10
    assert sum(isinstance(e, Note) for e in events) == 10
    assert 1 <= sum(isinstance(e, Progress) for e in events) < 100


class Watcher:
    """Collects what a job reports."""

    def __init__(self, source, **kwargs) -> None:
        self.events: list[object] = []
        self.ends: list[Exception | None] = []
        self.job = Job(
            source, on_event=self.events.append, on_end=self.ends.append, **kwargs
        )


@pytest.fixture
def watch(qtbot) -> Iterator[type[Watcher]]:
    yield Watcher
    assert not Job.busy()


def listening(seconds: float):
    def source(token):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            token.raise_if_cancelled()
            time.sleep(0.005)
            yield Progress(0, 1)

    return source


def deaf(token):
    time.sleep(GRACE_S + 1.2)
    yield Note("too late")


@pytest.mark.gui
def test_job_reports_events_and_its_end(qtbot, watch):
    def source(token):
        yield Note("a")
        yield Note("b")

    watcher = watch(source)
    watcher.job.start()
    assert watcher.job.running
    qtbot.waitUntil(lambda: bool(watcher.ends))
    assert watcher.events == [Note("a"), Note("b")]
    assert watcher.ends == [None]
    assert not watcher.job.running


@pytest.mark.gui
def test_failing_job_ends_and_frees_the_place_for_the_next(qtbot, watch):
    watcher = watch(failing(RuntimeError("boom")))
    watcher.job.start()
    qtbot.waitUntil(lambda: bool(watcher.ends))
    assert "boom" in str(watcher.ends[0])
    assert not Job.busy()


@pytest.mark.gui
def test_second_job_is_refused_while_one_runs(qtbot, watch):
    first, second = watch(listening(5)), watch(listening(5))
    first.job.start()
    with pytest.raises(JobError, match="another job is running"):
        second.job.start()
    first.job.cancel()
    qtbot.waitUntil(lambda: bool(first.ends))
    second.job.start()
    second.job.abandon()


@pytest.mark.gui
@pytest.mark.parametrize("source", [listening(10), deaf], ids=["listening", "deaf"])
def test_cancelled_job_gives_control_back_within_half_a_second(qtbot, watch, source):
    watcher = watch(source)
    watcher.job.start()
    qtbot.wait(100)
    start = time.monotonic()
    watcher.job.cancel()
    qtbot.waitUntil(lambda: bool(watcher.ends))
    assert time.monotonic() - start < CONTROL_BACK_S
    assert isinstance(watcher.ends[0], Cancelled)
    qtbot.wait(int(1000 * (GRACE_S + 1.2)))
    assert len(watcher.ends) == 1
    assert Note("too late") not in watcher.events


def saving(saved: list[str]):
    """A job that takes longer to save than others may take to stop."""

    def source(token):
        while not token.cancelled:
            time.sleep(0.005)
            yield Progress(0, 1)
        time.sleep(GRACE_S + 0.5)
        saved.append("saved")
        yield Note("saved")

    return source


@pytest.mark.gui
def test_job_that_saves_is_waited_for_when_it_is_cancelled(qtbot, watch):
    saved: list[str] = []
    watcher = watch(saving(saved), grace_s=None)
    watcher.job.start()
    qtbot.wait(50)
    watcher.job.cancel()
    qtbot.waitUntil(lambda: bool(watcher.ends), timeout=10_000)
    assert watcher.ends == [None]
    assert watcher.events[-1] == Note("saved")


@pytest.mark.gui
def test_job_that_saves_keeps_its_place_when_it_is_abandoned(qtbot, watch):
    saved: list[str] = []
    watcher = watch(saving(saved), grace_s=None)
    watcher.job.start()
    qtbot.wait(50)
    watcher.job.abandon()
    seen = len(watcher.events)
    with pytest.raises(JobError, match="another job is running"):
        watch(listening(5)).job.start()
    qtbot.waitUntil(lambda: not Job.busy(), timeout=10_000)
    assert saved == ["saved"]
    assert watcher.ends == []
    assert len(watcher.events) == seen


EXITING = """
import sys, time
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from napari_usflow._napari.jobs.worker import Job
from napari_usflow.jobs import Note

def source(token):
    while not token.cancelled:
        time.sleep(0.005)
        yield Note("at work")
    time.sleep(1.0)
    open(sys.argv[1], "w").write("saved")
    yield Note("saved")

app = QApplication([])
job = Job(source, on_event=lambda e: None, on_end=lambda e: None, grace_s=None)
job.start()
QTimer.singleShot(200, app.quit)
app.exec()
"""


@pytest.mark.gui
def test_job_that_saves_is_waited_for_when_python_exits(tmp_path):
    path = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", EXITING, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert path.read_text() == "saved"


@pytest.mark.gui
def test_abandoned_job_says_nothing_any_more(qtbot, watch):
    watcher = watch(listening(10))
    watcher.job.start()
    qtbot.wait(50)
    watcher.job.abandon()
    seen = len(watcher.events)
    qtbot.wait(200)
    assert watcher.ends == []
    assert len(watcher.events) == seen
    assert not Job.busy()


@pytest.mark.gui
@pytest.mark.parametrize("end", ["finished", "cancelled", "failed", "abandoned"])
def test_what_a_job_computed_with_is_freed(qtbot, watch, end):
    alive: list[weakref.ref[Model]] = []

    def source(token):
        model = Model()
        alive.append(weakref.ref(model))
        for _ in range(20 if end in ("finished", "failed") else 2000):
            token.raise_if_cancelled()
            time.sleep(0.005)
            yield Progress(0, 1)
        if end == "failed":
            raise RuntimeError(f"no memory for {model}")

    watcher = watch(source)
    watcher.job.start()
    qtbot.waitUntil(lambda: bool(alive))
    if end == "cancelled":
        watcher.job.cancel()
    if end == "abandoned":
        watcher.job.abandon()
    else:
        qtbot.waitUntil(lambda: bool(watcher.ends))

    def freed() -> bool:
        gc.collect()
        return alive[0]() is None

    qtbot.waitUntil(freed, timeout=2000)
