"""Reading ``.npy`` files that nobody vouches for."""

from __future__ import annotations

from tokenize import TokenError
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import (
    FilePath,
    open_binary,
    starting_bytes,
    starts_like,
)
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS

__all__ = ["SIGNATURE", "is_npy", "map_npy"]

SIGNATURE = b"\x93NUMPY"
_VERSIONS = ((1, 0), (2, 0), (3, 0))
# numpy reads a header with Python's tokenizer.
_DAMAGE: tuple[type[Exception], ...] = (*LIBRARY_ERRORS, SyntaxError, TokenError)


def is_npy(path: FilePath) -> bool:
    """Return whether a file carries the signature of NumPy arrays; never raises."""
    try:
        return starting_bytes(path).startswith(SIGNATURE)
    except FileFormatError:
        return False


def map_npy(path: FilePath, *, kinds: str = "buif") -> npt.NDArray[Any]:
    """Map the array of a file into memory; objects are never unpickled.

    Parameters
    ----------
    path : path
        A ``.npy`` file.
    kinds : str
        Allowed numpy kinds.

    Raises
    ------
    FileFormatError
        When the file is damaged, shorter than its header says, or holds another kind.
    """
    start = starting_bytes(path)
    if not start.startswith(SIGNATURE):
        raise FileFormatError(f"{path} is not a NumPy array: {starts_like(start)}")
    try:
        with open_binary(path) as raw:
            shape, order, dtype = _header(raw)
            if dtype.kind not in kinds:
                raise FileFormatError(
                    f"{path} has pixels of type {dtype}; numbers only"
                )
            # Mapped, not read: a header may declare more than the file has.
            return np.memmap(raw, dtype, "r", raw.tell(), shape, order)
    except FileFormatError:
        raise
    except _DAMAGE as error:
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"{path} is a damaged or unsafe NumPy file: {text}"
        ) from error


def _header(raw: BinaryIO) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype[Any]]:
    """Read the shape, order and type of an array, which begins right behind."""
    form = np.lib.format
    version = form.read_magic(raw)
    if version not in _VERSIONS:
        raise ValueError(f"version {version[0]}.{version[1]} of the format is not read")
    # 3.0 is 2.0 with any letters in the names of fields, and no fields are read.
    read = form.read_array_header_1_0 if version[0] == 1 else form.read_array_header_2_0
    shape, is_fortran, dtype = read(raw)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return shape, "F" if is_fortran else "C", dtype
