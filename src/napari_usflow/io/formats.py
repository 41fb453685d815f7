"""The registry of formats: which they are, and which of them a file is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import (
    FilePath,
    SourceFile,
    is_dicom,
    regular_file,
    source_file,
    starts_like,
)
from napari_usflow.io.guards.hdf5 import member_names, open_hdf5
from napari_usflow.io.meaning import Stated, settle
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.data import ChannelData, UltrasoundImage

T = TypeVar("T", UltrasoundImage, ChannelData)

__all__ = ["FORMATS", "Format", "detect", "is_left_to_others", "open_file"]

_ROOM = "napari_usflow.io"

FORMATS = (
    f"{_ROOM}.zarr_stack",
    f"{_ROOM}.picmus",
    f"{_ROOM}.pybf",
    f"{_ROOM}.cubdl",
    f"{_ROOM}.uff",
    f"{_ROOM}.zea",
    f"{_ROOM}.matlab",
    f"{_ROOM}.dicom",
    f"{_ROOM}.dicom.folder",
    f"{_ROOM}.volumes.metaimage",
    f"{_ROOM}.volumes.nrrd",
    f"{_ROOM}.volumes.nifti",
    f"{_ROOM}.clarius",
    f"{_ROOM}.aaa",
    f"{_ROOM}.project",
    f"{_ROOM}.video",
    f"{_ROOM}.named_arrays.npz",
    f"{_ROOM}.named_arrays.hdf5",
    f"{_ROOM}.pictures",
    f"{_ROOM}.raster",
)
"""Every format of files, in the order in which they are asked."""


class Format(Protocol):
    """Interface of a format's module.

    Beside these it may have ``OPTIONS``, the keyword arguments of :func:`open_file`
    that its own takes, ``PATTERNS``, the names of files that napari offers to it, and
    ``is_left_to_others(file, kind)``, for files that another reader of napari shows as
    well.
    """

    TITLE: str

    def detect(self, file: SourceFile) -> str | None:
        """Name the kind of a file, None for one of another format; reads no data.

        A :class:`~napari_usflow.errors.FileFormatError` counts as None.
        """

    def open_file(self, file: SourceFile, **options: Any) -> Opened:
        """Open a file that :meth:`detect` has recognised."""


def detect(path: FilePath) -> str | None:
    """Name the kind of a file, such as ``picmus-image``, or None if it is not ours.

    Never raises, reads no data and takes milliseconds, whatever it is given.
    """
    # Any file may be dropped on a window, and HDF5 has many ways to fail on one.
    try:
        detected = _detected(source_file(path))
    except Exception:  # noqa: BLE001
        return None
    return None if detected is None else detected[1]


def is_left_to_others(file: SourceFile) -> bool:
    """Whether a file is none of ours, or one that others show as well; never raises."""
    if detect(file) is None:
        return True
    format_, kind = file.detected
    declines = getattr(format_, "is_left_to_others", None)
    return declines is not None and bool(declines(file, kind))


def _detected(file: SourceFile) -> tuple[Format, str] | None:
    """Find the format and the kind of a file, once."""
    if file.detected is None:
        with file.kept_open():
            for format_ in _formats():
                try:
                    kind = format_.detect(file)
                except FileFormatError:
                    continue
                if kind is not None:
                    file.detected = format_, kind
                    break
    return cast("tuple[Format, str] | None", file.detected)


def _formats() -> Iterator[Format]:
    for name in FORMATS:
        yield cast(Format, import_module(name))


def open_file(
    path: FilePath,
    *,
    raw: bool = False,
    outline: bool = False,
    acquisition: str | None = None,
    names: Mapping[str, Any] | None = None,
    values: str | None = None,
    value_range: tuple[float, float] | None = None,
    as_grey: bool = False,
) -> Opened:
    """Open a file of any known format; channel data are not read, nor beamformed.

    Parameters
    ----------
    path : path
        The file; a :class:`~napari_usflow.io.guards.file_checks.SourceFile` is detected
        once.
    raw : bool
        Take the channel data of a file that holds an image as well.
    outline : bool
        Unpack no pixels of a picture before they are looked at, and of a clip one
        frame, which tells whether it shows colour Doppler.
    acquisition, names, values, value_range, as_grey
        As for :func:`napari_usflow.io.read`. Of an image whose numbers may mean several
        things ``metadata["question"]`` asks what they are.

    Raises
    ------
    FileFormatError
        When the file is missing, damaged or unknown; the text says what was found and
        what can be read.
    ValueError
        When ``acquisition``, ``names``, ``values`` or ``value_range`` do not fit the
        file.
    """
    file, stated = source_file(path), Stated.of(values, value_range)
    with file.kept_open():
        detected = _detected(file)
        if detected is None:
            raise FileFormatError(_not_known(file))
        format_, kind = detected
        accepted = getattr(format_, "OPTIONS", ())
        options: dict[str, Any] = {}
        switches = {"raw": raw, "outline": outline, "as_grey": as_grey}
        for name, is_set in switches.items():
            if is_set and name in accepted:
                options[name] = True
        for name, value in (("acquisition", acquisition), ("names", names)):
            if value is None:
                continue
            if name not in accepted:
                owners = [f for f in _formats() if name in getattr(f, "OPTIONS", ())]
                titles = " and ".join(owner.TITLE for owner in owners)
                raise ValueError(f"{path} is {kind}; {name} is for {titles}")
            options[name] = value
        opened = format_.open_file(file, **options)
        kind = opened.kind or kind
        origin = {"source": str(file), "name": file.path.stem, "format": kind}
        images = [settle(_noted(image, origin), stated) for image in opened.images]
    data = opened.channel_data
    return replace(
        opened,
        images=images,
        channel_data=None if data is None else _noted(data, origin),
        file=file,
        kind=kind,
    )


def _noted(content: T, origin: Mapping[str, str]) -> T:
    """Note on an image or channel data where they come from, if the format does not."""
    return replace(content, metadata={**origin, **content.metadata})


def _not_known(file: SourceFile) -> str:
    regular_file(file)
    if file.is_hdf5:
        with open_hdf5(file) as hdf5:
            names = member_names(hdf5, 6)
        content = f"an HDF5 file with {', '.join(names) or 'nothing'} at its root"
    elif is_dicom(file):
        content = "a DICOM file that is not of an ultrasound class"
    else:
        content = starts_like(file.start)
    readable = ", ".join(format_.TITLE for format_ in _formats())
    return f"{file} is not of a known format ({content}); read: {readable}"
