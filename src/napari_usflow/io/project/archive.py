"""The container of a project: an uncompressed zip of a JSON description and arrays.

The description comes first. Each array is a ``.npy`` entry, stored as it is, so that a
large stack is mapped and read frame by frame. Nothing is compressed and no entry can be
larger than the file. Of a file that was cut off, the entries before the cut are read.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.files import write_beside
from napari_usflow.io.guards.file_checks import FilePath, open_binary, source_file
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.ultrasound.data import ArrayLike

__all__ = ["DESCRIPTION", "Archive", "write_archive_events"]

DESCRIPTION = "usflow-project.json"
"""Name of the first entry, by which a project is recognised."""

_LOCAL = struct.Struct("<4s5H3I2H")
_SIGNATURE = b"PK\x03\x04"
_ZIP64, _PADDING = 1, 0xD935
_MOST_DESCRIPTION_BYTES = 64 * 2**20
_IN_MEMORY_BYTES = 256 * 2**20
_ALIGNMENT = 64
_CHUNK = 2**20
_DAMAGE: tuple[type[Exception], ...] = (
    *LIBRARY_ERRORS,
    SyntaxError,
    TokenError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class _Entry:
    offset: int
    size: int
    crc: int


class Archive:
    """A project file that is read.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    path : Path
    problems : list of str
        What is damaged.

    Raises
    ------
    FileFormatError
        When the description is not there or cannot be read.
    """

    def __init__(self, path: FilePath) -> None:
        self._file = source_file(path)
        self.path, self.problems = self._file.path, list[str]()
        with open_binary(self._file) as file:
            size = file.seek(0, io.SEEK_END)
            try:
                self._entries = _listed(file, size)
            except FileFormatError as error:
                raise FileFormatError(f"{self.path}: {error}") from error
            except _DAMAGE:
                self._entries = _scanned(file, size)
                self.problems.append("The file is cut off or damaged at its end.")
            if sum(entry.size for entry in self._entries.values()) > size:
                raise FileFormatError(
                    f"{self.path} declares more bytes than it holds; copy it again"
                )
            self.description = self._read_description(file)
        self._memory_left = _IN_MEMORY_BYTES

    def array(self, name: str) -> npt.NDArray[Any]:
        """Read an array, or map it into memory where it is large.

        Raises
        ------
        FileFormatError
            When there is no such array, or its bytes are not those that were written.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise FileFormatError(f"{self.path} has lost {name}")
        with open_binary(self._file) as file:
            if _checksum(file, entry) != entry.crc:
                raise FileFormatError(f"{self.path}: {name} is damaged")
            shape, dtype, header = _header(file, entry, f"{self.path}: {name}")
        if entry.size - header <= self._memory_left:
            self._memory_left -= entry.size - header
            with open_binary(self._file) as file:
                file.seek(entry.offset + header)
                content = file.read(entry.size - header)
            return np.frombuffer(content, dtype).reshape(shape).copy()
        return np.memmap(self.path, dtype, "r", entry.offset + header, shape)

    def _read_description(self, file: BinaryIO) -> dict[str, Any]:
        entry = self._entries.get(DESCRIPTION)
        if entry is None or entry.size > _MOST_DESCRIPTION_BYTES:
            raise FileFormatError(
                f"{self.path} is no project, or its description is lost"
            )
        file.seek(entry.offset)
        content = file.read(entry.size)
        try:
            description = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise FileFormatError(
                f"{self.path}: the description of the project is damaged"
            ) from error
        if zlib.crc32(content) != entry.crc:
            self.problems.append("The description of the project was changed.")
        if not isinstance(description, dict):
            raise FileFormatError(f"{self.path} is no project")
        return description


def _listed(file: BinaryIO, size: int) -> dict[str, _Entry]:
    """Return the entries by the directory at the end of the file."""
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
    entries = {}
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
            raise FileFormatError(
                f"its entry {info.filename!r} is compressed; a project is not"
            )
        start = _start(file, info.header_offset)
        entries[info.filename] = _Entry(start, info.file_size, info.CRC)
    return entries


def _start(file: BinaryIO, header: int) -> int:
    file.seek(header)
    fields = _LOCAL.unpack(file.read(_LOCAL.size))
    if fields[0] != _SIGNATURE:
        raise ValueError("no entry begins here")
    return header + _LOCAL.size + int(fields[9]) + int(fields[10])


