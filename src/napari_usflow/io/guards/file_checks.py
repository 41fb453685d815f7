"""Checks of a file before any library opens it."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from napari_usflow.errors import FileFormatError

__all__ = [
    "FilePath",
    "SourceFile",
    "is_dicom",
    "open_binary",
    "own_file",
    "regular_file",
    "source_file",
    "starting_bytes",
    "starts_like",
]

FilePath = str | os.PathLike[str]

T = TypeVar("T")

_START_BYTES = 4096
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def regular_file(path: FilePath) -> Path:
    """Return the path of a file that exists, is a plain file and is not empty.

    A named pipe or a device is refused unopened: reading one can wait for ever.

    Raises
    ------
    FileFormatError
        When there is no such file, or nothing to read in it.
    """
    path = Path(path)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileFormatError(f"{path} cannot be opened: {reason}") from error
    if stat.S_ISDIR(status.st_mode):
        raise FileFormatError(f"{path} is a folder; choose a file")
    if not stat.S_ISREG(status.st_mode):
        raise FileFormatError(f"{path} is not a plain file")
    if status.st_size == 0:
        raise FileFormatError(f"{path} is empty (0 bytes)")
    return path


def own_file(path: Path, folder: Path) -> Path:
    """Return the path of a file that lies in a folder itself, not behind a link.

    Parameters
    ----------
    path : Path
        A file that belongs to another one, or to a folder that is read as a whole.
    folder : Path
        Where it must lie, at any depth.

    Raises
    ------
    FileFormatError
        When a step of the path below ``folder`` is a link, or the file is not plain.
    """
    steps = path.relative_to(folder).parts
    for depth in range(1, len(steps) + 1):
        step = folder.joinpath(*steps[:depth])
        try:
            mode = step.lstat().st_mode
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise FileFormatError(f"{step} cannot be opened: {reason}") from error
        if stat.S_ISLNK(mode):
            raise FileFormatError(
                f"{step} is a link to another place, which is not followed"
            )
    if not stat.S_ISREG(mode):
        raise FileFormatError(f"{path} is not a plain file")
    return path


class SourceFile(os.PathLike[str]):
    """A file that many readers look at, opened once for all of them.

    It can be given wherever a path is taken. Its first bytes are read once. Within
    :meth:`kept_open` the readers of a thread share one open file; at other times, in
    other threads and in other processes each opens it for itself and closes it again.

    Parameters
    ----------
    path : path
        The file, or the folder of a stack.

    Attributes
    ----------
    path : Path
        Where it is.
    detected : object
        What :mod:`napari_usflow.io` found it to be; None until it has looked.
    """

    def __init__(self, path: FilePath) -> None:
        self.path = Path(path)
        self.detected: Any = None
        self._kept: _Kept | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"SourceFile({str(self.path)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return SourceFile, (self.path,)

    @property
    def start(self) -> bytes:
        """The first 4096 bytes, or all of a shorter file.

        Raises
        ------
        FileFormatError
            As :func:`regular_file`, and when the file may not be read.
        """
        return self._first_look[0]

    @property
    def is_hdf5(self) -> bool:
        """Whether the file carries the HDF5 signature; never raises."""
        try:
            return self._first_look[1]
        except FileFormatError:
            return False

    @cached_property
    def _first_look(self) -> tuple[bytes, bool]:
        path = regular_file(self.path)
        try:
            with path.open("rb") as file:
                start = file.read(_START_BYTES)
                return start, _has_hdf5_signature(file, path.stat().st_size)
        except OSError as error:
            raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keep open what is opened in this context, for the other readers in it."""
        if self._kept is not None and self._kept.thread == threading.get_ident():
            yield
            return
        opened = _Kept()
        self._kept = opened
        try:
            with opened:
                yield
        finally:
            # Another thread may have begun to keep it in the meantime.
            if self._kept is opened:
                self._kept = None

    def handle(
        self, opener: Callable[[Path], AbstractContextManager[T]]
    ) -> AbstractContextManager[T]:
        """Return the open file of :meth:`kept_open`, or one for a single context.

        Parameters
        ----------
        opener : callable
            Opens the file, in a context that closes it again.
        """
        opened = self._kept
        if opened is None or opened.thread != threading.get_ident():
            return opener(self.path)
        if opener not in opened.handles:
            opened.handles[opener] = opened.enter_context(opener(self.path))
        return nullcontext(opened.handles[opener])


class _Kept(ExitStack):
    """The open files of one context, by the functions that opened them."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()
        self.handles: dict[object, Any] = {}


def _has_hdf5_signature(file: BinaryIO, size: int) -> bool:
    """Look at byte 0, and after user blocks of 512 bytes times a power of two.

    HDF5 File Format Specification, II.A; MATLAB 7.3 files use 512.
    """
    offset = 0
    while offset + len(_HDF5_SIGNATURE) <= size:
        file.seek(offset)
        if file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE:
            return True
        offset = offset * 2 or 512
    return False


def source_file(path: FilePath) -> SourceFile:
    """Return the path as a :class:`SourceFile`, itself when it is one already."""
    return path if isinstance(path, SourceFile) else SourceFile(path)


@contextmanager
def open_binary(path: FilePath) -> Iterator[BinaryIO]:
    """Open a plain file for reading, at its first byte.

    Raises
    ------
    FileFormatError
        As :func:`regular_file`, and when the file may not be read.
    """
    with source_file(path).handle(_binary) as file:
        file.seek(0)
        yield file


def _binary(path: Path) -> BinaryIO:
    try:
        return regular_file(path).open("rb")
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error


def starting_bytes(path: FilePath, count: int = 32) -> bytes:
    """Read the first bytes of a plain file, 4096 at most.

    Raises
    ------
    FileFormatError
        As :func:`regular_file`, and when the file may not be read.
    """
    return source_file(path).start[:count]


def is_dicom(path: FilePath) -> bool:
    """Return whether a file is a DICOM Part 10 file; never raises."""
    try:
        return starting_bytes(path, 132)[128:] == b"DICM"
    except FileFormatError:
        return False


def starts_like(start: bytes) -> str:
    """Describe the first bytes of a file for an error message."""
    text = start[:16]
    printable = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in text)
    shown = repr(text.decode("ascii")) if printable else text.hex(" ")
    return f"it starts with {shown}"
