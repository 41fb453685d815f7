"""Files of the plane-wave imaging challenge PICMUS (IEEE IUS 2016).

An HDF5 file holds one group ``/US/US_DATASET0000`` of one of four kinds: a *dataset*
(channel data, RF or IQ), a *scan* (pixel axes), a *phantom* (see
:class:`Phantom`) or an *image* (envelopes compounded from
several numbers of plane waves). The kind is told by what the group holds, never by the
file's name. The files are written by MATLAB, so that every array has its axes reversed
here: images are (image, lateral, axial).

``initial_time`` is the time from the transmit event, when the wave passes x = z = 0,
to the first sample: sample n was taken at t = initial_time + n / fs, as in the
challenge's own beamformers (other readers add or ignore it).

Reference: H. Liebgott et al., "Plane-wave imaging challenge in medical ultrasound",
IEEE International Ultrasonics Symposium, 2016.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from napari_usflow.errors import FileFormatError
from napari_usflow.io.describe import describe_channels, describe_grid
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.picmus.dataset import CENTER_FREQUENCY_HZ, read_channel_data
from napari_usflow.io.picmus.image import find_scan, read_image, read_scan
from napari_usflow.io.picmus.layout import sniff
from napari_usflow.io.picmus.phantom import (
    Cyst,
    Phantom,
    SpeckleRegion,
    describe_phantom,
    read_phantom,
)
from napari_usflow.jobs import CancelToken, Event, result_of
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = [
    "CENTER_FREQUENCY_HZ",
    "IMAGE_KINDS",
    "Cyst",
    "Phantom",
    "SpeckleRegion",
    "describe",
    "find_scan",
    "read",
    "read_channel_data",
    "read_events",
    "read_image",
    "read_phantom",
    "read_scan",
    "sniff",
]

IMAGE_KINDS = frozenset({"picmus-dataset", "picmus-image"})
"""What :func:`read` can turn into images."""


def read(
    path: FilePath, *, angles: int | None = None, grid: PixelGrid | None = None
) -> list[UltrasoundImage]:
    """Read images, beamforming a dataset on the grid of its scan file.

    Parameters
    ----------
    path : path
        A file of kind *dataset* or *image*.
    angles : int, optional
        Number of plane waves: to compound, or, of an image file, the only frame kept.
    grid : PixelGrid, optional
        Pixels of a beamformed image; without it those of :func:`find_scan`, else the
        default grid of the beamformer.

    Raises
    ------
    FileFormatError
        Also for a scan or a phantom, which hold no image.
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
    """Do what :func:`read` does, reporting the progress of beamforming.

    ``device`` and ``token`` are those of
    :func:`~napari_usflow.ultrasound.beamform.beamform_events`.
    """
    kind = sniff(path)
    if kind == "picmus-image":
        if grid is not None:
            raise ValueError(
                f"{path} is an image on its own grid; grid is for raw data"
            )
        image = read_image(path)
        if angles is None:
            return [image]
        counts = list(image.metadata["plane_waves"])
        if angles not in counts:
            raise ValueError(f"{path} holds {counts} plane waves, not {angles}")
        at = counts.index(angles)
        metadata = {**image.metadata, "plane_waves": [angles]}
        return [image.with_data(image.data[at : at + 1], metadata=metadata)]
    if kind == "picmus-dataset":
        from napari_usflow.ultrasound.beamform import beamform_events

        channel_data = read_channel_data(path)
        scan = find_scan(path) if grid is None else None
        if scan is not None:
            grid = read_scan(scan)
            metadata = {**channel_data.metadata, "scan": str(scan)}
            channel_data = replace(channel_data, metadata=metadata)
        image = yield from beamform_events(
            channel_data,
            grid=grid,
            angles=angles,
            bandwidth=bandwidth,
            device=device,
            token=token,
        )
        return [image]
    raise FileFormatError(
        f"{path} ({kind or 'no PICMUS file'}) holds no image; "
        "open a PICMUS dataset or image file"
    )


def describe(path: FilePath) -> dict[str, Any]:
    """Summarise a PICMUS file in plain values, for display or JSON."""
    kind = sniff(path)
    if kind == "picmus-dataset":
        scan = find_scan(path)
        summary = describe_channels(read_channel_data(path))
        return {"kind": kind, **summary, "scan": None if scan is None else str(scan)}
    if kind == "picmus-scan":
        return {"kind": kind, **describe_grid(read_scan(path))}
    if kind == "picmus-phantom":
        return {"kind": kind, **describe_phantom(read_phantom(path))}
    image = read_image(path, values="envelope")
    return {
        "kind": kind,
        "title": image.metadata["title"],
        "algorithm": image.metadata["algorithm"],
        "shape": list(image.data.shape),
        "axes": [image.frame_axis, "axial", "lateral"],
        "dtype": str(image.data.dtype),
        "values": "envelope",
        "plane_waves": image.metadata["plane_waves"],
        **describe_grid(image.grid),
    }
