"""Runs in processes of their own: what they find, and that they end."""

from __future__ import annotations

import mmap
import sys
import time

import psutil
import pytest

from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Progress, result_of
from napari_usflow.lab.bench import process
from napari_usflow.lab.bench.entrants import REFERENCE, Entrant
from napari_usflow.lab.bench.process import Apart, NotRun, apart_events
from napari_usflow.lab.bench.scores import Size

MIB = 2**20
SLEEPS = "import sys, pathlib, time; pathlib.Path(sys.argv[1], 'begun').touch(); "


def run(method=REFERENCE, *, limit_s=60.0, token=None):
    return apart_events(
        Entrant(method),
        Size.parse("2x32x32"),
        clock="wall",
        threads=1,
        limit_s=limit_s,
        token=token or CancelToken(),
    )


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the run, a process that begins and does not end."""

    def command(folder):
        return [sys.executable, "-c", SLEEPS + "time.sleep(60)", str(folder)]

    monkeypatch.setattr(process, "_command", command)


def children() -> list[psutil.Process]:
    return psutil.Process().children()


def test_a_run_gives_its_time_and_its_memory() -> None:
    found = result_of(run())

    assert isinstance(found, Apart)
    assert 0 < found.seconds < 60
    # Python with NumPy and scikit-image has tens of megabytes.
    assert 20 < found.peak_mib < 4000
    assert 0 <= found.added_mib < found.peak_mib
    assert found.gpu_mib != found.gpu_mib


def test_a_run_that_fails_says_why_in_its_last_words() -> None:
    with pytest.raises(NotRun, match=r"failed: .*there is no method 'magic'"):
        result_of(run("magic"))


def test_a_run_that_is_ended_from_outside_says_so(monkeypatch) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr(process, "_command", lambda _: [sys.executable, "-c", code])

    with pytest.raises(NotRun, match="ended by signal 9"):
        result_of(run())


def test_a_run_that_takes_too_long_is_stopped(asleep) -> None:
    before = children()

    with pytest.raises(NotRun, match=r"stopped after 0\.3 s"):
        result_of(run(limit_s=0.2))

    assert children() == before


def test_a_cancelled_run_leaves_no_process(asleep) -> None:
    token, before = CancelToken(), children()
    events = run(token=token)
    assert isinstance(next(events), Progress)

    token.cancel()
    start = time.perf_counter()
    with pytest.raises(Cancelled):
        list(events)

    assert time.perf_counter() - start < 0.5
    assert children() == before


def test_a_run_that_is_let_go_leaves_no_process(asleep) -> None:
    before = children()
    events = run()
    next(events)
    assert len(children()) == len(before) + 1

    events.close()

    assert children() == before


@pytest.mark.parametrize("marked", [True, False])
def test_memory_that_was_had_for_a_moment_counts(marked: bool, monkeypatch) -> None:
    if marked and not process._reset_mark():
        pytest.skip("this system keeps no highest mark")
    if not marked:
        monkeypatch.setattr(process, "_reset_mark", lambda: False)

    with process._Memory() as memory:
        # From the system: an allocator may have as much that it kept from before.
        had = mmap.mmap(-1, 64 * MIB)
        had[:: mmap.PAGESIZE] = bytes(64 * MIB // mmap.PAGESIZE)
        if not marked:
            time.sleep(0.1)
        had.close()

    assert memory.added_mib == pytest.approx(64, abs=8)
    assert memory.peak_mib > memory.added_mib


def test_by_the_processors_clock_waiting_does_not_count(monkeypatch) -> None:
    """A process that sleeps for a second takes no time of the processor."""
    code = SLEEPS + "time.sleep(1); sys.exit('woke')"
    monkeypatch.setattr(
        process, "_command", lambda folder: [sys.executable, "-c", code, str(folder)]
    )
    events = apart_events(
        Entrant(REFERENCE),
        Size.parse("32x32"),
        clock="processor",
        threads=None,
        limit_s=0.4,
        token=CancelToken(),
    )

    with pytest.raises(NotRun, match="failed: woke"):
        list(events)
