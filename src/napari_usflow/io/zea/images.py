"""Images of a zea file: log-compressed images, envelopes and beamformed data."""

from __future__ import annotations

import math

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import (
    MAX_ARRAY_BYTES,
    find_dataset,
    has_member,
    is_group,
    open_hdf5,
    read_array,
    read_long_text,
    subgroup,
)
from napari_usflow.io.outputs.usflow_metadata import NAME, apply_notes, unpack_notes
from napari_usflow.io.zea.layout import IMAGES, Container, find_container
from napari_usflow.io.zea.numbers import Numbers
from napari_usflow.ultrasound.data import (
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)

__all__ = ["read_image"]

_LOOKED_AT = 8
# A pixel may lie this far from its place on a grid, in steps of the grid.
_TOLERANCE = 0.02


def read_image(path: FilePath, track: str = "") -> UltrasoundImage:
    """Read the image of a track; of several the one that is nearest to the display.

    ``image`` and ``image_sc`` are decibels (float) or display grey (8 bit).
    ``envelope_data`` and ``beamformed_data`` become decibels, 0 = the maximum of the
    stack; of ``beamformed_data`` the envelope is taken first. An envelope written by
    this package stays one. A stack of more than 256 MiB stays in its file, which is
    opened for each frame that is looked at, and 0 dB is then the maximum of the first
    frame.

    Returns
    -------
    UltrasoundImage
        On a Cartesian or a polar grid, as the coordinates of the pixels are. Files
        of 2025 have none: then the pixel size is unknown,
        ``metadata["pixel_size_known"]`` is False.

    Raises
    ------
    FileFormatError
        When the file holds no image, or its pixels form neither kind of grid.
    """
    with open_hdf5(path) as file:
        container = find_container(file, IMAGES, track)
        if container is None:
            raise FileFormatError(f"{path} has no image in the layout of zea")
        names = [n for n in IMAGES if has_member(container.data, n)]
        group, name = container.data, names[0]
        notes: list[str] = []
        is_map = is_group(group, name)
        if is_map:
            group, name = subgroup(group, name), "values"
        own = unpack_notes(read_long_text(file, f"custom/{NAME}"))
        offset = own.get("offset_db", 0.0)
        numbers = Numbers(
            path,
            f"{group.name}/{name}",
            names[0],
            keep_envelope=own.get("values") == "envelope",
            offset_db=offset if isinstance(offset, float) else 0.0,
        )
        stack, shape = numbers.stack(file, notes), numbers.shape(file)
        grid = _grid_of_map(group, shape) if is_map else _limits(container, shape[1:])
        interval = _interval(group, shape[0]) if is_map else None
        values = numbers.values(file)
    image = UltrasoundImage(
        stack,
        values,
        grid or PixelGrid(shape[1:], (1.0, 1.0), (0.0, 0.0)),
        frame_interval_s=interval,
        metadata={"pixel_size_known": grid is not None, "notes": notes},
    )
    return apply_notes(image, {**own, "values": values}) if own else image


def _interval(group: h5py.Group, frames: int) -> float | None:
    """Mean time between frames, where each has its time."""
    if frames < 2 or not has_member(group, "timestamps"):
        return None
    times = read_array(group, "timestamps", ndim=1, max_bytes=2**24).astype(float)
    interval = float(times[-1] - times[0]) / (frames - 1)
    return interval if len(times) == frames and 0 < interval < 1e6 else None


def _limits(found: Container, shape: tuple[int, int]) -> PixelGrid | None:
    """Grid between the limits that some early files state, None without them."""
    if found.scan is None or not all(
        has_member(found.scan, name) for name in ("zlims", "xlims")
    ):
        return None
    axes = []
    for name, count in zip(("zlims", "xlims"), shape, strict=True):
        limits = read_array(found.scan, name, max_bytes=4096).ravel().astype(float)
        if limits.size != 2 or not limits[0] < limits[1] < limits[0] + 1:
            return None
        axes.append(np.linspace(float(limits[0]), float(limits[1]), count))
    return PixelGrid.from_axes(*axes)


