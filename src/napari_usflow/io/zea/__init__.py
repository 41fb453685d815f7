"""HDF5 files of zea (before that usbmd), the toolbox for cognitive ultrasound imaging.

Three layouts are read. That of 2025 has the groups ``data`` and ``scan`` at the root,
or in ``event_0``, ...; the first of 2026 moved the array into a group ``probe``; the
second of 2026 keeps ``data`` and ``scan`` in ``tracks/track_0``, ..., and maps such as
``data/image`` are groups of ``values`` and ``coordinates``. The first event or track
that holds something is taken.

A file that holds raw data and an image gives the image; asked for a number of angles or
for a grid, it beamforms the raw data.

Reference: T. Stevens et al., "zea: A Toolbox for Cognitive Ultrasound Imaging"
(https://github.com/tue-bmd/zea, ``zea/data/spec.py`` and ``zea/data/data_format.py``).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from napari_usflow.errors import FileFormatError
from napari_usflow.io.describe import describe_channels, describe_grid
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import is_hdf5, open_hdf5
from napari_usflow.io.zea.images import read_image
from napari_usflow.io.zea.layout import find_kind
from napari_usflow.io.zea.raw_data import read_channel_data
from napari_usflow.jobs import CancelToken, Event, result_of
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = [
    "IMAGE_KINDS",
    "describe",
    "read",
    "read_channel_data",
    "read_events",
    "read_image",
    "sniff",
]

IMAGE_KINDS = frozenset({"zea-raw", "zea-image"})
"""What :func:`read` can turn into images."""


def sniff(path: FilePath) -> str | None:
    """Name what is best shown of a zea file, or None; reads no data.

    ``zea-image`` with an image, an envelope or beamformed data, else ``zea-raw``.
    """
    if not is_hdf5(path):
        return None
    try:
        with open_hdf5(path) as file:
            return find_kind(file)
    except FileFormatError:
        return None


def read(
    path: FilePath, *, angles: int | None = None, grid: PixelGrid | None = None
) -> list[UltrasoundImage]:
    """Read the image of a file, or beamform its raw data.

    Parameters
    ----------
    path : path
        A zea file.
    angles : int, optional
        Number of transmits to compound, from the raw data.
    grid : PixelGrid, optional
        Pixels on which the raw data are beamformed; the beamformer's default grid
        when omitted.

    Raises
    ------
    FileFormatError
        When the file is damaged or implausible.
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
    if sniff(path) == "zea-image" and angles is None and grid is None:
        return [read_image(path)]
    from napari_usflow.ultrasound.beamform import beamform_events

    image = yield from beamform_events(
        read_channel_data(path),
        grid=grid,
        angles=angles,
        bandwidth=bandwidth,
        device=device,
        token=token,
    )
    return [image]


def describe(path: FilePath) -> dict[str, Any]:
    """Summarise a zea file in plain values, for display or JSON."""
    if sniff(path) == "zea-raw":
        return {"kind": "zea-raw", **describe_channels(read_channel_data(path))}
    image = read_image(path)
    known = image.metadata["pixel_size_known"]
    place = describe_grid(image.grid)
    return {
        "kind": "zea-image",
        "shape": list(image.data.shape),
        "axes": [image.frame_axis, "axial", "lateral"],
        "dtype": str(image.data.dtype),
        "values": image.values,
        "frame_interval_s": image.frame_interval_s,
        **(place if known else {"pixels": place["pixels"], "pixel_mm": None}),
        "notes": image.metadata["notes"],
    }
