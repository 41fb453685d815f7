"""Which compressed HDF5 datasets can be unpacked here, without crashing HDF5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

__all__ = ["missing_filter", "unsound_piece"]

_CHECKSUM_BYTES = 4
# Datasets that were looked at: their file, its age and size, and their name.
_SOUND: set[tuple[str, int, int, str]] = set()
_MAX_REMEMBERED = 4096


def missing_filter(dataset: h5py.Dataset) -> str | None:
    """Name a filter of a dataset that is not installed, None when all of them are.

    Filters beyond HDF5's own (zea writes Blosc) come with the package ``hdf5plugin``,
    which is imported only when a file needs one.
    """
    layout = dataset.id.get_create_plist()
    for number in range(layout.get_nfilters()):
        code, _, _, name = layout.get_filter(number)
        if h5py.h5z.filter_avail(code) or _is_plugin(code):
            continue
        label: str = name.split(b"\0")[0].decode("ascii", "replace").strip()
        return label or str(code)
    return None


def _is_plugin(code: int) -> bool:
    try:
        import hdf5plugin  # noqa: F401
    except ImportError:
        return False
    return bool(h5py.h5z.filter_avail(code))


def unsound_piece(dataset: h5py.Dataset) -> str | None:
    """Say what is wrong with a stored piece of a filtered dataset, None if nothing.

    HDF5 (2.0) reads beyond its buffer, and ends the process, when an index says that a
    piece with a checksum is shorter than the checksum. A dataset is looked through
    once as long as its file stays the same.
    """
    layout = dataset.id.get_create_plist()
    count = layout.get_nfilters()
    look_through = getattr(dataset.id, "chunk_iter", None)
    # h5py built with an HDF5 before 1.12.3 cannot list the pieces.
    if count == 0 or dataset.chunks is None or look_through is None:
        return None
    status = Path(dataset.file.filename).stat()
    key = (dataset.file.filename, status.st_mtime_ns, status.st_size, dataset.name)
    if key in _SOUND:
        return None
    codes = [layout.get_filter(number)[0] for number in range(count)]
    least = _CHECKSUM_BYTES if h5py.h5z.FILTER_FLETCHER32 in codes else 0

    def wrong(piece: Any) -> str | None:
        if piece.size <= least or piece.byte_offset + piece.size > status.st_size:
            return f"a piece of it has {piece.size} bytes at {piece.byte_offset}"
        return None  # goes on to the next

    found: str | None = look_through(wrong)
    if found is None:
        if len(_SOUND) >= _MAX_REMEMBERED:
            _SOUND.clear()
        _SOUND.add(key)
    return found
