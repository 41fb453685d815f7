"""The heaps in which HDF5 keeps texts of variable length.

HDF5 (2.0) never comes back from a heap that lists an object of no bytes. The heaps of a
file are walked through here before the first text of variable length is read (HDF5
File Format Specification, III.E).
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import h5py

from napari_usflow.errors import FileFormatError

__all__ = ["check_heaps"]

# Signature, version and three reserved bytes.
_HEAP = b"GCOL\x01\0\0\0"
_HEADER, _OBJECT = struct.Struct("<8sQ"), struct.Struct("<HHIQ")
# Of a larger file only the ends are searched, where heaps are as a rule.
_SEARCHED_BYTES = 2**28
_END_BYTES = 2**26
_SOUND: set[tuple[str, int, int]] = set()
_MAX_REMEMBERED = 4096


def check_heaps(file: h5py.File) -> None:
    """Refuse a file with a heap that HDF5 would walk through for ever.

    A file is searched once as long as it stays the same.

    Raises
    ------
    FileFormatError
        When there is one.
    """
    path = Path(file.filename)
    status = path.stat()
    key = (file.filename, status.st_mtime_ns, status.st_size)
    if key in _SOUND or not status.st_size:
        return
    size = status.st_size
    parts = [(0, size)]
    if size > _SEARCHED_BYTES:
        parts = [(0, _END_BYTES), (size - _END_BYTES, size)]
    with (
        path.open("rb") as raw,
        mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        for start, end in parts:
            at = content.find(_HEAP, start, end)
            while at >= 0:
                if not _is_sound(content, at):
                    raise FileFormatError(
                        f"{path} is a damaged HDF5 file: its heap of texts at byte "
                        f"{at} has an object without a size"
                    )
                at = content.find(_HEAP, at + len(_HEAP), end)
    if len(_SOUND) >= _MAX_REMEMBERED:
        _SOUND.clear()
    _SOUND.add(key)


def _is_sound(content: mmap.mmap, at: int) -> bool:
    if at + _HEADER.size > len(content):
        return True  # cut short, which HDF5 notices
    _, size = _HEADER.unpack_from(content, at)
    end = min(at + size, len(content))
    place = at + _HEADER.size
    while place + _OBJECT.size <= end:
        index, _, _, stored = _OBJECT.unpack_from(content, place)
        # Free space counts its own header.
        step = _OBJECT.size + -(-stored // 8) * 8 if index else stored
        if not 0 < step <= size:
            return False
        place += step
    return True
