"""The strips and tiles of a TIFF, held to their size before a library unpacks them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import FilePath, open_binary
from napari_usflow.io.guards.inflation import (
    deflate_fits,
    packbits_fits,
    zstd_content_bytes,
)
from napari_usflow.io.guards.picture_sizes import jpeg2000_size, jpeg_size

__all__ = ["check_pieces"]

_PLAIN, _LZW, _PACKBITS, _ZSTD = 1, 5, 32773, 50000
_DEFLATE = {8, 32946, 50013}
_JPEG = {7, 34892}
_JPEG2000 = {33003, 33004, 33005, 34712}
_READ = {_PLAIN, _LZW, _PACKBITS, _ZSTD, *_DEFLATE, *_JPEG, *_JPEG2000}
# A strip holds no more rows than the image; a tile may be larger than a small image.
_LARGEST_TILE_BYTES = 2**26


def check_pieces(path: FilePath, pages: Iterable[Any]) -> None:
    """Refuse a TIFF of which a strip or tile unpacks to more than it holds.

    Parameters
    ----------
    path : path
        The file.
    pages : iterable of tifffile.TiffPage
        The pages that will be read.

    Raises
    ------
    FileFormatError
        Also for compressions of which nothing is known here.
    """
    with open_binary(path) as file:
        for page in pages:
            if page is None:
                continue
            key = page.keyframe
            shape = _piece_shape(path, key)
            if key.compression == _PLAIN:
                continue
            room = math.prod(shape) * key.dtype.itemsize
            for at, size in zip(page.dataoffsets, page.databytecounts, strict=True):
                file.seek(at)
                if not _fits(key.compression, file.read(size), shape, room):
                    raise FileFormatError(
                        f"{path} is a damaged TIFF file: the piece at byte {at} "
                        f"unpacks to more than its {size_text(room)}"
                    )


def _piece_shape(path: FilePath, page: Any) -> tuple[int, int, int, int]:
    """Return depth, rows, columns and samples of a strip or tile."""
    if page.compression not in _READ:
        raise FileFormatError(
            f"{path} is compressed as {getattr(page.compression, 'name', '?')} "
            f"({int(page.compression)}); TIFF files that are plain or compressed by "
            "deflate, LZW, PackBits, Zstandard, JPEG or JPEG 2000 are read"
        )
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    if not page.is_tiled:
        rows = min(page.rowsperstrip, page.imagelength)
        return 1, rows, page.imagewidth, samples
    shape = page.tiledepth, page.tilelength, page.tilewidth, samples
    size = math.prod(shape) * page.dtype.itemsize
    if size > max(_LARGEST_TILE_BYTES, 2 * math.prod(page.shape) * page.dtype.itemsize):
        raise FileFormatError(
            f"{path} declares tiles of {size_text(size)} for an image of shape "
            f"{tuple(page.shape)}"
        )
    return shape


def _fits(
    compression: int, stored: bytes, shape: tuple[int, int, int, int], room: int
) -> bool:
    if compression in _DEFLATE:
        return deflate_fits(stored, room)
    if compression == _PACKBITS:
        return packbits_fits(stored, room)
    if compression == _ZSTD:
        stated = zstd_content_bytes(stored) if stored else 0
        return stated is not None and stated <= room
    if compression in _JPEG or compression in _JPEG2000:
        size = (jpeg_size if compression in _JPEG else jpeg2000_size)(stored)
        return size is not None and math.prod(size) <= math.prod(shape)
    return True  # the decoder of LZW is told the size
