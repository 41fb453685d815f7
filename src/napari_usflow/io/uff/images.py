"""Beamformed data of a UFF file, and the scans they lie on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.files import FilePath
from napari_usflow.io.hdf5 import (
    MAX_ARRAY_BYTES,
    has_member,
    open_hdf5,
    size_text,
    subgroup,
)
from napari_usflow.io.uff.objects import (
    ComplexData,
    axis,
    children,
    class_of,
    number,
    objects_of,
)
from napari_usflow.ultrasound.bmode import envelope, log_compress
from napari_usflow.ultrasound.data import (
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
    Values,
)

__all__ = ["read_grid", "read_images"]


def read_grid(path: FilePath) -> PixelGrid | PolarGrid | None:
    """Read the first linear or sector scan at the root of a file, None without one."""
    with open_hdf5(path) as file:
        scans = objects_of(file, "uff.linear_scan", "uff.sector_scan")
        return _grid(scans[0]) if scans else None


def read_images(path: FilePath) -> list[UltrasoundImage]:
    """Read every beamformed data of a file as decibels.

    Waves and channels are summed coherently. The envelope is the modulus of complex
    data, and of real data that go below zero that of their analytic signal along
    depth; real data that are nowhere negative are an envelope already, and data that
    are nowhere positive are decibels.

    Returns
    -------
    list of UltrasoundImage
        Values ``db``, 0 = the maximum of the stack; a sector scan has a polar grid.

    Raises
    ------
    FileFormatError
        When there are none, or they do not fit their scan.
    """
    with open_hdf5(path) as file:
        found = objects_of(file, "uff.beamformed_data")
        if not found:
            raise FileFormatError(f"{path} has no uff.beamformed_data")
        return [_image(path, group, len(found)) for group in found]


def _image(path: FilePath, group: h5py.Group, count: int) -> UltrasoundImage:
    grid = _grid(subgroup(group, "scan"))
    data = ComplexData(group, "data")
    frames = _frames(group, data, grid)
    notes: list[str] = []
    values: Values = "db"
    if not data.is_complex and frames.max() <= 0 and frames.min() < 0:
        notes.append("numbers that are nowhere positive were taken as decibels")
    else:
        if not data.is_complex and frames.min() < 0:
            notes.append("the envelope was taken of real beamformed data")
            frames = envelope(frames)
        frames = log_compress(frames)
    rate = number(group, "frame_rate", 0.0)
    stem = Path(path).stem
    return UltrasoundImage(
        frames,
        values,
        grid,
        frame_interval_s=1 / rate if len(frames) > 1 and rate > 0 else None,
        metadata={
            "source": str(path),
            "name": stem if count == 1 else f"{stem} {group.name.lstrip('/')}",
            "format": "uff-image",
            "notes": notes,
        },
    )


def _frames(
    group: h5py.Group, data: ComplexData, grid: PixelGrid | PolarGrid
) -> npt.NDArray[np.float32]:
    """Read (frames, axial, lateral), the modulus of complex data."""
    place = f"{group.file.filename}, {group.name}/data"
    shape = (1,) * (4 - len(data.shape)) + data.shape
    axial, lateral = grid.shape
    if shape[3] != axial * lateral:
        raise FileFormatError(
            f"{place} has shape {data.shape}; {axial * lateral} pixels, {axial} along "
            f"depth and {lateral} across, were expected on the last axis"
        )
    if max(4 * shape[0] * shape[3], 8 * math.prod(shape[1:])) > MAX_ARRAY_BYTES:
        raise FileFormatError(
            f"{place} has shape {data.shape}; images of at most "
            f"{size_text(MAX_ARRAY_BYTES)} are read"
        )
    out = np.empty((shape[0], axial, lateral), np.float32)
    for frame in range(shape[0]):
        block = data[(frame,)] if len(data.shape) == 4 else data[...]
        pixels = block.reshape(-1, shape[3]).sum(axis=0)
        # Depth runs fastest over the pixels.
        picture = pixels.reshape(lateral, axial).T
        if not np.isfinite(picture).all():
            raise FileFormatError(f"{place} holds values that are not finite")
        out[frame] = np.abs(picture) if data.is_complex else picture
    return out


def _grid(scan: h5py.Group) -> PixelGrid | PolarGrid:
    place = f"{scan.file.filename}, {scan.name}"
    kind = class_of(scan)
    if kind == "uff.linear_scan":
        z, x = (_even(scan, name) for name in ("z_axis", "x_axis"))
        return PixelGrid.from_axes(z, x)
    if kind == "uff.sector_scan":
        radius, angle = (_even(scan, name) for name in ("depth_axis", "azimuth_axis"))
        apex = _apex(scan)
        return PolarGrid(
            (radius.size, angle.size),
            (1e3 * float(radius[0]), 1e3 * _step(radius)),
            (float(angle[0]), _step(angle)),
            apex,
        )
    raise FileFormatError(
        f"{place} is {kind or 'no scan'}; a linear or a sector scan was expected"
    )


def _even(scan: h5py.Group, name: str) -> npt.NDArray[np.float64]:
    values = axis(scan, name)
    steps = np.diff(values)
    if values.size < 2 or steps.min() <= 0 or np.ptp(steps) > 0.01 * steps.mean():
        raise FileFormatError(
            f"{scan.file.filename}, {scan.name}/{name} does not rise in even steps"
        )
    return values


def _step(values: npt.NDArray[np.float64]) -> float:
    return float((values[-1] - values[0]) / (values.size - 1))


def _apex(scan: h5py.Group) -> tuple[float, float]:
    """Apex of a sector in mm (axial, lateral); the centre of coordinates without one.

    Raises
    ------
    FileFormatError
        When each line has an apex of its own.
    """
    name = next((n for n in ("origin", "apex") if has_member(scan, n)), None)
    if name is None:
        return (0.0, 0.0)
    points: list[Any] = [
        (number(point, "distance", 0.0), number(point, "azimuth", 0.0))
        for point in children(scan, name)
    ]
    if len({(round(d, 9), round(a, 9)) for d, a in points}) > 1:
        raise FileFormatError(
            f"{scan.file.filename}, {scan.name} has an apex of its own for each line; "
            "one apex is read"
        )
    distance, azimuth = points[0]
    return (
        1e3 * distance * float(np.cos(azimuth)),
        1e3 * distance * float(np.sin(azimuth)),
    )
