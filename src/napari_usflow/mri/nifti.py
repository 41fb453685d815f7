"""MRI magnitude volumes in NIfTI files (``.nii``, ``.nii.gz``), read by nibabel.

Slices are taken across the axis of the coarsest spacing, the last one where the
voxels are cubes: that is where the scanner measured finest. They are oriented as the
file stores them. Of a series of volumes (4-D) the first is used.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import regular_file, starting_bytes
from napari_usflow.io.guards.optional_packages import need_package
from napari_usflow.mri.stack import (
    OpenStack,
    check_pixel,
    check_slice_bytes,
)

__all__ = ["is_nifti", "open_nifti"]

_LARGEST_PACKED_BYTES = 2 * 2**30
_LARGEST_EXTENSION_BYTES = 2**24
_MAX_INFLATION = 1100  # deflate shrinks by at most 1032:1
_UNITS_MM = {"mm": 1.0, "unknown": 1.0, "micron": 1e-3, "meter": 1e3}
_GZIP = b"\x1f\x8b"
# Spacings that differ by less are the same: headers are rounded.
_COARSER = 1.05
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    zlib.error,
)


def is_nifti(path: Path) -> bool:
    """Return whether a file is a single-file NIfTI-1 or -2; never raises."""
    try:
        return _version(path) != 0
    except (FileFormatError, *_DAMAGED):
        return False


def _version(path: Path) -> int:
    start = starting_bytes(path, 348)
    if start.startswith(_GZIP):
        with gzip.open(path) as packed:
            start = packed.read(348)
    if start[344:348] == b"n+1\0":
        return 1
    return 2 if start[4:8] == b"n+2\0" else 0


@contextmanager
def open_nifti(path: Path) -> Iterator[OpenStack]:
    """Open a NIfTI file, to read its slices one at a time.

    A file that is not packed is mapped and may be larger than memory; of a packed one
    the volume is unpacked, which must not take more than 2 GiB.

    Raises
    ------
    FileFormatError
        When the file is damaged, complex or in colours, not a volume, or too large.
    UsflowError
        When nibabel is missing.
    """
    path = regular_file(path)
    nibabel = need_package("nibabel", path, "NIfTI", extra="mri")
    kind = nibabel.Nifti2Image if _version(path) == 2 else nibabel.Nifti1Image
    _check_extensions(path)
    try:
        image = kind.from_filename(path)
        header = image.header
        dtype, shape = header.get_data_dtype(), tuple(map(int, image.shape))
        spacing = [float(z) for z in header.get_zooms()[:3]]
        unit = header.get_xyzt_units()[0]
    except _failures(nibabel) as error:
        raise _damaged(path, error) from error
    _check_values(path, dtype, shape)
    volumes = math.prod(shape[3:])
    first = (slice(None),) * 3 + (0,) * (len(shape) - 3)
    axis = _slice_axis(spacing)
    rest = [a for a in range(3) if a != axis]
    place = f"{path}"
    mm = _UNITS_MM.get(unit, 1.0)
    pixel = check_pixel(place, [spacing[a] * mm for a in reversed(rest)])
    check_slice_bytes(place, shape[rest[0]] * shape[rest[1]] * 8)
    try:
        volume, slope, intercept = _volume(path, image, first)
    except _failures(nibabel) as error:
        raise _damaged(path, error) from error

    def load(index: int) -> npt.NDArray[Any]:
        # NIfTI's first axis runs from side to side: columns, so that rows go down.
        return np.asarray(volume.take(index, axis=axis).T * slope + intercept)

    attributes: dict[str, Any] = {"slice_spacing_mm": spacing[axis] * mm}
    if volumes > 1:
        attributes["volume"] = f"1 of {volumes}"
    yield OpenStack(
        place,
        path.name.removesuffix(".gz").removesuffix(".nii"),
        (shape[axis], shape[rest[1]], shape[rest[0]]),
        pixel,
        load,
        attributes,
    )


def _check_extensions(path: Path) -> None:
    """Refuse a packed file with more before its volume than a header has to say."""
    start = starting_bytes(path, 348)
    if not start.startswith(_GZIP):
        return
    try:
        with gzip.open(path) as packed:
            start = packed.read(540)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    # Where the volume begins: NIfTI-1 has a float at 108, NIfTI-2 an integer at 168.
    order = "<" if start[:4] in (b"\x5c\1\0\0", b"\x1c\2\0\0") else ">"
    form, at = ("f", 108) if start[344:348] == b"n+1\0" else ("q", 168)
    if len(start) < 352:
        raise FileFormatError(f"{path} is cut short: it ends within its header")
    (begin,) = struct.unpack_from(order + form, start, at)
    if not 0 <= begin <= _LARGEST_EXTENSION_BYTES:
        raise FileFormatError(
            f"{path} declares more than {size_text(_LARGEST_EXTENSION_BYTES)} before "
            "its volume; unpack it (gunzip)"
        )


def _failures(nibabel: Any) -> tuple[type[Exception], ...]:
    """What nibabel lets through when a file is nonsense."""
    return (
        *_DAMAGED,
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        nibabel.wrapstruct.WrapStructError,
    )


def _damaged(path: Path, error: Exception) -> FileFormatError:
    text = " ".join(str(error).split())[:200]
    return FileFormatError(f"{path} is a damaged NIfTI file: {text}")


def _check_values(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if dtype.kind == "c":
        raise FileFormatError(
            f"{path} holds complex values; pass the magnitude (its absolute value)"
        )
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise FileFormatError(f"{path} holds {dtype}; grey values were expected")
    if len(shape) < 3 or min(shape) < 1:
        raise FileFormatError(
            f"{path} has shape {shape}; a volume of three axes was expected"
        )
    declared = math.prod(shape) * dtype.itemsize
    stored = path.stat().st_size
    packed = starting_bytes(path, 2) == _GZIP
    if declared > stored * (_MAX_INFLATION if packed else 1):
        raise FileFormatError(
            f"{path} declares shape {shape} ({size_text(declared)}), but has "
            f"{size_text(stored)}; copy it again"
        )
    if packed and math.prod(shape[:3]) * 8 > _LARGEST_PACKED_BYTES:
        raise FileFormatError(
            f"{path} unpacks to a volume of shape {shape[:3]}, which takes "
            f"{size_text(math.prod(shape[:3]) * 8)}; at most "
            f"{size_text(_LARGEST_PACKED_BYTES)} are read from a packed file. Unpack "
            "it (gunzip): a plain .nii is read slice by slice"
        )


def _slice_axis(spacing: list[float]) -> int:
    coarsest = max(range(3), key=lambda axis: spacing[axis])
    others = [spacing[axis] for axis in range(3) if axis != coarsest]
    return coarsest if spacing[coarsest] > _COARSER * max(others) else 2


def _volume(
    path: Path, image: Any, first: tuple[Any, ...]
) -> tuple[npt.NDArray[Any], float, float]:
    """Return the first volume, and what its values are multiplied by and added to."""
    proxy = image.dataobj
    if starting_bytes(path, 2) == _GZIP:
        return np.asarray(proxy[first]), 1.0, 0.0
    return proxy.get_unscaled()[first], float(proxy.slope), float(proxy.inter)
