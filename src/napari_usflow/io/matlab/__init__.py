"""MATLAB files, version 5 to 7.3, of channel data or of images.

Files of the MUST toolbox, the MAT files of the PICMUS challenge, and files that hold
one array which can only be the image are recognised. Of any other the user says which
variable is what: ``read(path, names={"samples": "rf", ...})``, see
:class:`MatlabNames`.

An array that takes both signs about zero is taken to be beamformed RF, and its envelope
shown; the rules for other numbers are those of :mod:`napari_usflow.io.raster`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from napari_usflow.errors import FileFormatError
from napari_usflow.io.describe import describe_channels, describe_grid
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.matlab.acquisition import channel_data
from napari_usflow.io.matlab.image import read_image
from napari_usflow.io.matlab.variable_map import (
    MUST,
    PICMUS,
    MatlabNames,
    known_layout,
    sole_image,
)
from napari_usflow.io.matlab.variables import is_v73, roots, variables
from napari_usflow.io.picmus import CENTER_FREQUENCY_HZ
from napari_usflow.jobs import CancelToken, Event, result_of
from napari_usflow.ultrasound.data import (
    ChannelData,
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)

__all__ = [
    "IMAGE_KINDS",
    "MatlabNames",
    "describe",
    "is_v73",
    "names_of",
    "read",
    "read_channel_data",
    "read_events",
    "sniff",
    "variables",
]

IMAGE_KINDS = frozenset({"matlab-must", "matlab-picmus", "matlab-image", "matlab"})
"""What :func:`read` can turn into images, ``matlab`` with names only."""

Names = MatlabNames | Mapping[str, Any]


def sniff(path: FilePath) -> str | None:
    """Name the layout of a MATLAB file, ``matlab`` if it is unknown; else None."""
    if is_v73(path) is None:
        return None
    try:
        return known_layout(roots(path)) or "matlab"
    except FileFormatError:
        return None


def names_of(path: FilePath) -> MatlabNames:
    """Give the names of a file of a known layout; empty ones of another."""
    found = roots(path)
    layout = known_layout(found)
    if layout == "matlab-picmus":
        return replace(PICMUS, center_frequency_hz=str(CENTER_FREQUENCY_HZ))
    if layout == "matlab-must":
        has_rf = any(variable.name == "RF" for variable in found)
        known = variables(path)
        names = MUST if has_rf else replace(MUST, samples="IQ")
        absent = {
            field: ""
            for field in ("tx_delays_s", "frame_rate_hz")
            if getattr(names, field) not in known
        }
        if "param.c" not in known:
            absent["sound_speed_m_s"] = "1540"
        if "param.t0" not in known:
            absent["start_time_s"] = "0"
        # Firings that each have delays of their own are the waves of one frame.
        delays = known.get("param.TXdelay")
        if delays is not None and min(delays.shape) > 1:
            absent["samples_axes"] = "sctf"
        return replace(names, **absent)
    image = sole_image(found)
    return MatlabNames() if image is None else MatlabNames(image=image.name)


def read(
    path: FilePath,
    *,
    angles: int | None = None,
    grid: PixelGrid | PolarGrid | None = None,
    names: Names | None = None,
) -> list[UltrasoundImage]:
    """Read an image, or beamform channel data.

    Parameters
    ----------
    path : path
        A MAT file.
    angles, grid
        For channel data, as for :func:`napari_usflow.io.read`.
    names : MatlabNames or mapping, optional
        Which variable is what; needed where the layout is not known.

    Raises
    ------
    FileFormatError
        When the file is damaged, or a variable is missing or does not fit.
    ValueError
        When ``names``, ``angles`` or ``grid`` make no sense.
    """
    return result_of(read_events(path, angles=angles, grid=grid, names=names))


def read_events(
    path: FilePath,
    *,
    angles: int | None = None,
    grid: PixelGrid | PolarGrid | None = None,
    bandwidth: float | None = 1.0,
    device: str = "auto",
    token: CancelToken | None = None,
    names: Names | None = None,
) -> Generator[Event, None, list[UltrasoundImage]]:
    """Do what :func:`read` does, reporting the progress of beamforming."""
    meant = _meant(path, names)
    if meant.image and not meant.samples:
        if angles is not None or grid is not None:
            raise ValueError(f"{path} is an image; angles and grid are for raw data")
        return [read_image(path, meant)]
    from napari_usflow.ultrasound.beamform import beamform_events

    data = channel_data(path, meant)
    image = yield from beamform_events(
        data,
        grid=grid,
        angles=angles,
        bandwidth=bandwidth,
        device=device,
        token=token,
    )
    return [image]


def read_channel_data(path: FilePath, *, names: Names | None = None) -> ChannelData:
    """Read channel data; of a 7.3 file the samples stay in it until they are indexed.

    ``names`` and errors are those of :func:`read`.
    """
    meant = _meant(path, names)
    if not meant.samples:
        raise FileFormatError(
            f"{path} holds no channel data that is known; say with names which "
            f"variable they are: {_listed(path)}"
        )
    return channel_data(path, meant)


def describe(path: FilePath, *, names: Names | None = None) -> dict[str, Any]:
    """Summarise a file in plain values; one of unknown layout by its variables.

    ``names`` and errors are those of :func:`read`.
    """
    kind = sniff(path)
    if kind == "matlab" and not names:
        found = variables(path)
        shapes = {name: list(variable.shape) for name, variable in found.items()}
        return {"kind": kind, "variables": shapes}
    meant = _meant(path, names)
    if meant.samples:
        return {"kind": kind, **describe_channels(channel_data(path, meant))}
    image = read_image(path, meant)
    place = describe_grid(image.grid)
    if not image.metadata["pixel_size_known"]:
        place["pixel_mm"] = None
    return {
        "kind": kind,
        "shape": list(image.data.shape),
        "axes": [image.frame_axis, "axial", "lateral"],
        "values": image.values,
        "notes": image.metadata["notes"],
        **place,
    }


def _meant(path: FilePath, names: Names | None) -> MatlabNames:
    if is_v73(path) is None:
        raise FileFormatError(f"{path} is no MATLAB file of version 5 or later")
    if isinstance(names, MatlabNames):
        given = names.given()
    else:
        given = MatlabNames.from_mapping(names or {}).given()
    known = names_of(path)
    if not given:
        meant = known
    elif {"samples", "image"} & set(given):
        meant = MatlabNames(**given)
    else:
        # What is said changes a known layout; it does not replace it.
        meant = replace(known, **given)
    if not meant.samples and not meant.image:
        raise FileFormatError(
            f"{path} is a MATLAB file of a layout that is not known; say with names "
            f"which variable is what. It has {_listed(path)}"
        )
    return meant


def _listed(path: FilePath) -> str:
    found = list(variables(path).values())
    shown = [f"{v.name} {'x'.join(map(str, v.shape))}" for v in found[:12]]
    return ", ".join(shown) + (" ..." if len(found) > 12 else "") or "no numbers"
