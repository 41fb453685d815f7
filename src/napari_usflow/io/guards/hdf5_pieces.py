"""The stored pieces (chunks) of compressed HDF5 datasets, held to their size.

HDF5 unpacks a piece to whatever its stream gives, and looks at the size afterwards. The
pieces that a selection touches are looked into before HDF5 is let near them: a stream
must not give more than the piece holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.inflation import (
    DEFLATE_RATIO,
    deflate_fits,
    lzf_fits,
    zstd_content_bytes,
)

__all__ = ["MAX_PIECE_BYTES", "CheckedDataset", "unsound_piece"]

MAX_PIECE_BYTES = 2**27
"""Largest compressed piece that is unpacked."""

_DEFLATE, _SHUFFLE, _FLETCHER32, _SZIP, _LZF = 1, 2, 3, 4, 32000
_BLOSC, _LZ4, _BITSHUFFLE, _ZSTD = 32001, 32004, 32008, 32015
_CHECKSUM_BYTES = 4
# LZF gives at most 264 bytes for three.
_LARGEST_RATIO = {_DEFLATE: DEFLATE_RATIO, _LZF: 88}
_COMPRESSORS = {*_LARGEST_RATIO, _SZIP, _BLOSC, _LZ4, _BITSHUFFLE, _ZSTD}
# What a piece may unpack to beyond its size without being looked into.
_SPARE_BYTES = 2**27

_Offset = tuple[int, ...]
# Of each dataset that was looked through, the pieces still to be looked into: its
# file, the file's age and size, and its name.
_DOUBTFUL: dict[tuple[str, int, int, str], set[_Offset]] = {}
_MAX_REMEMBERED = 4096


class CheckedDataset(h5py.Dataset):  # type: ignore[misc]
    """A dataset whose pieces are looked into before HDF5 unpacks them."""

    def __getitem__(self, args: Any, new_dtype: Any = None) -> Any:
        """Read a selection; FileFormatError when a piece of it gives too much."""
        if self.chunks is not None and self.id.get_create_plist().get_nfilters():
            _look_into(self, args)
        return super().__getitem__(args, new_dtype=new_dtype)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = True
    ) -> npt.NDArray[Any]:
        """Read the whole dataset."""
        return np.asarray(self[()], dtype=dtype)


def unsound_piece(dataset: h5py.Dataset) -> str | None:
    """Return what is wrong with the stored pieces of a dataset, None if nothing.

    Nothing is unpacked. HDF5 (2.0) reads beyond its buffer, and ends the process, when
    an index says that a piece with a checksum is shorter than the checksum. A dataset
    is looked through once as long as its file stays the same.
    """
    filters = _filters(dataset)
    if not filters or dataset.chunks is None:
        return None
    key = _key(dataset)
    if key in _DOUBTFUL:
        return None
    compressor = next((code for code in filters if code in _COMPRESSORS), None)
    wrong = _unsound_filters(filters, compressor)
    if wrong is not None:
        return wrong
    least = _CHECKSUM_BYTES if _FLETCHER32 in filters else 0
    room = _piece_bytes(dataset)
    if room - _CHECKSUM_BYTES > MAX_PIECE_BYTES:
        return (
            f"it is stored in pieces of {size_text(room)}; at most "
            f"{size_text(MAX_PIECE_BYTES)} are unpacked at once"
        )
    # Stored as it is where it does not shrink, with a few bytes for each block.
    most, doubtful = room + room // 64 + 1024, set()
    ratio = _LARGEST_RATIO.get(compressor or 0)
    for piece in _pieces(dataset):
        if piece.size <= least or piece.byte_offset + piece.size > key[2]:
            return f"a piece of it has {piece.size} bytes at {piece.byte_offset}"
        if piece.size > most:
            return f"a piece of {room} bytes is stored in {piece.size}"
        if compressor and (ratio is None or ratio * piece.size > room + _SPARE_BYTES):
            doubtful.add(tuple(map(int, piece.chunk_offset)))
    if len(_DOUBTFUL) >= _MAX_REMEMBERED:
        _DOUBTFUL.clear()
    _DOUBTFUL[key] = doubtful
    return None


def _unsound_filters(filters: list[int], compressor: int | None) -> str | None:
    unknown = [
        code for code in filters if code not in {*_COMPRESSORS, _SHUFFLE, _FLETCHER32}
    ]
    if unknown:
        return (
            f"it is packed by the HDF5 filter {unknown[0]}, which is not read; "
            "h5repack -f GZIP=4 writes it in another way"
        )
    if len(set(filters)) < len(filters) or (
        compressor is not None
        and set(filters[filters.index(compressor) + 1 :]) - {_FLETCHER32}
    ):
        return f"its HDF5 filters {filters} are applied in an order that is not read"
    return None


def _filters(dataset: h5py.Dataset) -> list[int]:
    layout = dataset.id.get_create_plist()
    filters = [layout.get_filter(n) for n in range(layout.get_nfilters())]
    # Bitshuffle compresses only where its fifth parameter says how.
    return [
        _SHUFFLE if code == _BITSHUFFLE and not any(values[4:5]) else code
        for code, _, values, _ in filters
    ]


def _key(dataset: h5py.Dataset) -> tuple[str, int, int, str]:
    status = Path(dataset.file.filename).stat()
    return dataset.file.filename, status.st_mtime_ns, status.st_size, dataset.name


def _piece_bytes(dataset: h5py.Dataset) -> int:
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    # A checksum may be taken before the piece is compressed.
    return int(size) + _CHECKSUM_BYTES


def _pieces(dataset: h5py.Dataset) -> Iterator[Any]:
    look_through = getattr(dataset.id, "chunk_iter", None)
    if look_through is None:  # h5py built with an HDF5 before 1.12.3
        for number in range(dataset.id.get_num_chunks()):
            yield dataset.id.get_chunk_info(number)
        return
    pieces: list[Any] = []
    look_through(pieces.append)
    yield from pieces


def _look_into(dataset: h5py.Dataset, args: Any) -> None:
    """Refuse a selection with a piece that unpacks to more than it holds."""
    doubtful = _DOUBTFUL.get(_key(dataset))
    if doubtful is None:
        wrong = unsound_piece(dataset)
        if wrong is not None:
            raise _damaged(dataset, wrong)
        doubtful = _DOUBTFUL[_key(dataset)]
    if not doubtful:
        return
    box = _box(dataset.shape, args)
    filters = _filters(dataset)
    room = _piece_bytes(dataset)
    for offset in sorted(doubtful):
        touched = all(
            first < high and low < first + size
            for first, size, (low, high) in zip(
                offset, dataset.chunks, box, strict=True
            )
        )
        if not touched:
            continue
        mask, stored = dataset.id.read_direct_chunk(offset)
        codes = [code for n, code in enumerate(filters) if not mask >> n & 1]
        compressor = next((code for code in codes if code in _COMPRESSORS), None)
        if compressor is not None and not _fits(compressor, stored, room):
            raise _damaged(dataset, f"a piece unpacks to more than its {room} bytes")
        doubtful.discard(offset)


def _damaged(dataset: h5py.Dataset, wrong: str) -> FileFormatError:
    return FileFormatError(
        f"{dataset.file.filename}, {dataset.name} is not unpacked: {wrong}"
    )


def _box(shape: tuple[int, ...], args: Any) -> list[tuple[int, int]]:
    """Return the first and the end of a selection along each axis; generously."""
    keys = list(args) if isinstance(args, tuple) else [args]
    if any(key is Ellipsis for key in keys):
        at = next(i for i, key in enumerate(keys) if key is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (len(shape) - len(keys) + 1)
    keys += [slice(None)] * (len(shape) - len(keys))
    if len(keys) != len(shape):
        return [(0, size) for size in shape]
    return [_range(key, size) for key, size in zip(keys, shape, strict=True)]


def _range(key: Any, size: int) -> tuple[int, int]:
    if isinstance(key, int | np.integer):
        first = int(key) + (size if key < 0 else 0)
        return first, first + 1
    if isinstance(key, slice):
        indices = range(size)[key]
        if len(indices):
            return min(indices[0], indices[-1]), max(indices[0], indices[-1]) + 1
    return 0, size


def _fits(code: int, stored: bytes, room: int) -> bool:
    """Return whether a compressed piece gives no more than so many bytes."""
    if code == _DEFLATE:
        return deflate_fits(stored, room)
    if code == _LZF:
        return lzf_fits(stored, room)
    stated = _stated_bytes(code, stored)
    return stated is not None and stated <= room


def _stated_bytes(code: int, stored: bytes) -> int | None:
    """Return the unpacked size in a piece's header, to which its decoder keeps."""
    if code == _BLOSC and len(stored) >= 16:
        return int.from_bytes(stored[4:8], "little")
    if code == _SZIP and len(stored) >= 4:
        return int.from_bytes(stored[:4], "little")
    if code in (_LZ4, _BITSHUFFLE) and len(stored) >= 12:
        return int.from_bytes(stored[:8], "big")
    return zstd_content_bytes(stored) if code == _ZSTD else None
