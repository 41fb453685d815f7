"""What the attacks share: paths, processes, and what they met."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
os.environ["OMP_NUM_THREADS"] = "1"

PATIENCE_S = 900.0
Rng = np.random.Generator

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "__main__",
        "napari_usflow.cli.convert",
        "napari_usflow.cli.denoise",
        "napari_usflow.cli.train",
        "napari_usflow.io.pictures",
        "napari_usflow.training.flow.train",
        "napari_usflow.training.network.train",
        "lightning_fabric",
        "matplotlib.pyplot",
    ]
)


@dataclass(frozen=True)
class Outcome:
    """What an attack met."""

    attack: str
    holds: bool
    detail: str


Part = Callable[[Path, int, Rng], Iterator[Outcome]]


class Run:
    """A function in a process of its own, which can be killed.

    Its processes are forked from one that has imported what they need, and done
    nothing else: that takes most of the time of a short command.

    Parameters
    ----------
    folder : Path
        Where what the process says is kept until it has ended.
    work : callable
        A function of a module; what it returns is the exit code.
    *arguments
        Of the function.
    """

    def __init__(
        self, folder: Path, work: Callable[..., int], *arguments: object
    ) -> None:
        number, said = tempfile.mkstemp(prefix="said-", dir=folder)
        os.close(number)
        self._said = Path(said)
        self._process = _CONTEXT.Process(target=_run, args=(said, work, arguments))
        self._process.start()

    @property
    def exit_code(self) -> int | None:
        """Negative, the number of the signal, when one ended it; None before."""
        return self._process.exitcode

    def send(self, number: signal.Signals) -> str:
        """Send a signal, and wait for the end; give what was said."""
        if self._process.is_alive():
            os.kill(self._process.pid or 0, number)
        return self.wait()

    def wait(self) -> str:
        """Wait for the end; give what was said on both streams."""
        self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        return self._said.read_text()


def _run(said: str, work: Callable[..., int], arguments: tuple[object, ...]) -> None:
    stream = os.open(said, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(stream, number)
    sys.exit(work(*arguments))


def usflow(folder: Path, *arguments: object) -> Run:
    """Start a command of usflow."""
    return Run(folder, _command, *arguments)


def _command(*arguments: object) -> int:
    from napari_usflow.cli import main

    return main([str(argument) for argument in arguments])


def end_server() -> None:
    """End the process that is forked, so that its time is counted as ours."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def hidden_files(folder: Path) -> list[str]:
    """List the hidden files below a folder."""
    return [p.name for p in folder.rglob(".*") if p.is_file()]


def wait_for(condition: Callable[[], object], run: Run) -> bool:
    """Wait until something is so; False when the process ended before."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if run.exit_code is not None or time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
