"""HDF5 files of zea (before that usbmd), the toolbox for cognitive ultrasound imaging.

Three layouts are read. That of 2025 has the groups ``data`` and ``scan`` at the root,
or in ``event_0``, ...; the first of 2026 moved the array into a group ``probe``; the
second of 2026 keeps ``data`` and ``scan`` in ``tracks/track_0``, ..., and maps such as
``data/image`` are groups of ``values`` and ``coordinates``.

A file that holds raw data and an image gives the image; asked for a number of angles or
for a grid, it beamforms the raw data. Each event or track with an image gives one. Of
raw data the first track is beamformed, and of its transmits those of the most usual
centre frequency; ``acquisition`` names another one, such as ``track_1/5.2MHz``.

Reference: T. Stevens et al., "zea: A Toolbox for Cognitive Ultrasound Imaging"
(https://github.com/tue-bmd/zea, ``zea/data/spec.py`` and ``zea/data/data_format.py``).
"""

from __future__ import annotations

from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.guards.hdf5 import has_member, open_hdf5
from napari_usflow.io.opened import Opened
from napari_usflow.io.zea.images import read_image
from napari_usflow.io.zea.layout import (
    IMAGES,
    find_containers,
    find_kind,
    parse_acquisition,
)
from napari_usflow.io.zea.raw_data import read_channel_data

__all__ = [
    "OPTIONS",
    "PATTERNS",
    "TITLE",
    "detect",
    "open_file",
    "read_channel_data",
    "read_image",
]

TITLE = "zea HDF5 files"
OPTIONS = ("raw", "acquisition")
PATTERNS = ("*.hdf5", "*.h5")


def detect(file: SourceFile) -> str | None:
    """Name what is best shown of a zea file, or None; reads no data.

    ``zea-image`` with an image, an envelope or beamformed data, else ``zea-raw``.
    """
    if not file.is_hdf5:
        return None
    with open_hdf5(file) as hdf5:
        return find_kind(hdf5)


def open_file(
    file: SourceFile, *, raw: bool = False, acquisition: str | None = None
) -> Opened:
    """Open the images of a file, or with ``raw`` its raw data first.

    Parameters
    ----------
    file : SourceFile
        A zea file.
    raw : bool
        Take the raw data of a file that holds images as well.
    acquisition : str, optional
        Which track, and which centre frequency of its raw data.

    Raises
    ------
    FileFormatError
        When the file is damaged, or holds what is not read.
    ValueError
        When the file has no such acquisition.
    """
    track, frequency_hz = parse_acquisition(acquisition)
    with open_hdf5(file) as hdf5:
        containers = [c for c in find_containers(hdf5) if not track or c.name == track]
        imaged = [
            c for c in containers if any(has_member(c.data, name) for name in IMAGES)
        ]
        has_raw = any(has_member(c.data, "raw_data") for c in containers)
        tracks = [c.name for c in imaged]
    if not tracks or (has_raw and (raw or frequency_hz is not None)):
        data = read_channel_data(file, track, frequency_hz)
        return Opened(channel_data=data, kind="zea-raw")
    images = [read_image(file, name) for name in tracks]
    if len(images) > 1:
        stem = file.path.stem
        images = [
            image.with_data(
                image.data, metadata={"name": f"{stem} [{name}]", **image.metadata}
            )
            for image, name in zip(images, tracks, strict=True)
        ]
    return Opened(images)
