"""What every reader asks of a file before a library is let near it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from napari_usflow.errors import FileFormatError

__all__ = [
    "FilePath",
    "is_dicom",
    "own_file",
    "regular_file",
    "size_text",
    "starting_bytes",
    "starts_like",
]

FilePath = str | os.PathLike[str]


def regular_file(path: FilePath) -> Path:
    """Give the path of a file that exists, is a plain file and is not empty.

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
        raise FileFormatError(f"{path} is a folder; give a file")
    if not stat.S_ISREG(status.st_mode):
        raise FileFormatError(f"{path} is not a plain file")
    if status.st_size == 0:
        raise FileFormatError(f"{path} is empty (0 bytes)")
    return path


def own_file(path: Path, folder: Path) -> Path:
    """Give the path of a file that lies in a folder itself, not behind a link.

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


def starting_bytes(path: FilePath, count: int = 32) -> bytes:
    """Read the first bytes of a plain file.

    Raises
    ------
    FileFormatError
        As :func:`regular_file`, and when the file may not be read.
    """
    path = regular_file(path)
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error


def is_dicom(path: FilePath) -> bool:
    """Say whether a file is a DICOM Part 10 file; never raises."""
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


def size_text(count: int) -> str:
    """Write a number of bytes for a message, such as ``4 TB``."""
    for unit, step in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count} bytes"
