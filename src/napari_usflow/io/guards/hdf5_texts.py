"""Declared length of variable-length texts in an HDF5 attribute.

HDF5 (2.0) makes room for whatever length a reference to a text states, and reads a
text as often as it is referred to: a few kilobytes of references become gigabytes. It
has no call that tells the lengths beforehand; they are read here from the header of
the object that has the attribute (HDF5 File Format Specification, IV.A.1 and IV.A.2.m).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py

__all__ = ["text_bytes"]

_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_SHARED = 2
_REFERENCE = struct.Struct("<IQI")
_MOST_BLOCKS = 64
_MOST_BLOCK_BYTES = 2**20


def text_bytes(node: Any, name: str, count: int) -> int | None:
    """Return the length of all texts of an attribute together.

    Parameters
    ----------
    node : h5py.Group or h5py.Dataset
        What has the attribute.
    name : str
        Of an attribute whose type is text of variable length.
    count : int
        Number of its values.

    Returns
    -------
    int or None
        In bytes; None where it is not told, as of attributes in a heap of their own.
    """
    offset_bytes, length_bytes = node.file.id.get_create_plist().get_sizes()
    if (offset_bytes, length_bytes) != (8, 8):
        return None
    base = int(node.file.userblock_size)
    place = base + int(h5py.h5o.get_info(node.id).addr)
    with Path(node.file.filename).open("rb") as raw:
        for message in _attributes(raw, base, place):
            values = _values(message, name.encode())
            if values is not None and len(values) >= count * _REFERENCE.size:
                references = values[: count * _REFERENCE.size]
                return sum(int(n) for n, _, _ in _REFERENCE.iter_unpack(references))
    return None


def _values(message: bytes, name: bytes) -> bytes | None:
    """Return the raw values of an attribute, None when it has another name."""
    if len(message) < 8:
        return None
    version, _, *sizes = struct.unpack_from("<BBHHH", message)
    # The first version pads each part to a multiple of eight bytes.
    name_size, type_size, space_size = (
        -(-size // 8) * 8 if version == 1 else size for size in sizes
    )
    start = 9 if version == 3 else 8
    if message[start : start + sizes[0]].split(b"\0")[0] != name:
        return None
    return message[start + name_size + type_size + space_size :]


def _attributes(raw: BinaryIO, base: int, place: int) -> Iterator[bytes]:
    """Go through the attribute messages of an object's header, block after block."""
    raw.seek(place)
    start = raw.read(64)
    if start[:4] == b"OHDR":
        flags = start[5]
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(start[at : at + width], "little")
        head, blocks = 6 if flags & 4 else 4, [(place + at + width, size)]
    else:
        size = int.from_bytes(start[8:12], "little")
        head, blocks = 8, [(place + 16, size)]
    for number in range(_MOST_BLOCKS):
        if number == len(blocks):
            return
        at, size = blocks[number]
        raw.seek(at)
        block = raw.read(min(size, _MOST_BLOCK_BYTES))
        for kind, flags, content in _messages(block, head):
            if kind == _ATTRIBUTE and not flags & _SHARED:
                yield content
            elif kind == _CONTINUATION and len(content) >= 16:
                at, size = struct.unpack_from("<QQ", content)
                # Blocks of the second version begin with a signature of four bytes.
                skipped = 0 if head == 8 else 4
                if at + base + skipped < 2**63:
                    blocks.append((base + at + skipped, max(0, size - 2 * skipped)))


def _messages(block: bytes, head: int) -> Iterator[tuple[int, int, bytes]]:
    """Return kind, flags and content of each message in a block."""
    at = 0
    while at + head <= len(block):
        if head == 8:
            kind, size, flags = struct.unpack_from("<HHB", block, at)
        else:
            kind, size, flags = struct.unpack_from("<BHB", block, at)
        yield kind, flags, block[at + head : at + head + size]
        at += head + size