def _grid_of_map(
    group: h5py.Group, shape: tuple[int, ...]
) -> PixelGrid | PolarGrid | None:
    """Find the grid that the coordinates of the pixels form, None without them.

    Raises
    ------
    FileFormatError
        When they form neither rows and columns nor rays from one apex, or change
        from frame to frame.
    """
    if not has_member(group, "coordinates"):
        return None
    dataset = find_dataset(group, "coordinates", ndim=(3, 4), max_bytes=None)
    expected = (*shape[1:3], 3)
    one = 8 * math.prod(expected)
    if tuple(dataset.shape[-3:]) != expected or one > MAX_ARRAY_BYTES:
        raise FileFormatError(
            f"{group.file.filename}, {dataset.name} has shape {dataset.shape}; "
            f"{expected} was expected"
        )
    xyz = np.asarray(dataset[0] if dataset.ndim == 4 else dataset[()], np.float64)
    if not np.isfinite(xyz).all():
        raise FileFormatError(f"{group.file.filename}, {dataset.name} is not finite")
    frames = range(len(dataset)) if dataset.ndim == 4 else range(0)
    # Of many places, those of a few frames are enough to see a probe that moves.
    if one * len(frames) > MAX_ARRAY_BYTES:
        frames = range(0, len(frames), -(-len(frames) // _LOOKED_AT))
    for frame in frames:
        if not np.abs(dataset[frame] - xyz).max() <= 1e-6:
            raise FileFormatError(
                f"{group.file.filename}, {dataset.name} changes from frame to frame; "
                "one grid is read"
            )
    grid = _cartesian(1e3 * xyz) or _polar(1e3 * xyz)
    if grid is None:
        raise FileFormatError(
            f"{group.file.filename}, {dataset.name}: the pixels stand neither in even "
            "rows and columns nor on even rays from one apex"
        )
    return grid


def _cartesian(xyz_mm: npt.NDArray[np.float64]) -> PixelGrid | None:
    x, z = xyz_mm[..., 0], xyz_mm[..., 2]
    axial, lateral = x.shape
    if min(axial, lateral) < 2:
        return None
    z_0, x_0 = float(z[0, 0]), float(x[0, 0])
    dz = (float(z[-1, 0]) - z_0) / (axial - 1)
    dx = (float(x[0, -1]) - x_0) / (lateral - 1)
    if dz <= 0 or dx <= 0:
        return None
    grid = PixelGrid((axial, lateral), (dz, dx), (z_0, x_0))
    rows, columns = grid.axes_mm()
    off_z = np.abs(z - rows[:, None]).max() / dz
    off_x = np.abs(x - columns).max() / dx
    return grid if max(off_z, off_x) < _TOLERANCE else None


def _polar(xyz_mm: npt.NDArray[np.float64]) -> PolarGrid | None:
    """Fit rays p = apex + r (cos a, sin a) with even radii r and even angles a."""
    x, z = xyz_mm[..., 0], xyz_mm[..., 2]
    axial, lateral = x.shape
    if min(axial, lateral) < 2:
        return None
    along_z, along_x = z[-1] - z[0], x[-1] - x[0]
    angles = np.arctan2(along_x, along_z)
    step = float(np.hypot(along_z, along_x).mean()) / (axial - 1)
    turn = float(angles[-1] - angles[0]) / (lateral - 1)
    if step <= 0 or turn <= 0:
        return None
    # First pixels: apex + r_0 u(a), linear in the apex and r_0.
    ones, zeros = np.ones(lateral), np.zeros(lateral)
    system = np.concatenate(
        [
            np.stack([ones, zeros, np.cos(angles)], axis=1),
            np.stack([zeros, ones, np.sin(angles)], axis=1),
        ]
    )
    solution = np.linalg.lstsq(system, np.concatenate([z[0], x[0]]), rcond=None)[0]
    apex_z, apex_x, first = (float(value) for value in solution)
    radius = first + step * np.arange(axial)[:, None]
    even = float(angles[0]) + turn * np.arange(lateral)
    off = np.hypot(
        apex_z + radius * np.cos(even) - z, apex_x + radius * np.sin(even) - x
    ).max()
    if first < -1e-3 or off > _TOLERANCE * max(step, abs(turn) * float(radius.max())):
        return None
    return PolarGrid(
        (axial, lateral),
        (max(first, 0.0), step),
        (float(angles[0]), turn),
        (apex_z, apex_x),
    )
