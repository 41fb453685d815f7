"""What a MATLAB 5 file holds, told by its headers in a constant amount of memory.

scipy reads a struct whole to say which fields it has, and unpacks a compressed
variable to whatever its stream gives. Here only the headers of the elements are looked
at ("MAT-File Format", MathWorks, chapter 1).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import FilePath, open_binary
from napari_usflow.io.guards.inflation import DEFLATE_RATIO

__all__ = ["check_variables", "list_variables", "struct_fields"]

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_STRUCT, _LOGICAL = 2, 0x200
_CLASSES = dict(
    enumerate(
        ("cell", "struct", "object", "char", "sparse", "double", "single", "int8",
         "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "function",
         "opaque"),
        start=1,
    )
)  # fmt: skip
_NUMBERS = range(6, 16)  # double to uint64
_MOST_FIELDS, _NAME_BYTES = 4096, 64
_TAKEN, _GIVEN = 2**16, 2**20


class _Damage(ValueError):
    """The elements of a file do not fit each other."""


class _Source:
    """The bytes of one variable, plain or compressed, read or skipped in order."""

    def __init__(self, file: BinaryIO, size: int, *, is_packed: bool) -> None:
        self._file, self._left = file, size
        self._stream = zlib.decompressobj() if is_packed else None
        self._held = b""

    def read(self, count: int) -> bytes:
        """Read so many bytes, which must be there."""
        while len(self._held) < count:
            more = self._more()
            if not more:
                raise _Damage("a variable ends before what it declares")
            self._held += more
        found, self._held = self._held[:count], self._held[count:]
        return found

    def skip(self, count: int) -> None:
        """Go on behind so many bytes."""
        while count > len(self._held):
            count -= len(self._held)
            self._held = self._more()
            if not self._held:
                raise _Damage("a variable ends before what it declares")
        self._held = self._held[count:]

    def ends_here(self) -> bool:
        """Return whether nothing is left."""
        return not self._held and not self._more()

    def _more(self) -> bytes:
        if self._stream is None:
            return self._take(_TAKEN)
        given = b""
        while not given and not self._stream.eof:
            taken = self._stream.unconsumed_tail or self._take(_TAKEN)
            if not taken:
                break
            given = self._stream.decompress(taken, _GIVEN)
        return given

    def _take(self, count: int) -> bytes:
        taken = self._file.read(min(count, self._left))
        self._left -= len(taken)
        return taken


@dataclass(frozen=True)
class _Matrix:
    """The header of an array: its class, its sizes and its name."""

    kind: int
    is_logical: bool
    shape: tuple[int, ...]
    name: str
    rest: int


def check_variables(path: FilePath, most_bytes: int) -> None:
    """Refuse a file of which a compressed variable unpacks to more than it declares.

    Raises
    ------
    FileFormatError
        Also when a variable declares more than ``most_bytes``.
    """
    with _reading(path), open_binary(path) as file:
        order = _order(file)
        for is_packed, size in _elements(file, order):
            if not is_packed:
                continue
            source = _Source(file, size, is_packed=True)
            _, declared = struct.unpack(order + "II", source.read(8))
            if declared > most_bytes:
                raise FileFormatError(
                    f"{path}: a variable declares {size_text(declared)}; at most "
                    f"{size_text(most_bytes)} are read"
                )
            if size * DEFLATE_RATIO <= declared:
                continue  # it cannot be more
            source.skip(declared)
            if not source.ends_here():
                raise _Damage(f"a variable unpacks to more than its {declared} bytes")


def list_variables(path: FilePath) -> list[tuple[str, tuple[int, ...], str]]:
    """List the variables with their shapes and the names of their classes.

    Raises
    ------
    FileFormatError
        When the file is damaged.
    """
    found = []
    with _reading(path), open_binary(path) as file:
        for matrix, _ in _variables(file):
            kind = _CLASSES.get(matrix.kind, "unknown")
            if matrix.name:  # what functions keep for themselves has none
                kind = "logical" if matrix.is_logical else kind
                found.append((matrix.name, matrix.shape, kind))
    return found


def struct_fields(path: FilePath, name: str) -> dict[str, tuple[int, ...]]:
    """List the numeric fields of a struct of one element, with their shapes.

    Raises
    ------
    FileFormatError
        When the file is damaged.
    """
    with _reading(path), open_binary(path) as file:
        order = _order(file)
        for matrix, source in _variables(file):
            if matrix.name == name and matrix.kind == _STRUCT:
                return _fields(source, order) if math.prod(matrix.shape) == 1 else {}
    return {}


def _variables(file: BinaryIO) -> Iterator[tuple[_Matrix, _Source]]:
    """Go through the headers of the variables, and what is behind each."""
    order = _order(file)
    for is_packed, size in _elements(file, order):
        source, length = _Source(file, size, is_packed=is_packed), size
        if is_packed:
            kind, length = struct.unpack(order + "II", source.read(8))
            if kind != _MATRIX:
                raise _Damage("what is compressed is no variable")
        yield _matrix(source, order, length), source


def _order(file: BinaryIO) -> str:
    file.seek(0)
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise _Damage("it has no header")
    return "<" if header[-2:] == b"IM" else ">"


def _elements(file: BinaryIO, order: str) -> Iterator[tuple[bool, int]]:
    """Go through the variables: whether each is compressed, and its bytes."""
    at = _HEADER_BYTES
    while True:
        file.seek(at)
        tag = file.read(8)
        if len(tag) < 8:
            return
        kind, size = struct.unpack(order + "II", tag)
        if kind not in (_MATRIX, _COMPRESSED):
            return
        yield kind == _COMPRESSED, size
        at += 8 + size


def _tag(source: _Source, order: str) -> tuple[int, bytes | None, int]:
    """Read the tag of an element: its type, its content if short, its bytes."""
    raw = source.read(8)
    first, size = struct.unpack(order + "II", raw)
    if first >> 16:  # both in four bytes, and the content in the other four
        return first & 0xFFFF, raw[4 : 4 + min(first >> 16, 4)], first >> 16
    return first, None, size


def _content(source: _Source, order: str, most: int) -> tuple[bytes, int]:
    """Read a small element; give its content, and the bytes that it takes."""
    _, short, size = _tag(source, order)
    if short is not None:
        return short, 8
    if size > most:
        raise _Damage(f"an element of {size} bytes where at most {most} were expected")
    padded = -(-size // 8) * 8
    return source.read(padded)[:size], 8 + padded


def _matrix(source: _Source, order: str, length: int) -> _Matrix:
    if length == 0:
        return _Matrix(_NUMBERS[0], False, (0, 0), "", 0)
    flags, one = _content(source, order, 8)
    sizes, two = _content(source, order, 4 * 64)
    name, three = _content(source, order, 4096)
    if len(flags) < 4:
        raise _Damage("an array without a class")
    (kind,) = struct.unpack_from(order + "I", flags)
    is_logical = bool(kind & _LOGICAL)
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4])
    rest = length - one - two - three
    if rest < 0:
        raise _Damage("an array is shorter than its header")
    return _Matrix(kind & 0xFF, is_logical, shape, name.decode("latin-1"), rest)


def _fields(source: _Source, order: str) -> dict[str, tuple[int, ...]]:
    width = int.from_bytes(
        _content(source, order, 4)[0], "little" if order == "<" else "big"
    )
    if not 1 <= width <= _NAME_BYTES:
        raise _Damage(f"names of {width} bytes")
    names, _ = _content(source, order, _MOST_FIELDS * width)
    found: dict[str, tuple[int, ...]] = {}
    for at in range(0, len(names) - width + 1, width):
        kind, _, length = _tag(source, order)
        if kind != _MATRIX:
            raise _Damage("a field that is no array")
        matrix = _matrix(source, order, length)
        source.skip(matrix.rest)
        if matrix.kind in _NUMBERS:
            name = names[at : at + width].split(b"\0")[0].decode("latin-1")
            found[name] = matrix.shape
    return found


@contextmanager
def _reading(path: FilePath) -> Iterator[None]:
    try:
        yield
    except (OSError, _Damage, struct.error, zlib.error) as error:
        raise FileFormatError(f"{path} is a damaged MATLAB file: {error}") from error
