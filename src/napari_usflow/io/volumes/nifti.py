"""NIfTI pictures, clips and volumes (``.nii``, ``.nii.gz``), such as CAMUS and CETUS.

The first axis runs across the picture, the second along depth, as these data sets have
them: NIfTI says where a picture lies in the patient, not where the probe was. A third
axis is frames where the file is named a sequence or its spacing is no length (1 beside
other spacings, or 0), else planes of a volume; a fourth axis is frames.

MRI comes in the same files. Pictures of 8 bits and single planes are of kind
``nifti``; volumes of other numbers are ``nifti-volume``, which may be MRI: they are
read as images when they are asked for, and left to other readers in napari.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import SourceFile, regular_file
from napari_usflow.io.guards.nifti import (
    DAMAGE,
    check_declared,
    damaged,
    failures,
    is_packed,
    is_picture,
    nifti_version,
    opened_by_nibabel,
    stated_layout,
)
from napari_usflow.io.opened import Opened
from napari_usflow.io.volumes.payload import Payload
from napari_usflow.io.volumes.stored import Stored, images_of

__all__ = ["PATTERNS", "TITLE", "detect", "is_left_to_others", "open_file"]

TITLE = "NIfTI images"
PATTERNS = ("*.nii", "*.nii.gz")

_UNITS_MM = {"mm": 1.0, "unknown": 1.0, "micron": 1e-3, "meter": 1e3}
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
_COLOURS = {("R", "G", "B"): 3, ("R", "G", "B", "A"): 4}
_VOLUME_NOTE = (
    "a volume of numbers of more than 8 bits may be MRI, which priors are trained on "
    "(usflow train); it was read as an image"
)


def detect(file: SourceFile) -> str | None:
    """Return ``nifti``, or ``nifti-volume`` for what may be MRI, else None."""
    if not nifti_version(file):
        return None
    try:
        shape, is_bytes = stated_layout(file)
    except DAMAGE:
        return "nifti"  # damaged; opening it says how
    return "nifti" if is_picture(shape) or is_bytes else "nifti-volume"


def is_left_to_others(file: SourceFile, kind: str) -> bool:
    """Whether it may be MRI."""
    return kind == "nifti-volume"


def open_file(file: SourceFile) -> Opened:
    """Open a picture, a clip or a volume.

    Raises
    ------
    FileFormatError
        When the file is damaged, or holds complex numbers or more than four axes.
    UsflowError
        When nibabel is missing.
    """
    regular_file(file)
    image = opened_by_nibabel(file, extra="nifti")
    try:
        header, proxy = image.header, image.dataobj
        dtype = np.dtype(header.get_data_dtype())
        shape = [int(size) for size in image.shape]
        zooms = [float(size) for size in header.get_zooms()]
        length, time = header.get_xyzt_units()
        slope, intercept, begin = float(proxy.slope), float(proxy.inter), proxy.offset
        affine = np.asarray(image.affine, float)
    except failures() as error:
        raise damaged(file, error) from error
    while len(shape) > 2 and shape[-1] == 1:
        shape.pop()
    colours = _COLOURS.get(dtype.names or (), 0)
    if colours:
        dtype = np.dtype(np.uint8)
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise FileFormatError(
            f"{file} holds {dtype}; grey values of up to 64 bits are read"
        )
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise FileFormatError(
            f"{file} has shape {tuple(shape)}; 2 to 4 axes (across, depth, planes, "
            "frames) are read"
        )
    check_declared(file, tuple(shape), dtype)
    axes = "xyst"[: len(shape)]
    mm = _UNITS_MM.get(length, 1.0)
    spacing = {axis: zoom * mm for axis, zoom in zip("xys", zooms, strict=False)}
    notes = [_VOLUME_NOTE] if detect(file) == "nifti-volume" else []
    if len(shape) == 3 and _is_sequence(file.path.name, zooms):
        axes = "xyt"
    interval = zooms[3] * _SECONDS[time] if len(zooms) > 3 and time in _SECONDS else 0.0
    packed = is_packed(file)
    stored = [*reversed(shape), *([colours] if colours else [])]
    payload = Payload(
        file,
        0 if packed else int(begin),
        "deflate" if packed else "raw",
        dtype,
        tuple(stored),
        int(begin) if packed else 0,
    )
    return images_of(
        file,
        Stored(
            payload,
            axes[::-1] + ("c" if colours else ""),
            spacing,
            frame_interval_s=interval if 0 < interval < 1e6 else None,
            slope=slope,
            intercept=intercept,
            metadata={"space": {"affine": _plain(affine)}},
            notes=notes,
        ),
    )


def _is_sequence(name: str, zooms: list[float]) -> bool:
    if "sequence" in name.lower() or not 0 < zooms[2] < math.inf:
        return True
    return zooms[2] == 1.0 and zooms[0] != 1.0 and zooms[1] != 1.0


def _plain(affine: Any) -> list[list[float]]:
    return [[float(number) for number in row] for row in affine]
