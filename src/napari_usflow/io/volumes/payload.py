"""The array behind a header: raw or compressed, in the same file or in one beside it.

Sizes are compared before anything is allocated, and a compressed array unpacks to its
declared size and no further.
"""

from __future__ import annotations

import bz2
import gzip
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import FilePath, open_binary, own_file
from napari_usflow.io.guards.inflation import DEFLATE_RATIO

__all__ = ["Encoding", "Payload", "data_file_beside"]

Encoding = Literal["raw", "deflate", "bzip2", "text"]
Load = Callable[[], npt.NDArray[Any]]

_LARGEST_PACKED_BYTES = 2**30
_LARGEST_TEXT_BYTES = 2**24
_BLOCK = 2**20
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Payload:
    """An array in a file.

    Attributes
    ----------
    path : path
        The file that holds the numbers.
    offset : int
        First byte of the array or of its stream; -1 for a raw array that ends the file.
    encoding : {"raw", "deflate", "bzip2", "text"}
        How the numbers are stored.
    dtype : dtype
        With the byte order of the file.
    shape : tuple of int
        Slowest axis first.
    skip : int
        Bytes before the array; of a compressed one, once it is unpacked.
    """

    path: FilePath
    offset: int
    encoding: Encoding
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    skip: int = 0

    @property
    def declared_bytes(self) -> int:
        """Size of the array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def loader(self) -> Load:
        """Return a function that gives the array: mapped anew, or once unpacked.

        Raises
        ------
        FileFormatError
            When the file has fewer bytes than the header declares, or its numbers
            cannot be unpacked to them.
        """
        stored = Path(self.path).stat().st_size - max(self.offset, 0)
        if self.encoding == "raw":
            if not 0 < self.declared_bytes + self.skip <= stored:
                raise self._cut_short(stored - self.skip)
            return self._mapped
        if self.encoding == "text":
            return partial(np.asarray, self._from_text(stored))
        limit = _LARGEST_PACKED_BYTES
        if self.encoding == "deflate":
            limit = min(limit, stored * DEFLATE_RATIO)
        if not 0 < self.declared_bytes + self.skip <= limit:
            raise FileFormatError(
                f"{self.path} declares an array of shape {self.shape} "
                f"({size_text(self.declared_bytes)}) in {size_text(max(stored, 0))} "
                f"of compressed data; at most {size_text(max(limit, 0))} are unpacked"
            )
        return partial(np.asarray, self._unpacked())

    def _mapped(self) -> npt.NDArray[Any]:
        try:
            offset = self.offset + self.skip
            if self.offset < 0:
                offset = Path(self.path).stat().st_size - self.declared_bytes
            with open_binary(self.path) as file:
                return np.memmap(file, self.dtype, "r", offset, self.shape)
        except (OSError, ValueError) as error:
            raise FileFormatError(
                f"{self.path} has changed since it was opened: {error}"
            ) from error

    def _cut_short(self, present: int) -> FileFormatError:
        return FileFormatError(
            f"{self.path} is cut short: an array of shape {self.shape} and type "
            f"{self.dtype} ({size_text(self.declared_bytes)}) is declared, "
            f"{size_text(max(present, 0))} are there; copy it again"
        )

    def _from_text(self, stored: int) -> npt.NDArray[Any]:
        count = math.prod(self.shape)
        if not 0 < 2 * count - 1 <= stored <= _LARGEST_TEXT_BYTES:
            raise FileFormatError(
                f"{self.path} declares {count} numbers as text in {max(stored, 0)} "
                f"bytes; at most {size_text(_LARGEST_TEXT_BYTES)} of text are read"
            )
        with open_binary(self.path) as file:
            file.seek(self.offset)
            words = file.read(stored).split()
        try:
            numbers = np.array(words, np.float64)
        except ValueError as error:
            raise FileFormatError(
                f"{self.path} holds text that is no number"
            ) from error
        if numbers.size != count:
            raise FileFormatError(
                f"{self.path} holds {numbers.size} numbers; {count} were declared"
            )
        with np.errstate(all="ignore"):
            return numbers.reshape(self.shape).astype(self.dtype)

    def _unpacked(self) -> npt.NDArray[Any]:
        content = np.empty(self.skip + self.declared_bytes, np.uint8)
        filled = 0
        with open_binary(self.path) as file:
            file.seek(self.offset)
            try:
                stream = _stream(file, self.encoding)
                while part := stream.read(min(content.size - filled, _BLOCK)):
                    end = filled + len(part)
                    content[filled:end] = np.frombuffer(part, np.uint8)
                    filled = end
            except (zlib.error, OSError, EOFError, ValueError) as error:
                # A stream may be cut in the checksum behind the last number.
                if filled < content.size:
                    raise FileFormatError(
                        f"{self.path} holds damaged compressed data: {error}"
                    ) from error
        if filled < content.size:
            raise self._cut_short(filled - self.skip)
        return content[self.skip :].view(self.dtype).reshape(self.shape)


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Zlib:
    """Reads an open file of a zlib stream piece by piece."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """Unpack at most ``size`` bytes; none at the end."""
        part = b""
        while size and not part and not self._stream.eof:
            block = self._stream.unconsumed_tail or self._file.read(_BLOCK)
            if not block:
                break
            part = self._stream.decompress(block, size)
        return part


def _stream(file: BinaryIO, encoding: Encoding) -> _Stream:
    if encoding == "bzip2":
        return bz2.BZ2File(file)
    start = file.tell()
    is_gzip = file.read(2) == _GZIP
    file.seek(start)
    return gzip.GzipFile(fileobj=file) if is_gzip else _Zlib(file)


def data_file_beside(header: Path, name: str) -> Path:
    """Return the data file that a header names, which must lie beside it.

    Raises
    ------
    FileFormatError
        When the name leads to another folder, or the file is missing or no plain file.
    """
    shown = repr(name[:200])
    if not name or "\0" in name or {"/", "\\"} & set(name) or name in (".", ".."):
        raise FileFormatError(
            f"{header} names the data file {shown}; the name of a file in the same "
            "folder is read. Put the file there and write its name alone"
        )
    path = header.parent / name
    try:
        is_missing = not os.path.lexists(path)
    except (OSError, ValueError):
        is_missing = True
    if is_missing:
        raise FileFormatError(f"{header} needs the data file {shown} beside it")
    return own_file(path, header.parent)