def _scanned(file: BinaryIO, size: int) -> dict[str, _Entry]:
    """Return the whole entries that follow one another from the start."""
    entries: dict[str, _Entry] = {}
    place = 0
    while place + _LOCAL.size <= size:
        file.seek(place)
        fields = _LOCAL.unpack(file.read(_LOCAL.size))
        signature, _, _, method, _, _, crc, stored, _, name, extra = fields
        if signature != _SIGNATURE or method != zipfile.ZIP_STORED:
            break
        title = file.read(name).decode("utf-8", "replace")
        stored = _long_size(file.read(extra), stored)
        start = place + _LOCAL.size + name + extra
        place = start + stored
        if place > size:
            break
        entries[title] = _Entry(start, stored, crc)
    return entries


def _long_size(extra: bytes, stored: int) -> int:
    """Return the size of an entry, which is among its extra fields when it is long."""
    place = 0
    while stored == 0xFFFFFFFF and place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if kind == _ZIP64 and place + 12 <= len(extra):
            return int(struct.unpack_from("<Q", extra, place + 4)[0])
        place += 4 + length
    return stored


def _checksum(file: BinaryIO, entry: _Entry) -> int:
    file.seek(entry.offset)
    left, crc = entry.size, 0
    while left and (chunk := file.read(min(left, _CHUNK))):
        crc, left = zlib.crc32(chunk, crc), left - len(chunk)
    return crc


def _header(
    file: BinaryIO, entry: _Entry, place: str
) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Read the header of an array; objects are never unpickled."""
    file.seek(entry.offset)
    start = io.BytesIO(file.read(min(entry.size, 2**14)))
    try:
        np.lib.format.read_magic(start)
        shape, turned, dtype = np.lib.format.read_array_header_1_0(start)
    except _DAMAGE as error:
        raise FileFormatError(f"{place} is no array") from error
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if turned or dtype.kind not in "buif" or size != entry.size - start.tell():
        raise FileFormatError(f"{place} is not the array that it says it is")
    return shape, dtype, start.tell()


def write_archive_events(
    path: Path,
    description: Mapping[str, Any],
    arrays: Mapping[str, ArrayLike],
    *,
    token: CancelToken | None = None,
) -> Generator[Event, None, None]:
    """Write a project, whole or not at all.

    Parameters
    ----------
    path : Path
        A file that is there already is replaced once the new one is whole.
    description : mapping
        Values that JSON can hold.
    arrays : mapping of str to array
        By the names of their entries; lazy ones are read a frame at a time.
    token : CancelToken, optional
        Looked at between frames.

    Yields
    ------
    Event
        Progress, in frames.
    """
    total = sum(_pieces(array) for array in arrays.values())
    done = 0
    with write_beside(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        archive.writestr(DESCRIPTION, json.dumps(description, allow_nan=False))
        for name, array in arrays.items():
            with archive.open(_aligned(archive, name), "w", force_zip64=True) as entry:
                entry.write(_npy_header(array))
                for frame in _frames(array):
                    if token is not None:
                        token.raise_if_cancelled()
                    entry.write(np.ascontiguousarray(frame).tobytes())
                    done += 1
                    yield Progress(done, total)


def _aligned(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Name an entry so that its first byte lies where arrays are mapped best."""
    assert archive.fp is not None
    info = zipfile.ZipInfo(name)
    zip64 = 20
    fixed = _LOCAL.size + len(name.encode()) + zip64 + 4
    padding = -(archive.fp.tell() + fixed) % _ALIGNMENT
    info.extra = struct.pack("<2H", _PADDING, padding) + bytes(padding)
    return info


def _npy_header(array: ArrayLike) -> bytes:
    header = io.BytesIO()
    dtype = np.dtype(array.dtype)
    content = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": tuple(int(n) for n in array.shape),
    }
    np.lib.format.write_array_header_1_0(header, content)
    return header.getvalue()


def _pieces(array: ArrayLike) -> int:
    return int(array.shape[0]) if len(array.shape) > 2 else 1


def _frames(array: ArrayLike) -> Generator[npt.NDArray[Any], None, None]:
    if len(array.shape) <= 2:
        yield np.asarray(array)
        return
    for index in range(int(array.shape[0])):
        yield np.asarray(array[index], array.dtype)
