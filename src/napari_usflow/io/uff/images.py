"""Beamformed data of a UFF file, and the scans they lie on."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import (
    MAX_ARRAY_BYTES,
    has_member,
    open_hdf5,
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
    ArrayLike,
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)
from napari_usflow.ultrasound.lazy_frames import MAX_FRAMES, lazy_stack
from napari_usflow.ultrasound.outside import floored

__all__ = ["read_grid", "read_images"]

Meaning = Literal["envelope", "rf", "db"]


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
    are nowhere positive are decibels. A stack of more than 256 MiB stays in its file,
    which is opened for each frame that is looked at; its first frame says what the
    numbers are, and which is 0 dB.

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
        groups = objects_of(file, "uff.beamformed_data")
        if not groups:
            raise FileFormatError(f"{path} has no uff.beamformed_data")
        return [_image(path, group, len(groups)) for group in groups]


def _image(path: FilePath, group: h5py.Group, count: int) -> UltrasoundImage:
    grid = _grid(subgroup(group, "scan"))
    data = ComplexData(group, "data")
    shape = (_frame_count(group, data, grid), *grid.shape)
    notes: list[str] = []
    stack: ArrayLike
    if 4 * math.prod(shape) <= MAX_ARRAY_BYTES:
        frames = np.empty(shape, np.float32)
        for index in range(shape[0]):
            frames[index] = _frame(group, data, index, grid)
        stack = _decibels(frames, _meaning(frames, data, notes))
    else:
        first = _frame(group, data, 0, grid)
        meaning = _meaning(first, data, notes)
        peak = 1.0 if meaning == "db" else float(np.nanmax(_amplitude(first, meaning)))
        if meaning != "db":
            notes.append("0 dB is the maximum of the first frame")
        read = partial(
            _read_frame, path, group.name.lstrip("/"), grid, meaning, peak or 1.0
        )
        stack = lazy_stack(read, shape)
    rate = number(group, "frame_rate", 0.0)
    name = f"{Path(path).stem} {group.name.lstrip('/')}"
    return UltrasoundImage(
        stack,
        "db",
        grid,
        frame_interval_s=1 / rate if shape[0] > 1 and rate > 0 else None,
        metadata={"notes": notes} if count == 1 else {"notes": notes, "name": name},
    )


def _frame_count(
    group: h5py.Group, data: ComplexData, grid: PixelGrid | PolarGrid
) -> int:
    """Count the frames, and refuse pixels that do not fit the scan."""
    place = f"{group.file.filename}, {group.name}/data"
    shape = (1,) * (4 - len(data.shape)) + data.shape
    axial, lateral = grid.shape
    if shape[3] != axial * lateral:
        raise FileFormatError(
            f"{place} has shape {data.shape}; {axial * lateral} pixels, {axial} along "
            f"depth and {lateral} across, were expected on the last axis"
        )
    whole = 4 * shape[0] * axial * lateral
    if 8 * math.prod(shape[1:]) > MAX_ARRAY_BYTES or (
        whole > MAX_ARRAY_BYTES and shape[0] > MAX_FRAMES
    ):
        raise FileFormatError(
            f"{place} has shape {data.shape}; {MAX_FRAMES} frames of at most "
            f"{size_text(MAX_ARRAY_BYTES)} are read"
        )
    return shape[0]


def _frame(
    group: h5py.Group, data: ComplexData, index: int, grid: PixelGrid | PolarGrid
) -> npt.NDArray[np.float32]:
    """Read a frame (axial, lateral), the modulus of complex data."""
    axial, lateral = grid.shape
    block = data[(index,)] if len(data.shape) == 4 else data[...]
    pixels = block.reshape(-1, axial * lateral).sum(axis=0)
    # Depth runs fastest over the pixels.
    picture = pixels.reshape(lateral, axial).T
    # NaN is outside of the image, -Inf the logarithm of zero.
    try:
        frame = floored(np.abs(picture) if data.is_complex else picture)
    except ValueError as error:
        place = f"{group.file.filename}, {group.name}/data"
        raise FileFormatError(f"{place}: {error}") from error
    if np.isnan(frame).all():
        raise FileFormatError(f"{group.file.filename}, {group.name}/data is all NaN")
    return np.asarray(frame, np.float32)


def _read_frame(
    path: FilePath,
    name: str,
    grid: PixelGrid | PolarGrid,
    meaning: Meaning,
    reference: float,
    index: int,
) -> npt.NDArray[np.float32]:
    """Read one frame of a stack that stays in its file, as decibels."""
    with open_hdf5(path) as file:
        group = subgroup(file, name)
        frame = _frame(group, ComplexData(group, "data"), index, grid)
    return _decibels(frame, meaning, reference)


def _meaning(
    frames: npt.NDArray[np.float32], data: ComplexData, notes: list[str]
) -> Meaning:
    """Return what the numbers are, by their signs."""
    if data.is_complex or np.nanmin(frames) >= 0:
        return "envelope"
    if np.nanmax(frames) <= 0:
        notes.append("numbers that are nowhere positive were taken as decibels")
        return "db"
    notes.append("the envelope was taken of real beamformed data")
    return "rf"


def _amplitude(
    frames: npt.NDArray[np.float32], meaning: Meaning
) -> npt.NDArray[np.float32]:
    if meaning != "rf":
        return np.abs(frames)
    outside = np.isnan(frames)
    return np.where(outside, frames, envelope(np.where(outside, 0, frames)))


def _decibels(
    frames: npt.NDArray[np.float32], meaning: Meaning, reference: float | None = None
) -> npt.NDArray[np.float32]:
    if meaning == "db":
        return frames
    return log_compress(_amplitude(frames, meaning), reference, allow_outside=True)


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
