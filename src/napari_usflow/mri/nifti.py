"""MRI magnitude volumes in NIfTI files (``.nii``, ``.nii.gz``), read by nibabel.

Slices are taken across the axis of the coarsest spacing, the last one where the
voxels are cubes: that is where the scanner measured finest. They are oriented as the
file stores them. Of a series of volumes (4-D) the first is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import regular_file
from napari_usflow.io.guards.nifti import (
    check_declared,
    damaged,
    failures,
    is_packed,
    is_picture,
    nifti_version,
    opened_by_nibabel,
)
from napari_usflow.mri.stack import (
    OpenStack,
    check_pixel,
    check_slice_bytes,
)

__all__ = ["is_nifti", "open_nifti"]

_LARGEST_PACKED_BYTES = 2 * 2**30
_UNITS_MM = {"mm": 1.0, "unknown": 1.0, "micron": 1e-3, "meter": 1e3}
# Spacings that differ by less are the same: headers are rounded.
_COARSER = 1.05


def is_nifti(path: Path) -> bool:
    """Return whether a file is a single-file NIfTI-1 or -2; never raises."""
    return nifti_version(path) != 0


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
    image = opened_by_nibabel(path, extra="mri")
    try:
        header = image.header
        dtype, shape = header.get_data_dtype(), tuple(map(int, image.shape))
        spacing = [float(z) for z in header.get_zooms()[:3]]
        unit = header.get_xyzt_units()[0]
    except failures() as error:
        raise damaged(path, error) from error
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
    except failures() as error:
        raise damaged(path, error) from error

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
    if dtype == np.uint8 and is_picture(shape):
        raise FileFormatError(
            f"{path} is a single picture of 8 bits, as ultrasound is stored; volumes "
            "of MRI are trained on"
        )
    check_declared(path, shape, dtype)
    if is_packed(path) and math.prod(shape[:3]) * 8 > _LARGEST_PACKED_BYTES:
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
    if is_packed(path):
        return np.asarray(proxy[first]), 1.0, 0.0
    return proxy.get_unscaled()[first], float(proxy.slope), float(proxy.inter)
