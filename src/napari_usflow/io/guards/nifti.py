"""Checks of a NIfTI header before nibabel opens the file."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import FilePath, starting_bytes
from napari_usflow.io.guards.optional_packages import need_package

__all__ = [
    "DAMAGE",
    "check_declared",
    "damaged",
    "failures",
    "is_packed",
    "is_picture",
    "nifti_header",
    "nifti_version",
    "opened_by_nibabel",
    "stated_layout",
]

DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    zlib.error,
)
"""Errors raised for a file that is nonsense."""

_LARGEST_EXTENSION_BYTES = 2**24
_MAX_INFLATION = 1100  # deflate shrinks by at most 1032:1
_GZIP = b"\x1f\x8b"
_HEADER_BYTES = 540
# Codes of uint8, RGB24 and RGBA32.
_BYTES = (2, 128, 2304)


def nifti_version(path: FilePath) -> int:
    """Return 1 or 2 for a single-file NIfTI-1 or -2, else 0; never raises."""
    try:
        start = nifti_header(path)
    except (FileFormatError, *DAMAGE):
        return 0
    if start[344:348] == b"n+1\0":
        return 1
    return 2 if start[4:8] == b"n+2\0" else 0


def is_packed(path: FilePath) -> bool:
    """Return whether a file is compressed with gzip."""
    return starting_bytes(path, 2) == _GZIP


def nifti_header(path: FilePath) -> bytes:
    """Return the first 540 bytes, unpacked.

    Raises
    ------
    FileFormatError or one of :data:`DAMAGE`
        When the file cannot be read.
    """
    if not is_packed(path):
        return starting_bytes(path, _HEADER_BYTES)
    return zlib.decompressobj(31).decompress(starting_bytes(path, 4096), _HEADER_BYTES)


def stated_layout(path: FilePath) -> tuple[tuple[int, ...], bool]:
    """Return the stated shape, and whether the numbers are bytes; loads no library.

    Raises
    ------
    FileFormatError or one of :data:`DAMAGE`
        When the header is cut short.
    """
    start = nifti_header(path)
    # NIfTI-1 has eight short integers at 40, NIfTI-2 eight long ones at 16.
    if start[344:348] == b"n+1\0":
        order = "<" if start[:4] == b"\x5c\1\0\0" else ">"
        sizes, kind_at = struct.unpack_from(order + "8h", start, 40), 70
    else:
        order = "<" if start[:4] == b"\x1c\2\0\0" else ">"
        sizes, kind_at = struct.unpack_from(order + "8q", start, 16), 12
    (kind,) = struct.unpack_from(order + "h", start, kind_at)
    axes = min(max(sizes[0], 0), 7)
    return tuple(sizes[1 : axes + 1]), kind in _BYTES


def is_picture(shape: tuple[int, ...]) -> bool:
    """Return whether an array has one plane only."""
    return sum(size > 1 for size in shape) <= 2


def opened_by_nibabel(path: FilePath, *, extra: str) -> Any:
    """Open a file with nibabel, which reads its header only.

    Parameters
    ----------
    path : path
        A NIfTI file.
    extra : str
        Extra of this package that installs nibabel.

    Raises
    ------
    FileFormatError
        When the file is damaged, or a packed one has more before its volume than a
        header has to say.
    UsflowError
        When nibabel is missing.
    """
    nibabel = need_package("nibabel", Path(path), "NIfTI", extra=extra)
    kind = nibabel.Nifti2Image if nifti_version(path) == 2 else nibabel.Nifti1Image
    _check_extensions(path)
    try:
        return kind.from_filename(Path(path))
    except failures() as error:
        raise damaged(path, error) from error


def failures() -> tuple[type[Exception], ...]:
    """Return what nibabel lets through when a file is nonsense."""
    import nibabel

    return (
        *DAMAGE,
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        nibabel.wrapstruct.WrapStructError,
    )


def damaged(path: FilePath, error: Exception) -> FileFormatError:
    """Return the error for a file that nibabel fails on, in one line."""
    text = " ".join(str(error).split())[:200]
    return FileFormatError(f"{path} is a damaged NIfTI file: {text}")


def check_declared(
    path: FilePath, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    """Refuse a file that declares more than it can hold; FileFormatError."""
    declared = math.prod(shape) * dtype.itemsize
    stored = Path(path).stat().st_size
    if declared > stored * (_MAX_INFLATION if is_packed(path) else 1):
        raise FileFormatError(
            f"{path} declares shape {shape} ({size_text(declared)}), but has "
            f"{size_text(stored)}; copy it again"
        )


def _check_extensions(path: FilePath) -> None:
    """Refuse a packed file with more before its volume than a header has to say."""
    if not is_packed(path):
        return
    try:
        start = nifti_header(path)
    except DAMAGE as error:
        raise damaged(path, error) from error
    # Where the volume begins: NIfTI-1 has a float at 108, NIfTI-2 an integer at 168.
    order = "<" if start[:4] in (b"\x5c\1\0\0", b"\x1c\2\0\0") else ">"
    form, at = ("f", 108) if start[344:348] == b"n+1\0" else ("q", 168)
    if len(start) < 352:
        raise FileFormatError(f"{path} is cut short: it ends within its header")
    (begin,) = struct.unpack_from(order + form, start, at)
    if not 0 <= begin <= _LARGEST_EXTENSION_BYTES:
        raise FileFormatError(
            f"{path} declares more than {size_text(_LARGEST_EXTENSION_BYTES)} before "
            "its volume; unpack it (gunzip)"
        )
