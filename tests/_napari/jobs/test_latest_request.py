"""Of many requests only the newest is answered."""

from __future__ import annotations

import threading
import time

import pytest

from napari_usflow._napari.jobs.latest_request import Latest
from napari_usflow.jobs import Note


class Log:
    """Keeps what was reported, and in which thread."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.errors: list[str] = []
        self.threads: set[int] = set()

    def event(self, event: Note) -> None:
        self.texts.append(event.text)
        self.threads.add(threading.get_ident())

    def error(self, error: Exception) -> None:
        self.errors.append(str(error))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def latest(qapp, log: Log) -> Latest:
    return Latest(on_event=log.event, on_error=log.error)


def saying(text: str, seconds: float = 0.0):
    def source(token):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            token.raise_if_cancelled()
            time.sleep(0.005)
        yield Note(text)

    return source


def test_request_is_answered_in_the_windows_thread(qtbot, latest, log):
    latest.ask(saying("one"))
    qtbot.waitUntil(lambda: not latest.running)

    assert log.texts == ["one"]
    assert log.threads == {threading.get_ident()}


def test_overtaken_requests_are_stopped_and_not_reported(qtbot, latest, log):
    start = time.monotonic()
    for name in ("a", "b", "c"):
        latest.ask(saying(name, seconds=20.0))
    latest.ask(saying("last"))
    qtbot.waitUntil(lambda: not latest.running)

    assert log.texts == ["last"]
    assert log.errors == []
    assert time.monotonic() - start < 10


def test_answer_that_comes_too_late_is_dropped(qtbot, latest, log):
    begun, go_on = threading.Event(), threading.Event()

    def deaf(token):
        begun.set()
        go_on.wait(10)
        yield Note("old")

    latest.ask(deaf)
    assert begun.wait(10)
    latest.ask(saying("new"))
    go_on.set()
    qtbot.waitUntil(lambda: not latest.running)

    assert log.texts == ["new"]


def test_cancel_reports_nothing(qtbot, latest, log):
    latest.ask(saying("one", seconds=20.0))
    latest.ask(saying("two"))
    latest.cancel()
    qtbot.waitUntil(lambda: not latest.running)

    assert log.texts == log.errors == []


def test_error_is_reported_and_the_next_request_works(qtbot, latest, log):
    def failing(token):
        yield from ()
        raise RuntimeError("out of memory")

    latest.ask(failing)
    qtbot.waitUntil(lambda: not latest.running)
    latest.ask(saying("fine"))
    qtbot.waitUntil(lambda: not latest.running)

    assert log.errors == ["RuntimeError: out of memory"]
    assert log.texts == ["fine"]
