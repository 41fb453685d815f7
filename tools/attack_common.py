"""What the attacks share: paths, processes, and what they met."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

PATIENCE_S = 900.0
Rng = np.random.Generator


@dataclass(frozen=True)
class Outcome:
    """What an attack met."""

    attack: str
    holds: bool
    detail: str


Part = Callable[[Path, int, Rng], Iterator[Outcome]]


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def python(*arguments: object) -> subprocess.Popen[str]:
    """Start Python on this checkout."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def usflow(*arguments: object) -> subprocess.Popen[str]:
    """Start a command of usflow."""
    return python("-m", "napari_usflow.cli", *arguments)


def hidden_files(folder: Path) -> list[str]:
    """List the hidden files below a folder."""
    return [p.name for p in folder.rglob(".*") if p.is_file()]


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> bool:
    """Wait until something is so; False when the process ended before."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
