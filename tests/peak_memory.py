"""Measure, in a child process, how much memory reading a file takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Peak", "peak_bytes", "peaks_of", "reset_peak", "status_bytes"]

_LIMIT_S = 300
# So that a bomb that goes off ends the child, and not the machine.
_MOST_BYTES = 6 * 2**30

_CHILD = """
import json, resource, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from napari_usflow import io, mri
from napari_usflow.errors import UsflowError
from pathlib import Path

from peak_memory import peak_bytes, reset_peak, status_bytes

def use(path, is_mri):
    if path.endswith(".safetensors"):
        from napari_usflow.networks.store import load_network
        from napari_usflow.prior.flow_prior import load_prior
        works = [lambda f=f: f(path, device="cpu") for f in (load_prior, load_network)]
    elif path.endswith(".pt"):
        from napari_usflow.training.checkpoint_file import read_state
        works = [lambda: read_state(Path(path), "flow")]
    elif is_mri:
        works = [lambda: mri.read_stack(Path(path))]
    else:
        works = [
            lambda: io.describe(path),
            lambda: np.asarray(io.read_channel_data(path).samples[0, 0]),
            lambda: [np.asarray(i.data[0]) for i in io.read(path)],
        ]
    lines = []
    for work in works:
        try:
            work()
            lines.append("")
        except (UsflowError, ValueError) as error:
            lines.append(str(error))
        except MemoryError:
            lines.append("MemoryError")
    return lines

most = int(sys.argv[1])
for path, is_mri, is_warm in json.loads(sys.argv[2]):
    if is_warm:
        use(path, is_mri)
        continue
    resource.setrlimit(resource.RLIMIT_AS, (status_bytes("VmSize:") + most, -1))
    before = reset_peak()
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    lines = use(path, is_mri)
    grown = peak_bytes() - before
    # A program that was started to read it takes memory of its own.
    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if started > children:
        grown = max(grown, 1024 * started)
    print(json.dumps([grown, lines]), flush=True)
"""


@dataclass(frozen=True)
class Peak:
    """What reading a file took.

    Attributes
    ----------
    grown_bytes : int
        How far resident memory rose above where it stood before; that of a program
        which was started to read the file where it is more.
    lines : list of str
        What describing it, reading its channel data and reading its images were
        refused with; "" where they were not.
    """

    grown_bytes: int
    lines: list[str]


def peaks_of(
    paths: list[Path],
    *,
    warm: list[Path] | None = None,
    is_mri: bool = False,
    most_bytes: int = _MOST_BYTES,
) -> list[Peak]:
    """Read files one after the other in one child (Linux only).

    Parameters
    ----------
    paths : list of Path
        What to read.
    warm : list of Path
        Good files, read first so that what they import is not counted.
    is_mri : bool
        Read them as stacks to train on.
    most_bytes : int
        Address space beyond what the child has, where it ends.
    """
    orders = [[str(path), is_mri, True] for path in warm or []]
    orders += [[str(path), is_mri, False] for path in paths]
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(most_bytes), json.dumps(orders)],
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(paths), f"the child ended: {done.stderr[-2000:]}"
    return [Peak(grown, lines) for grown, lines in found]


def status_bytes(name: str) -> int:
    """Read a size from this process's status, such as ``VmRSS:`` (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise ValueError(f"there is no {name} in /proc/self/status")


def reset_peak() -> int:
    """Count the peak anew; give the resident bytes there are now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return status_bytes("VmRSS:")


def peak_bytes() -> int:
    """Give the most bytes that were resident since :func:`reset_peak` (Linux)."""
    return status_bytes("VmHWM:")
