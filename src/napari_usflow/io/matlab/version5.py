"""Content of a MATLAB 5 file, from its headers in a constant amount of memory.

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

__all__ = ["check_variables", "list_variables", "nested_numbers"]

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _LOGICAL = 1, 2, 0x200
_DEEPEST = 8
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
        head, self._held = self._held[:count], self._held[count:]
        return head

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
    listed = []
    with _reading(path), open_binary(path) as file:
        for matrix, _ in _variables(file):
            kind = _CLASSES.get(matrix.kind, "unknown")
            if matrix.name:  # what functions keep for themselves has none
                kind = "logical" if matrix.is_logical else kind
                listed.append((matrix.name, matrix.shape, kind))
    return listed


def nested_numbers(path: FilePath, name: str) -> dict[str, tuple[int, ...]]:
    """List the numeric arrays in a struct or a cell, with their shapes.

    Their names are as in MATLAB: ``a.b``, ``a(2).b``, ``a{1}``.

    Raises
    ------
    FileFormatError
        When the file is damaged.
    """
    inside: dict[str, tuple[int, ...]] = {}
    with _reading(path), open_binary(path) as file:
        order = _order(file)
        for matrix, source in _variables(file):
            if matrix.name == name:
                _look_into(matrix, name, source, order, inside, _DEEPEST)
                break
    return inside


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


def _look_into(
    matrix: _Matrix,
    name: str,
    source: _Source,
    order: str,
    inside: dict[str, tuple[int, ...]],
    depth: int,
) -> None:
    """Note the numbers of an array whose header was read, and go on behind it."""
    count = math.prod(matrix.shape)
    is_open = depth > 0 and len(inside) < _MOST_FIELDS and 0 < count <= _MOST_FIELDS
    if matrix.kind in _NUMBERS and matrix.name != name:
        inside[name] = matrix.shape
    if matrix.kind == _CELL and is_open:
        for number in range(1, count + 1):
            _look_at_next(f"{name}{{{number}}}", source, order, inside, depth)
    elif matrix.kind == _STRUCT and is_open:
        fields = _field_names(source, order)
        for number in range(1, count + 1):
            owner = f"{name}({number})" if count > 1 else name
            for field in fields:
                _look_at_next(f"{owner}.{field}", source, order, inside, depth)
    else:
        source.skip(matrix.rest)


def _look_at_next(
    name: str,
    source: _Source,
    order: str,
    inside: dict[str, tuple[int, ...]],
    depth: int,
) -> None:
    kind, _, length = _tag(source, order)
    if kind != _MATRIX:
        raise _Damage("a field that is no array")
    _look_into(_matrix(source, order, length), name, source, order, inside, depth - 1)


def _field_names(source: _Source, order: str) -> list[str]:
    width = int.from_bytes(
        _content(source, order, 4)[0], "little" if order == "<" else "big"
    )
    if not 1 <= width <= _NAME_BYTES:
        raise _Damage(f"names of {width} bytes")
    names, _ = _content(source, order, _MOST_FIELDS * width)
    return [
        names[at : at + width].split(b"\0")[0].decode("latin-1")
        for at in range(0, len(names) - width + 1, width)
    ]


@contextmanager
def _reading(path: FilePath) -> Iterator[None]:
    try:
        yield
    except (OSError, _Damage, struct.error, zlib.error) as error:
        raise FileFormatError(f"{path} is a damaged MATLAB file: {error}") from error
