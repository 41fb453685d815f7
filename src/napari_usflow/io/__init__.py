"""Reading files: each format opens its own, and everything that follows is done here.

A format is a module (or package) with a ``TITLE``, ``detect(file)``, which names the
kind of a file without reading its data or returns None, and ``open_file(file)``, which
returns what the file holds as :class:`~napari_usflow.io.opened.Opened`. It has a line
in :data:`~napari_usflow.io.formats.FORMATS`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_usflow.errors import FileFormatError
from napari_usflow.io.describe import summary
from napari_usflow.io.formats import detect, open_file
from napari_usflow.io.guards.file_checks import FilePath, source_file
from napari_usflow.io.meaning import refuse_question
from napari_usflow.io.opened import Opened
from napari_usflow.jobs import CancelToken, Event, result_of
from napari_usflow.ultrasound.beamform import beamform_events
from napari_usflow.ultrasound.beamform.params import BeamformParams
from napari_usflow.ultrasound.beamform.stack import beamform_stack_events
from napari_usflow.ultrasound.data import (
    ChannelData,
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)

__all__ = [
    "describe",
    "detect",
    "image_events",
    "open_file",
    "read",
    "read_channel_data",
    "read_events",
]


def image_events(
    opened: Opened,
    params: BeamformParams | None = None,
    *,
    angles: int | None = None,
    grid: PixelGrid | PolarGrid | None = None,
    on_demand: bool = False,
    undecided: bool = False,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, list[UltrasoundImage]]:
    """Form the images of an opened file, beamforming channel data.

    Parameters
    ----------
    opened : Opened
        From :func:`open_file`.
    params : BeamformParams, optional
        How channel data are beamformed: by default all transmits, on the pixels that
        come with them, else on the beamformer's default grid.
    angles, grid
        As for :func:`read`; they go before what ``params`` says.
    on_demand : bool
        Beamform the first frame of a stack now, and any other one when it is looked at.
    undecided : bool
        Return images of which it is a question what the numbers mean
        (``metadata["question"]``) too, to be shown.
    device, token
        As for :func:`read_events`.

    Raises
    ------
    FileFormatError
        When the file holds nothing to make an image of, or it is a question what its
        numbers mean.
    ValueError
        When ``params``, ``angles`` or ``grid`` do not fit the file.
    """
    data = opened.channel_data
    if data is None:
        return _stored_images(opened, angles, grid, undecided)
    params = params or BeamformParams()
    data = params.channel_data(data)
    if grid is None:
        grid = params.grid(data, opened.grid)
        data = replace(data, metadata={**data.metadata, **opened.grid_metadata})
    form = beamform_stack_events if on_demand else beamform_events
    image = yield from form(
        data,
        grid=grid,
        angles=params.angles(data) if angles is None else angles,
        f_number=params.f_number,
        bandwidth=params.receive_bandwidth,
        device=device,
        token=token,
    )
    return [image]


def _stored_images(
    opened: Opened,
    angles: int | None,
    grid: PixelGrid | PolarGrid | None,
    undecided: bool,
) -> list[UltrasoundImage]:
    """Return the images of a file; of several numbers of plane waves, the one asked."""
    if not opened.images:
        raise FileFormatError(opened.instead)
    if not undecided:
        for image in opened.images:
            refuse_question(image)
    if angles is None and grid is None:
        return list(opened.images)
    image = opened.images[0]
    if image.frame_axis != "plane_waves":
        raise ValueError(f"{opened.file} is an image; angles and grid are for raw data")
    if grid is not None:
        raise ValueError(
            f"{opened.file} is an image on its own grid; grid is for raw data"
        )
    counts = list(image.metadata["plane_waves"])
    if angles not in counts:
        raise ValueError(f"{opened.file} holds {counts} plane waves, not {angles}")
    at = counts.index(angles)
    metadata = {**image.metadata, "plane_waves": [angles]}
    return [image.with_data(image.data[at : at + 1], metadata=metadata)]


def read(
    path: FilePath,
    *,
    angles: int | None = None,
    grid: PixelGrid | PolarGrid | None = None,
    bandwidth: float | None = 1.0,
    acquisition: str | None = None,
    names: Mapping[str, Any] | None = None,
    values: str | None = None,
    value_range: tuple[float, float] | None = None,
    as_grey: bool = False,
) -> list[UltrasoundImage]:
    """Read the images of a file, beamforming raw data.

    Parameters
    ----------
    path : path
        Of any known format.
    angles : int, optional
        Number of plane waves to compound; all when omitted.
    grid : PixelGrid or PolarGrid, optional
        Pixels on which raw data are beamformed. Without it a PICMUS dataset takes
        the scan file beside it, a UFF file its own linear scan, and other raw data the
        beamformer's default grid.
    bandwidth : float or None
        Width of the receive filter, in carrier frequencies, for raw data; None for
        none. See :func:`~napari_usflow.ultrasound.beamform.beamform`.
    acquisition : str, optional
        Of a CUBDL file, which it is, such as ``MYO003``; where its name does not say.
    names : mapping, optional
        Of a MATLAB file, which variable is what; see
        :class:`~napari_usflow.io.matlab.MatlabNames`.
    values : {"db", "envelope", "display", "rf"}, optional
        What the numbers are, of a file that does not say and where they do not tell;
        see :mod:`napari_usflow.ultrasound.value_rule`.
    value_range : (float, float), optional
        Which of them are black and white.
    as_grey : bool
        Take the colours of DICOM files, videos and pictures for a tint or marks, and
        none of them for colour Doppler.

    Returns
    -------
    list of UltrasoundImage
        A PICMUS image file is one image whose frames are its numbers of plane waves,
        the last the largest (``frame_axis`` ``plane_waves``).

    Raises
    ------
    FileFormatError
        When the file is missing, damaged, unknown or holds no image, or its numbers
        may mean several things; the text says what was found and what can be read, or
        how to say what they are.
    ValueError
        When ``angles``, ``grid``, ``acquisition``, ``names``, ``values`` or
        ``value_range`` do not fit the file.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> np.save("frames.npy", np.full((3, 20, 10), -30.0, np.float32))
    >>> (image,) = usf.read("frames.npy")
    >>> image.values, image.data.shape
    ('db', (3, 20, 10))
    """
    events = read_events(
        path,
        angles=angles,
        grid=grid,
        bandwidth=bandwidth,
        acquisition=acquisition,
        names=names,
        values=values,
        value_range=value_range,
        as_grey=as_grey,
    )
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
    names: Mapping[str, Any] | None = None,
    values: str | None = None,
    value_range: tuple[float, float] | None = None,
    as_grey: bool = False,
) -> Generator[Event, None, list[UltrasoundImage]]:
    """Do what :func:`read` does, reporting the progress of beamforming.

    Parameters
    ----------
    path, angles, grid, bandwidth, acquisition, names, values, value_range, as_grey
        As for :func:`read`.
    device : str
        Where to beamform; see :func:`~napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Looked at every few milliseconds while beamforming;
        :class:`~napari_usflow.errors.Cancelled` is raised when it is set.

    Yields
    ------
    Event
        :class:`~napari_usflow.jobs.Progress` for raw data, nothing for images.
    """
    file = source_file(path)
    raw = angles is not None or grid is not None
    params = BeamformParams(bandwidth=bandwidth or 0.0)
    with file.kept_open():
        opened = open_file(
            file,
            raw=raw,
            acquisition=acquisition,
            names=names,
            values=values,
            value_range=value_range,
            as_grey=as_grey,
        )
        events = image_events(
            opened, params, angles=angles, grid=grid, device=device, token=token
        )
        return (yield from events)


def read_channel_data(
    path: FilePath,
    *,
    acquisition: str | None = None,
    names: Mapping[str, Any] | None = None,
) -> ChannelData:
    """Read the raw signals of a file; the samples stay in it until they are indexed.

    Parameters
    ----------
    path : path
        A file of raw data.
    acquisition, names
        As for :func:`read`.

    Returns
    -------
    ChannelData
        Samples (frames, transmits, channels, samples), float32 RF or complex64 IQ.

    Raises
    ------
    FileFormatError
        As :func:`read`, and when the file holds no raw signals.

    Examples
    --------
    >>> import napari_usflow as usf
    >>> data = usf.read_channel_data("PICMUS_dataset_rf.hdf5")  # doctest: +SKIP
    >>> image = usf.beamform(data, angles=11)  # doctest: +SKIP
    """
    opened = open_file(path, raw=True, acquisition=acquisition, names=names)
    if opened.channel_data is None:
        raise FileFormatError(f"{path} is {opened.kind}: it has no channel data")
    return opened.channel_data


def describe(
    path: FilePath,
    *,
    names: Mapping[str, Any] | None = None,
    values: str | None = None,
    value_range: tuple[float, float] | None = None,
    as_grey: bool = False,
) -> dict[str, Any]:
    """Summarise a file in plain values that JSON can hold.

    No picture is unpacked, and one frame of a DICOM file or a video.

    Parameters
    ----------
    path : path
        Of any known format.
    names, values, value_range, as_grey
        As for :func:`read`.

    Returns
    -------
    dict
        ``file``, ``bytes``, ``kind`` and what the kind adds: ``shape`` and ``axes``,
        ``dtype``, ``sampling_mhz``, ``angles_deg``, ``depth_range_mm``, ``pixel_mm``
        (axial, lateral), ``plane_waves``, ``notes``, ...

    Raises
    ------
    FileFormatError
        As :func:`read`; scans and phantoms are described too.
    ValueError
        When ``names``, ``values`` or ``value_range`` do not fit the file.
    """
    opened = open_file(
        path,
        # What the numbers are said to be is held against them.
        outline=values is None and value_range is None,
        names=names,
        values=values,
        value_range=value_range,
        as_grey=as_grey,
    )
    place = Path(path)
    files = [f for f in place.rglob("*") if f.is_file()] if place.is_dir() else [place]
    size = sum(file.stat().st_size for file in files)
    return {"file": str(path), "bytes": size, **summary(opened)}
