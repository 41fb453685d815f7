"""Making HDF5 files: text as MATLAB writes it, and a full disk survived.

When HDF5 itself meets a full disk it cannot close its file, and the process crashes
later, when the pieces are cleared away. Here it writes through :class:`_Sink`, which
takes everything, remembers the first failure and lets HDF5 finish in peace.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

__all__ = ["new_hdf5", "text"]


class _Sink(io.RawIOBase):
    """A file that never fails to be written; ``error`` says whether it should have."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("w+b", buffering=0)
        self._end = 0
        self._at = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        start, self._at = self._at, self._at + len(view)
        self._end = max(self._end, self._at)
        done = 0
        while done < len(view) and self.error is None:
            try:
                self._file.seek(start + done)
                done += self._file.write(view[done:]) or 0
            except OSError as error:
                self.error = error
        return len(view)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._at)
        count = self._file.readinto(view) or 0
        # What could not be written reads as zeros, up to where it should end.
        missing = max(0, min(self._end - self._at, len(view)) - count)
        view[count : count + missing] = bytes(missing)
        self._at += count + missing
        return count + missing

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None, /) -> int:
        self._end = self._at if size is None else size
        if self.error is None:
            try:
                self._file.truncate(self._end)
            except OSError as error:
                self.error = error
        return self._end

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def new_hdf5(path: Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Make an HDF5 file, replacing what is there.

    Yields
    ------
    h5py.File
        To be filled.
    callable
        Raises OSError when something could not be written; to be called now and then,
        so that no long work is done for nothing. Leaving the context calls it too.
    """
    with _Sink(path) as sink:

        def check() -> None:
            if sink.error is not None:
                raise sink.error

        try:
            with h5py.File(sink, "w") as file:
                yield file, check
        # h5py gives OSError for most of what HDF5 reports, RuntimeError for the rest.
        except RuntimeError as error:
            check()
            reason = " ".join(str(error).split())
            raise OSError(f"HDF5 says: {reason[:300]}") from error
        check()


def text(value: str) -> npt.NDArray[np.bytes_]:
    """Return text as an array of one, of fixed length."""
    # A file name need not be text.
    return np.array([value.encode("utf-8", "replace") or b"\0"])
