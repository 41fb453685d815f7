"""Unpacked size of a compressed piece, found without keeping its content.

A library unpacks a stream to whatever it holds; the size that a file declares is
compared afterwards. Each function says whether a piece stays within its size, in a
constant amount of memory.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

__all__ = [
    "DEFLATE_RATIO",
    "deflate_fits",
    "deflated_file_fits",
    "gzip_fits",
    "lzf_fits",
    "packbits_fits",
    "zstd_content_bytes",
]

DEFLATE_RATIO = 1032
"""Most bytes that deflate gives for one (https://zlib.net/zlib_tech.html)."""

_TAKEN, _GIVEN = 2**16, 2**20
_GZIP_BITS = zlib.MAX_WBITS | 16
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_RUN, _CHECKSUM_BYTES = 1, 4


def deflate_fits(stored: bytes, room: int, wbits: int = zlib.MAX_WBITS) -> bool:
    """Return whether a stream gives at most ``room`` bytes.

    A damaged stream fits up to its damage: whoever unpacks it stops there as well.

    Parameters
    ----------
    stored : bytes
        The stream.
    room : int
        Size in bytes.
    wbits : int
        Format of the stream, as in :func:`zlib.decompressobj`.
    """
    if len(stored) * DEFLATE_RATIO <= room:
        return True
    stream, given = zlib.decompressobj(wbits), 0
    for start in range(0, len(stored), _TAKEN):
        given, is_over = _inflate(stream, stored[start : start + _TAKEN], given, room)
        if is_over:
            break
    return given <= room


def gzip_fits(stored: bytes, room: int) -> bool:
    """Return whether a gzip file of one member gives at most ``room`` bytes.

    A decoder goes on with the members behind it, so that there may be none.
    """
    stream, given = zlib.decompressobj(_GZIP_BITS), 0
    for start in range(0, len(stored), _TAKEN):
        block = stored[start : start + _TAKEN]
        given, is_over = _inflate(stream, block, given, room)
        if is_over:
            behind = len(stored) - start - len(block) + len(stream.unused_data)
            return given <= room and not behind
    return given <= room


def deflated_file_fits(path: Path, start: int, room: int, wbits: int) -> bool:
    """Do what :func:`deflate_fits` does with a stream that fills the end of a file."""
    stream, given = zlib.decompressobj(wbits), 0
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(_TAKEN):
            given, is_over = _inflate(stream, block, given, room)
            if is_over:
                break
    return given <= room


def _inflate(stream: Any, rest: bytes, given: int, room: int) -> tuple[int, bool]:
    """Unpack some bytes; count what was given, and say if there is no more to do."""
    try:
        # At its end a stream keeps what lies behind it as a tail as well, forever.
        while rest and not stream.eof and given <= room:
            given += len(stream.decompress(rest, _GIVEN))
            rest = stream.unconsumed_tail
    except zlib.error:
        return given, True
    return given, stream.eof or given > room


def lzf_fits(stored: bytes, room: int) -> bool:
    """Return whether an LZF block gives at most ``room`` bytes."""
    at = given = 0
    while at < len(stored) and given <= room:
        control = stored[at]
        at += 1
        if control < 32:  # a run of literal bytes
            at += control + 1
            given += control + 1
            continue
        length = control >> 5
        if length == 7:
            length += stored[at] if at < len(stored) else 0
            at += 1
        at += 1
        given += length + 2
    return given <= room


def packbits_fits(stored: bytes, room: int) -> bool:
    """Return whether a PackBits block gives at most ``room`` bytes."""
    if len(stored) * 64 <= room:
        return True
    at = given = 0
    while at < len(stored) and given <= room:
        count = stored[at]
        if count < 128:
            at += count + 2
            given += count + 1
        elif count > 128:
            at += 2
            given += 257 - count
        else:
            at += 1
    return given <= room


def zstd_content_bytes(stored: bytes) -> int | None:
    """Return the size in the header of a Zstandard frame (RFC 8878, 3.1.1.1).

    None for what is no frame, does not state its size, or has more behind it: a
    decoder goes on with a second frame, whose size is another.
    """
    if not stored.startswith(_ZSTD_MAGIC) or len(stored) < 6:
        return None
    descriptor = stored[4]
    is_single, flag = descriptor >> 5 & 1, descriptor >> 6
    at = 5 + (1 - is_single) + (0, 1, 2, 4)[descriptor & 3]
    size = (is_single, 2, 4, 8)[flag]
    field = stored[at : at + size]
    if not size or len(field) < size:
        return None
    if len(stored) - _zstd_frame_end(stored, at + size) >= len(_ZSTD_MAGIC):
        return None
    return int.from_bytes(field, "little") + (256 if size == 2 else 0)


def _zstd_frame_end(stored: bytes, at: int) -> int:
    """Return where a frame ends, by the sizes of its blocks (RFC 8878, 3.1.1.2)."""
    is_last = False
    while not is_last and at + 3 <= len(stored):
        header = int.from_bytes(stored[at : at + 3], "little")
        is_last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        at += 3 + (1 if kind == _ZSTD_RUN else size)
    return at + (_CHECKSUM_BYTES if stored[4] >> 2 & 1 else 0)
