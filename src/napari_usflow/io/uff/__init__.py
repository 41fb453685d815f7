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

from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.guards.hdf5 import open_hdf5
from napari_usflow.io.opened import Opened
from napari_usflow.io.uff.channel_data import read_channel_data
from napari_usflow.io.uff.images import read_grid, read_images
from napari_usflow.io.uff.objects import objects_of

__all__ = [
    "OPTIONS",
    "PATTERNS",
    "TITLE",
    "detect",
    "open_file",
    "read_channel_data",
    "read_grid",
    "read_images",
]

TITLE = "UFF HDF5 files"
PATTERNS = ("*.uff",)
OPTIONS = ("raw",)

_KINDS = {
    "uff-image": ("uff.beamformed_data",),
    "uff-channel-data": ("uff.channel_data",),
    "uff-scan": ("uff.linear_scan", "uff.sector_scan"),
}


def detect(file: SourceFile) -> str | None:
    """Name what is best shown of a UFF file, or None; reads attributes only.

    ``uff-image`` with beamformed data, else ``uff-channel-data``, else ``uff-scan``.
    """
    return next(iter(_kinds(file)), None) if file.is_hdf5 else None


def _kinds(file: SourceFile) -> list[str]:
    """List what there is in a file, what is best shown first."""
    with open_hdf5(file) as hdf5:
        return [k for k, classes in _KINDS.items() if objects_of(hdf5, *classes)]


def open_file(file: SourceFile, *, raw: bool = False) -> Opened:
    """Open what is best shown of a file, or with ``raw`` its channel data first."""
    kinds = _kinds(file)
    if "uff-channel-data" in kinds and (raw or "uff-image" not in kinds):
        data = read_channel_data(file)
        grid = None if data.is_focused else read_grid(file)
        return Opened(channel_data=data, grid=grid, kind="uff-channel-data")
    if "uff-image" in kinds:
        return Opened(read_images(file))
    return Opened(
        grid=read_grid(file),
        instead=f"{file} (uff-scan) holds no image; open a UFF file with channel data "
        "or beamformed data",
    )
