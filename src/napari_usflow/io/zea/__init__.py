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

from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.guards.hdf5 import has_member, open_hdf5
from napari_usflow.io.opened import Opened
from napari_usflow.io.zea.images import read_image
from napari_usflow.io.zea.layout import find_container, find_kind
from napari_usflow.io.zea.raw_data import read_channel_data

__all__ = [
    "OPTIONS",
    "TITLE",
    "detect",
    "open_file",
    "read_channel_data",
    "read_image",
]

TITLE = "zea HDF5 files"
OPTIONS = ("raw",)


def detect(file: SourceFile) -> str | None:
    """Name what is best shown of a zea file, or None; reads no data.

    ``zea-image`` with an image, an envelope or beamformed data, else ``zea-raw``.
    """
    if not file.is_hdf5:
        return None
    with open_hdf5(file) as hdf5:
        return find_kind(hdf5)


def open_file(file: SourceFile, *, raw: bool = False) -> Opened:
    """Open the image of a file, or with ``raw`` its raw data first."""
    with open_hdf5(file) as hdf5:
        found, kind = find_container(hdf5), find_kind(hdf5)
        has_raw = found is not None and has_member(found.data, "raw_data")
    if kind == "zea-image" and not (raw and has_raw):
        return Opened([read_image(file)])
    return Opened(channel_data=read_channel_data(file), kind="zea-raw")
