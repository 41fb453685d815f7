"""Files of raw channel data, for beamforming them in another way than by default."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from napari_usflow import io
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.ultrasound.beamform.params import BeamformParams
from napari_usflow.ultrasound.beamform.stack import beamform_stack_events
from napari_usflow.ultrasound.data import ChannelData, PixelGrid, UltrasoundImage

__all__ = ["RAW_KINDS", "Acquisition", "open_acquisition"]

RAW_KINDS = frozenset(
    {
        "picmus-dataset",
        "pybf",
        "cubdl",
        "uff-channel-data",
        "zea-raw",
        "matlab-must",
        "matlab-picmus",
    }
)
"""Kinds of file that hold nothing but channel data."""


@dataclass(frozen=True)
class Acquisition:
    """Channel data, and the pixels that come with them.

    Attributes
    ----------
    data : ChannelData
        The signals, lazy where the file allows it.
    grid : PixelGrid, optional
        Of a PICMUS scan file beside a dataset, or of a scan within a UFF file.
    """

    data: ChannelData
    grid: PixelGrid | None

    def beamform_events(
        self,
        params: BeamformParams,
        *,
        device: str = "auto",
        token: CancelToken | None = None,
    ) -> Generator[Event, None, UltrasoundImage]:
        """Beamform the first frame, and any other one when it is looked at.

        See :func:`~napari_usflow.ultrasound.beamform.stack.beamform_stack_events`.
        """
        data = params.channel_data(self.data)
        return beamform_stack_events(
            data,
            grid=params.grid(data, self.grid),
            angles=params.angles(data),
            f_number=params.f_number,
            bandwidth=params.receive_bandwidth,
            device=device,
            token=token,
        )


def open_acquisition(
    path: FilePath,
    *,
    names: Mapping[str, Any] | None = None,
    acquisition: str | None = None,
) -> Acquisition:
    """Open a file of channel data without reading them.

    Parameters
    ----------
    path : path
        A file of one of :data:`RAW_KINDS`, or a MATLAB file with ``names``.
    names, acquisition
        As for :func:`napari_usflow.io.read`.

    Raises
    ------
    FileFormatError
        As :func:`napari_usflow.io.read_channel_data`.
    """
    data = io.read_channel_data(path, names=names, acquisition=acquisition)
    return Acquisition(data, None if data.is_focused else _stored_grid(path))


def _stored_grid(path: FilePath) -> PixelGrid | None:
    from napari_usflow.io import picmus, uff

    kind = io.sniff(path)
    if kind == "picmus-dataset":
        scan = picmus.find_scan(path)
        return None if scan is None else picmus.read_scan(scan)
    if kind == "uff-channel-data":
        found = uff.read_grid(path)
        return found if isinstance(found, PixelGrid) else None
    return None
