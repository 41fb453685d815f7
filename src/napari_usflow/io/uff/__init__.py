"""Ultrasound File Format (UFF) of the UltraSound ToolBox: HDF5 holding its objects.

An object is a group that names its class in the attribute ``class``. Read are
``uff.channel_data`` (plane, diverging and focused waves), ``uff.beamformed_data`` on a
``uff.linear_scan`` or a ``uff.sector_scan``, and those scans alone. MATLAB writes the
files, so that every array has its axes reversed here.

A file that holds both channel data and an image gives the image; asked for a number of
angles or for a grid, it beamforms the channel data.

References: A. Rodriguez-Molares et al., "The UltraSound ToolBox", IEEE International
Ultrasonics Symposium, 2017; the toolbox's ``+uff`` classes and ``+midprocess/das.m``
(https://www.ustb.no); the Python reader ``pyuff_ustb``.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from napari_usflow.errors import FileFormatError
from napari_usflow.io.describe import describe_channels, describe_grid
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import is_hdf5, open_hdf5
from napari_usflow.io.uff.channel_data import read_channel_data
from napari_usflow.io.uff.images import read_grid, read_images
from napari_usflow.io.uff.objects import objects_of
from napari_usflow.jobs import CancelToken, Event, result_of
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = [
    "IMAGE_KINDS",
    "describe",
    "read",
    "read_channel_data",
    "read_events",
    "read_grid",
    "read_images",
    "sniff",
]

IMAGE_KINDS = frozenset({"uff-channel-data", "uff-image"})
"""What :func:`read` can turn into images."""

_KINDS = {
    "uff-image": ("uff.beamformed_data",),
    "uff-channel-data": ("uff.channel_data",),
    "uff-scan": ("uff.linear_scan", "uff.sector_scan"),
}


def sniff(path: FilePath) -> str | None:
    """Name what is best shown of a UFF file, or None; reads attributes only.

    ``uff-image`` with beamformed data, else ``uff-channel-data``, else ``uff-scan``.
    """
    if not is_hdf5(path):
        return None
    try:
        with open_hdf5(path) as file:
            for kind, classes in _KINDS.items():
                if objects_of(file, *classes):
                    return kind
    except FileFormatError:
        pass
    return None


def read(
    path: FilePath, *, angles: int | None = None, grid: PixelGrid | None = None
) -> list[UltrasoundImage]:
    """Read the beamformed images, or beamform the channel data.

    Parameters
    ----------
    path : path
        A UFF file.
    angles : int, optional
        Number of waves to compound, from the channel data.
    grid : PixelGrid, optional
        Pixels on which the channel data are beamformed; without it those of a linear
        scan in the file, else the beamformer's default grid.

    Raises
    ------
    FileFormatError
        Also for a file that holds a scan only.
    ValueError
        When ``angles`` or ``grid`` do not fit the file.
    """
    return result_of(read_events(path, angles=angles, grid=grid))


def read_events(
    path: FilePath,
    *,
    angles: int | None = None,
    grid: PixelGrid | None = None,
    bandwidth: float | None = 1.0,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, list[UltrasoundImage]]:
    """Do what :func:`read` does, reporting the progress of beamforming."""
    kind = sniff(path)
    if kind == "uff-image" and angles is None and grid is None:
        return read_images(path)
    if kind in IMAGE_KINDS:
        from napari_usflow.ultrasound.beamform import beamform_events

        data = read_channel_data(path)
        if grid is None and not data.is_focused:
            found = read_grid(path)
            grid = found if isinstance(found, PixelGrid) else None
        image = yield from beamform_events(
            data,
            grid=grid,
            angles=angles,
            bandwidth=bandwidth,
            device=device,
            token=token,
        )
        return [image]
    raise FileFormatError(
        f"{path} ({kind or 'no UFF file'}) holds no image; open a UFF file with "
        "channel data or beamformed data"
    )


def describe(path: FilePath) -> dict[str, Any]:
    """Summarise a UFF file in plain values, for display or JSON."""
    kind = sniff(path)
    if kind == "uff-channel-data":
        return {"kind": kind, **describe_channels(read_channel_data(path))}
    if kind == "uff-scan":
        found = read_grid(path)
        return {"kind": kind, **({} if found is None else describe_grid(found))}
    image = read_images(path)[0]
    return {
        "kind": kind,
        "shape": list(image.data.shape),
        "axes": [image.frame_axis, "axial", "lateral"],
        "dtype": str(image.data.dtype),
        "values": image.values,
        "frame_interval_s": image.frame_interval_s,
        **describe_grid(image.grid),
        "notes": image.metadata["notes"],
    }
