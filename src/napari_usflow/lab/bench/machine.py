"""On what is measured: the machine, its threads, and whether it is busy."""

from __future__ import annotations

import os
import platform
from collections.abc import Generator
from pathlib import Path

from napari_usflow.device import choose_device
from napari_usflow.jobs import Event, Note

__all__ = ["busy_note", "machine_text", "set_threads"]

_BUSY = 0.15


def busy_note(clock: str) -> Generator[Event, None, None]:
    """Warn where other work would be measured along."""
    import psutil

    busy = psutil.cpu_percent(interval=0.3) / 100
    if clock == "wall" and busy > _BUSY:
        yield Note(
            f"other work takes {busy:.0%} of this machine's processor: times will be "
            "too long; wait for it, or take --clock processor"
        )


def set_threads(threads: int | None) -> int | None:
    """Set the threads of torch; give how many there were, None if left alone."""
    if threads is None:
        return None
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return before


def machine_text(device: str, threads: int | None, clock: str) -> str:
    """Describe the machine and the method of measurement."""
    import torch

    torch_device = choose_device(device)
    name = _processor()
    if torch_device.type == "cuda":
        name = f"{torch.cuda.get_device_name(torch_device)}, {name}"
    threads = threads or torch.get_num_threads()
    return (
        f"{name}, {os.cpu_count()} cores, {threads} "
        f"thread{'s' if threads > 1 else ''} of torch "
        f"{torch.__version__}; {clock} clock"
    )


def _processor() -> str:
    """Name of the processor, as the system knows it."""
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
