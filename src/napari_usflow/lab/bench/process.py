"""A run in a process of its own: what it takes of memory, and can be stopped.

Memory is a matter of the whole process, and a library call that lasts can only be
stopped with its process. So a fresh one loads a method, denoises a small picture to
have everything at hand, and then the stack, of which time and memory are noted:

    python -m napari_usflow.lab.bench.process FOLDER

reads ``FOLDER/run.json`` and writes ``FOLDER/found.json``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_usflow.errors import UsflowError
from napari_usflow.jobs import CancelToken, Event, Progress, result_of
from napari_usflow.lab.bench.entrants import Entrant
from napari_usflow.lab.bench.pictures import SPECKLE_SIGMA, timed_stack
from napari_usflow.lab.bench.scores import Size

__all__ = ["CLOCKS", "Apart", "NotRun", "apart_events"]

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
"""Kind of time: wall clock, or processor time of all threads together."""

_LOOK_S = 0.05
_SAMPLE_S = 0.002
_STARTING_S = 300.0
_MIB = 2.0**20


@dataclass(frozen=True)
class Apart:
    """Cost of a run in a process of its own.

    Attributes
    ----------
    seconds : float
        Of one run over the stack.
    added_mib, peak_mib, gpu_mib : float
        See :class:`~napari_usflow.lab.bench.scores.BenchScore`.
    """

    seconds: float
    added_mib: float
    peak_mib: float
    gpu_mib: float


class NotRun(UsflowError):
    """Why a run gave nothing; the benchmark goes on without it."""


def apart_events(
    entrant: Entrant,
    size: Size,
    *,
    clock: str,
    threads: int | None,
    limit_s: float,
    token: CancelToken,
) -> Generator[Event, None, Apart]:
    """Run a method once on a stack, in a process of its own.

    Parameters
    ----------
    entrant : Entrant
    size : Size
        Of the stack.
    clock : {"wall", "processor"}
    threads : int, optional
        Of torch and others; what they choose by default.
    limit_s : float
        After half as much again, by that clock, the process is stopped.
    token : CancelToken
        Set it to stop; the process ends with the generator, whatever ends that.

    Yields
    ------
    Progress
        Of the time that is allowed.

    Raises
    ------
    NotRun
        When it took too long or failed.
    """
    allowed = 1.5 * limit_s
    environment = dict(os.environ)
    if threads is not None:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment |= dict.fromkeys(names, str(threads))
    with tempfile.TemporaryDirectory(prefix="usflow-bench-") as name:
        folder = Path(name)
        run = {"entrant": asdict(entrant), "shape": size.shape, "clock": clock}
        (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
        with (folder / "said.txt").open("wb") as said:
            process = subprocess.Popen(
                _command(folder),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environment,
            )
            try:
                started = now = _time_of(process.pid, clock)
                begun: float | None = None
                while process.poll() is None:
                    token.raise_if_cancelled()
                    now = max(now, _time_of(process.pid, clock))
                    if begun is None and (folder / "begun").exists():
                        begun = now
                    if begun is None and now - started > _STARTING_S + allowed:
                        raise NotRun("did not start in time")
                    spent = 0.0 if begun is None else now - begun
                    if spent > allowed:
                        raise NotRun(f"stopped after {allowed:.3g} s")
                    yield Progress(round(1000 * spent / allowed), 1000)
                    time.sleep(_LOOK_S)
            finally:
                process.kill()
                process.wait()
        result_path = folder / "found.json"
        if process.returncode or not result_path.is_file():
            raise NotRun(_reason(process.returncode, folder / "said.txt"))
        return Apart(**json.loads(result_path.read_text(encoding="utf-8")))


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-m", __name__, str(folder)]


def _time_of(pid: int, clock: str) -> float:
    """Time in seconds as a process spends it; 0 when it has ended."""
    import psutil

    if clock == "wall":
        return time.monotonic()
    with suppress(psutil.Error):
        taken = psutil.Process(pid).cpu_times()
        return float(taken.user + taken.system)
    return 0.0


def _reason(code: int, said: Path) -> str:
    """Return why a process failed: its last line of output, or the signal."""
    if code < 0:
        return f"failed: ended by signal {-code} (out of memory?)"
    lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"failed: {lines[-1][:200] if lines else f'exit code {code}'}"


def measure(folder: Path) -> None:
    """Run the job of ``run.json`` in this process."""
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    clock, token = CLOCKS[run["clock"]], CancelToken()
    contestant = result_of(Entrant(**run["entrant"]).events(token))
    small, stack = timed_stack(Size.of(1, 32, 32)), timed_stack(Size.of(*run["shape"]))
    sigma = SPECKLE_SIGMA
    result_of(contestant.denoise(small, sigma, clean=small, token=token))
    with _Memory() as memory:
        (folder / "begun").touch()
        start = clock()
        result_of(contestant.denoise(stack, sigma, clean=stack, token=token))
        seconds = clock() - start
    result = Apart(seconds, memory.added_mib, memory.peak_mib, memory.gpu_mib)
    beside = folder / "found.part"
    beside.write_text(json.dumps(asdict(result)), encoding="utf-8")
    beside.replace(folder / "found.json")


class _Memory:
    """Watches what this process has of memory while it is entered.

    Where the system keeps the highest mark (Linux), that is it; elsewhere the memory is
    looked at every two milliseconds.
    """

    def __enter__(self) -> _Memory:
        import psutil

        self._process = psutil.Process()
        self._torch = sys.modules.get("torch")
        if self._torch is not None and self._torch.cuda.is_initialized():
            self._torch.cuda.reset_peak_memory_stats()
        self._marked = _reset_mark()
        self._before = self._highest = self._process.memory_info().rss
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        if not self._marked:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._marked:
            self._highest = max(self._highest, _mark())
        else:
            self._stop.set()
            self._thread.join()
        self.added_mib = (self._highest - self._before) / _MIB
        self.peak_mib = self._highest / _MIB
        self.gpu_mib = float("nan")
        if self._torch is not None and self._torch.cuda.is_initialized():
            self.gpu_mib = self._torch.cuda.max_memory_allocated() / _MIB

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self._highest = max(self._highest, int(self._process.memory_info().rss))


def _reset_mark() -> bool:
    """Forget the highest mark so far; tell whether the system has one to forget."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return _mark() > 0


def _mark() -> int:
    """Bytes that were in memory at most (``VmHWM``), 0 where that is not known."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return 0


if __name__ == "__main__":
    # Ctrl-C is for the process that started this one, which then ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    measure(Path(sys.argv[1]))
