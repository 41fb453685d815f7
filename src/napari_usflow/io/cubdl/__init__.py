"""Acquisitions of the challenge on beamforming with deep learning, CUBDL (IEEE 2020).

Seven institutions contributed plane waves and focused beams, in flat HDF5 files named
after institution and number, such as ``MYO003.hdf5``. Each stored angles, times and
positions in its own way; :mod:`~napari_usflow.io.cubdl.conventions` says how. The data
come under a signed agreement (https://doi.org/10.21227/f0hn-8f92) and are no part of
this project.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from napari_usflow.io.cubdl.channel_data import read_channel_data
from napari_usflow.io.cubdl.conventions import CONVENTIONS, INSTITUTIONS, Conventions
from napari_usflow.io.cubdl.identify import sniff
from napari_usflow.io.describe import describe_channels
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.jobs import CancelToken, Event, result_of
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage

__all__ = [
    "CONVENTIONS",
    "IMAGE_KINDS",
    "INSTITUTIONS",
    "Conventions",
    "describe",
    "read",
    "read_channel_data",
    "read_events",
    "sniff",
]

IMAGE_KINDS = frozenset({"cubdl"})
"""What :func:`read` can turn into images."""


def read(
    path: FilePath,
    *,
    angles: int | None = None,
    grid: PixelGrid | PolarGrid | None = None,
    acquisition: str | None = None,
) -> list[UltrasoundImage]:
    """Beamform an acquisition over the depths that the challenge shows.

    Parameters
    ----------
    path : path
        A file of this layout.
    angles : int, optional
        Number of plane waves to compound; all when omitted.
    grid : PixelGrid or PolarGrid, optional
        Where to form the image. Without it plane waves take the pixels of
        :func:`~napari_usflow.ultrasound.beamform.default_grid` and focused beams those
        of :func:`~napari_usflow.ultrasound.beamform.scanline.line_grid`.
    acquisition : str, optional
        Which it is, such as ``MYO003``, where its name does not say it.

    Returns
    -------
    list of UltrasoundImage
        One image of one frame; on a PolarGrid where the beams make a sector.
    """
    events = read_events(path, angles=angles, grid=grid, acquisition=acquisition)
    return result_of(events)


def read_events(
    path: FilePath,
    *,
    angles: int | None = None,
    grid: PixelGrid | PolarGrid | None = None,
    bandwidth: float | None = 1.0,
    device: str = "auto",
    token: CancelToken | None = None,
    acquisition: str | None = None,
) -> Generator[Event, None, list[UltrasoundImage]]:
    """Do what :func:`read` does, reporting progress on a device of one's choice."""
    from napari_usflow.ultrasound.beamform import beamform_events

    data = read_channel_data(path, acquisition=acquisition)
    image = yield from beamform_events(
        data,
        grid=grid,
        angles=angles,
        bandwidth=bandwidth,
        device=device,
        token=token,
    )
    return [image]


def describe(path: FilePath, *, acquisition: str | None = None) -> dict[str, Any]:
    """Summarise the acquisition in plain values, for display or JSON."""
    data = read_channel_data(path, acquisition=acquisition)
    return {
        "kind": "cubdl",
        "acquisition": data.metadata["acquisition"],
        **describe_channels(data),
    }
