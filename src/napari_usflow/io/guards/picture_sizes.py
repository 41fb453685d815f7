"""Declared picture size of a JPEG, JPEG 2000 or GIF stream."""

from __future__ import annotations

import mmap
import struct

__all__ = ["gif_size", "jpeg2000_size", "jpeg_size"]

_START, _SCAN = 0xD8, 0xDA
# Markers of a frame: SOF0 to SOF15 without tables (DHT, JPG, DAC), and JPEG-LS.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_ALONE = {0x01, _START, 0xD9, *range(0xD0, 0xD8)}


def jpeg_size(stream: bytes | mmap.mmap) -> tuple[int, int, int] | None:
    """Return rows, columns and components of a JPEG or JPEG-LS picture.

    None when no frame is declared before the first scan (ITU-T T.81, annex B).
    """
    at = 0
    while at + 4 <= len(stream):
        if stream[at] != 0xFF:
            return None
        marker = stream[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _SCAN:
            return None
        (length,) = struct.unpack_from(">H", stream, at + 2)
        if marker in _FRAMES:
            if length < 8 or at + 10 > len(stream):
                return None
            rows, columns, components = struct.unpack_from(">HHB", stream, at + 5)
            # No rows: a later marker says how many, which is not looked for.
            return (rows, columns, components) if rows and columns else None
        at += 2 + max(length, 2)
    return None


def jpeg2000_size(stream: bytes) -> tuple[int, int, int] | None:
    """Return rows, columns and components of a JPEG 2000 codestream or JP2 file.

    None when it does not begin with a size (ITU-T T.800, A.5.1 and I.4).
    """
    at = _codestream(stream)
    if stream[at : at + 4] != b"\xff\x4f\xff\x51" or at + 42 > len(stream):
        return None
    columns, rows = struct.unpack_from(">II", stream, at + 8)
    (components,) = struct.unpack_from(">H", stream, at + 40)
    return rows, columns, components


def gif_size(stream: bytes | mmap.mmap) -> tuple[int, int, int]:
    """Return the number of frames, rows and columns of a GIF stream.

    The frames are counted up to its trailer, or its damage (GIF89a, appendix A).
    """
    if len(stream) < 13:
        return 0, 0, 0
    columns, rows, flags = struct.unpack_from("<HHB", stream, 6)
    at, frames = 13 + _table_bytes(flags), 0
    while at < len(stream):
        kind = stream[at]
        if kind == 0x21:  # an extension: a label, then blocks
            at = _after_blocks(stream, at + 2)
        elif kind == 0x2C and at + 10 < len(stream):
            # A frame: its place, a palette, the size of a code, then blocks.
            left, top, width, height, flags = struct.unpack_from("<4HB", stream, at + 1)
            columns, rows = max(columns, left + width), max(rows, top + height)
            at = _after_blocks(stream, at + 11 + _table_bytes(flags))
            frames += 1
        else:
            break
    return frames, rows, columns


def _table_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(stream: bytes | mmap.mmap, at: int) -> int:
    while at < len(stream) and stream[at]:
        at += stream[at] + 1
    return at + 1


def _codestream(stream: bytes) -> int:
    """Return where the codestream begins: behind boxes, the last of them ``jp2c``."""
    if not stream.startswith(_JP2_SIGNATURE):
        return 0
    at = 0
    while at + 8 <= len(stream):
        (length,) = struct.unpack_from(">I", stream, at)
        if stream[at + 4 : at + 8] == b"jp2c":
            return at + (16 if length == 1 else 8)
        if length == 1 and at + 16 <= len(stream):
            (length,) = struct.unpack_from(">Q", stream, at + 8)
        if length < 8:
            break
        at += length
    return len(stream)
