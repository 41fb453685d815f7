"""How often files are opened: by Python, by HDF5, and by ffmpeg as a program."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

_counters: list[Counter[str]] = []


def _listen(event: str, args: tuple[Any, ...]) -> None:
    if not _counters:
        return
    if event == "open":
        _count(args[0])
    elif event == "subprocess.Popen":
        for word in args[1]:
            _count(os.fsdecode(word).removeprefix("file:"))


def _count(path: Any) -> None:
    if isinstance(path, str | bytes | os.PathLike):
        for counter in _counters:
            counter[os.path.abspath(os.fsdecode(path))] += 1


# An audit hook cannot be taken away, but does nothing while nobody counts.
sys.addaudithook(_listen)


@contextmanager
def counted_opens(folder: Path) -> Iterator[Counter[str]]:
    """Count how often each file below a folder is opened, by name.

    Python tells of every file that it opens itself (audit event ``open``) and of every
    program that it starts; HDF5 opens its files in C, by way of ``h5py.File``.
    """
    seen: Counter[str] = Counter()
    by_name: Counter[str] = Counter()
    real = h5py.File.__init__

    def init(self: h5py.File, name: Any, *args: Any, **kwargs: Any) -> None:
        _count(name)
        real(self, name, *args, **kwargs)

    h5py.File.__init__ = init
    _counters.append(seen)
    try:
        yield by_name
    finally:
        _counters.remove(seen)
        h5py.File.__init__ = real
        for path, count in seen.items():
            if Path(path).is_relative_to(folder) and Path(path).is_file():
                by_name[str(Path(path).relative_to(folder))] += count
