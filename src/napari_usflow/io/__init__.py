"""Reading files: one module a format, told apart by what a file holds.

A format is a module (or package) with ``sniff(path)``, which names the kind of a file
without reading its data or gives None; ``read(path, angles=..., grid=...)``, which
gives images; ``describe(path)``, a summary in plain values; ``IMAGE_KINDS``, the kinds
that ``read`` takes; and, where it holds raw data, ``read_channel_data(path)`` and
``read_events``, which beamforms as ``read`` does and reports progress.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Protocol

from napari_usflow.errors import FileFormatError
from napari_usflow.io import (
    clarius,
    cubdl,
    dicom,
    matlab,
    picmus,
    pybf,
    raster,
    uff,
    video,
    zarr_stack,
    zea,
)
from napari_usflow.io.guards.file_checks import (
    FilePath,
    is_dicom,
    regular_file,
    starting_bytes,
    starts_like,
)
from napari_usflow.io.guards.hdf5 import is_hdf5, member_names, open_hdf5
from napari_usflow.jobs import CancelToken, Event, result_of
from napari_usflow.ultrasound.data import (
    ChannelData,
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)

__all__ = [
    "FORMATS",
    "IMAGE_KINDS",
    "describe",
    "read",
    "read_channel_data",
    "read_events",
    "sniff",
]


class Format(Protocol):
    """What a format's module offers."""

    IMAGE_KINDS: frozenset[str]

    def sniff(self, path: FilePath) -> str | None: ...
    def describe(self, path: FilePath) -> dict[str, Any]: ...
    def read(
        self,
        path: FilePath,
        *,
        angles: int | None = None,
        grid: Any = None,
    ) -> list[UltrasoundImage]: ...


FORMATS: dict[str, Format] = {
    "picmus": picmus,
    "pybf": pybf,
    "cubdl": cubdl,
    "uff": uff,
    "zea": zea,
    "matlab": matlab,
    "dicom": dicom,
    "clarius": clarius,
    "video": video,
    "raster": raster,
}
"""Every format of files by name, in the order in which they are asked."""

IMAGE_KINDS = zarr_stack.IMAGE_KINDS.union(*(f.IMAGE_KINDS for f in FORMATS.values()))
"""The kinds of file that :func:`read` turns into images."""

_READABLE = (
    "PICMUS, pybf, CUBDL, UFF and zea HDF5 files, MATLAB files, DICOM ultrasound, "
    "Clarius exports, MP4 and AVI clips, PNG, TIFF and NumPy images, and the .zarr "
    "stacks written here"
)


def sniff(path: FilePath) -> str | None:
    """Name the kind of a file, such as ``picmus-image``, or None if it is not ours.

    Never raises, reads no data and takes milliseconds, whatever it is given.
    """
    # Any file may be dropped on a window, and HDF5 has many ways to fail on one.
    try:
        if Path(path).is_dir():
            return zarr_stack.sniff(path)
        for format_ in FORMATS.values():
            kind = format_.sniff(path)
            if kind is not None:
                return kind
    except Exception:  # noqa: BLE001
        pass
    return None


def _format_of(path: FilePath) -> Format:
    if zarr_stack.sniff(path) is not None:
        return zarr_stack
    path = regular_file(path)
    for format_ in FORMATS.values():
        if format_.sniff(path) is not None:
            return format_
    if is_hdf5(path):
        with open_hdf5(path) as file:
            names = member_names(file, 6)
        found = f"an HDF5 file with {', '.join(names) or 'nothing'} at its root"
    elif is_dicom(path):
        found = "a DICOM file that is not of an ultrasound class"
    else:
        found = starts_like(starting_bytes(path))
    raise FileFormatError(
        f"{path} is not of a known format ({found}); read: {_READABLE}"
    )


def read(
    path: FilePath,
    *,
    angles: int | None = None,
    grid: PixelGrid | PolarGrid | None = None,
    bandwidth: float | None = 1.0,
    acquisition: str | None = None,
    names: Mapping[str, Any] | None = None,
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
        the scan file beside it, and other raw data the beamformer's default grid.
    bandwidth : float or None
        Width of the receive filter, in carrier frequencies, for raw data; None for
        none. See :func:`~napari_usflow.ultrasound.beamform.beamform`.
    acquisition : str, optional
        Of a CUBDL file, which it is, such as ``MYO003``; where its name does not say.
    names : mapping, optional
        Of a MATLAB file, which variable is what; see
        :class:`~napari_usflow.io.matlab.MatlabNames`.

    Returns
    -------
    list of UltrasoundImage
        A PICMUS image file is one image whose frames are its numbers of plane waves,
        the last the largest (``frame_axis`` ``plane_waves``).

    Raises
    ------
    FileFormatError
        When the file is missing, damaged, unknown or holds no image; the text says
        what was found and what can be read.
    ValueError
        When ``angles``, ``grid``, ``acquisition`` or ``names`` do not fit the file.
    """
    events = read_events(
        path,
        angles=angles,
        grid=grid,
        bandwidth=bandwidth,
        acquisition=acquisition,
        names=names,
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
) -> Generator[Event, None, list[UltrasoundImage]]:
    """Do what :func:`read` does, reporting the progress of beamforming.

    Parameters
    ----------
    path, angles, grid, bandwidth, acquisition, names
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
    format_ = _format_of(path)
    which = _which(format_, path, acquisition, names)
    events = getattr(format_, "read_events", None)
    if events is None:
        return format_.read(path, angles=angles, grid=grid)
    images: list[UltrasoundImage] = yield from events(
        path,
        angles=angles,
        grid=grid,
        bandwidth=bandwidth,
        device=device,
        token=token,
        **which,
    )
    return images


def _which(
    format_: Format,
    path: FilePath,
    acquisition: str | None,
    names: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Give the arguments that say what a file holds, where it does not itself."""
    said: dict[str, Any] = {}
    for name, value, owner, kind in (
        ("acquisition", acquisition, cubdl, "CUBDL"),
        ("names", names, matlab, "MATLAB"),
    ):
        if value is None:
            continue
        if format_ is not owner:
            raise ValueError(
                f"{path} is {format_.sniff(path)}; {name} is for {kind} files"
            )
        said[name] = value
    return said


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
    """
    format_ = _format_of(path)
    reader = getattr(format_, "read_channel_data", None)
    if reader is None:
        raise FileFormatError(
            f"{path} is {format_.sniff(path)}: it has no channel data"
        )
    data: ChannelData = reader(path, **_which(format_, path, acquisition, names))
    return data


def describe(
    path: FilePath, *, names: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Summarise a file in plain values that JSON can hold.

    Parameters
    ----------
    path : path
        Of any known format.
    names : mapping, optional
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
        When ``names`` do not fit the file.
    """
    format_ = _format_of(path)
    summary = format_.describe(path, **_which(format_, path, None, names))
    place = Path(path)
    files = [f for f in place.rglob("*") if f.is_file()] if place.is_dir() else [place]
    size = sum(file.stat().st_size for file in files)
    return {"file": str(path), "bytes": size, **summary}
