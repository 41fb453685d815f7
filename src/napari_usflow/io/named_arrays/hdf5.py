"""HDF5 files of no known layout: datasets at the root, or one group below it."""

from __future__ import annotations

from napari_usflow.io import matlab
from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.guards.hdf5 import has_member, open_hdf5
from napari_usflow.io.named_arrays import Names, SameFile, open_arrays
from napari_usflow.io.opened import Opened

__all__ = ["OPTIONS", "PATTERNS", "TITLE", "detect", "is_left_to_others", "open_file"]

TITLE = "HDF5 files with names of their own"
OPTIONS = ("names", "raw")
PATTERNS = ("*.hdf5", "*.h5")

_MRI = ("ismrmrd_header", "kspace", "reconstruction_rss", "reconstruction_esc")
_SMALLEST = 16


class _Hdf5Arrays(SameFile):
    """A file that is read as a MATLAB 7.3 file is, which is HDF5 as well."""

    is_plain_hdf5 = True


def detect(file: SourceFile) -> str | None:
    """Return ``hdf5`` for a file with an array as large as a picture, not of MRI."""
    if not file.is_hdf5:
        return None
    with open_hdf5(file) as hdf5:
        if any(has_member(hdf5, name) for name in _MRI):
            return None
    listed = matlab.variables(_Hdf5Arrays(file)).values()
    has_array = any(sum(n >= _SMALLEST for n in array.shape) >= 2 for array in listed)
    return "hdf5" if has_array else None


def is_left_to_others(file: SourceFile, kind: str) -> bool:
    """Whether another program wrote it, for purposes of its own."""
    return True


def open_file(
    file: SourceFile, *, names: Names | None = None, raw: bool = False
) -> Opened:
    """Open an image or channel data by their names; without names, list the arrays.

    Raises
    ------
    FileFormatError
        When the file is damaged, or an array is missing or does not fit.
    ValueError
        When ``names`` make no sense.
    """
    return open_arrays(
        _Hdf5Arrays(file), "an HDF5 file of a layout that is not known", names, raw=raw
    )
