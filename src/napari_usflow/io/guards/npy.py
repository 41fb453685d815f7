"""Reading ``.npy`` files that nobody vouches for."""

from __future__ import annotations

import os
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import FilePath, starting_bytes, starts_like
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS

__all__ = ["SIGNATURE", "is_npy", "map_npy"]

SIGNATURE = b"\x93NUMPY"
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
        # Mapped, not read: a header may declare more than the file has.
        array: npt.NDArray[Any] = np.lib.format.open_memmap(os.fspath(path), mode="r")
    except _DAMAGE as error:
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"{path} is a damaged or unsafe NumPy file: {text}"
        ) from error
    if array.dtype.kind not in kinds:
        raise FileFormatError(f"{path} has pixels of type {array.dtype}; numbers only")
    return array
