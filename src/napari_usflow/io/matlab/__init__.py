"""MATLAB files, version 5 to 7.3, of channel data or of images.

Files of the MUST toolbox, the MAT files of the PICMUS challenge, and files that hold
one array which can only be the image are recognised. Of any other the user says which
variable is what: ``read(path, names={"samples": "rf", ...})``, see
:class:`MatlabNames`.

What is in cells and nested structs is listed and named as in MATLAB. What the numbers
of an image are :mod:`napari_usflow.io.meaning` finds out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import FilePath, SourceFile
from napari_usflow.io.matlab.acquisition import channel_data
from napari_usflow.io.matlab.image import read_image
from napari_usflow.io.matlab.variable_map import (
    MUST,
    PICMUS,
    MatlabNames,
    known_layout,
    sole_image,
)
from napari_usflow.io.matlab.variables import Variable, is_v73, roots, variables
from napari_usflow.io.matlab.verasonics import open_verasonics
from napari_usflow.io.opened import Opened
from napari_usflow.io.picmus import CENTER_FREQUENCY_HZ

__all__ = [
    "OPTIONS",
    "PATTERNS",
    "TITLE",
    "MatlabNames",
    "detect",
    "is_left_to_others",
    "is_v73",
    "names_of",
    "open_file",
    "variables",
]

TITLE = "MATLAB files"
PATTERNS = ("*.mat",)
OPTIONS = ("names", "raw")

Names = MatlabNames | Mapping[str, Any]


def detect(file: SourceFile) -> str | None:
    """Name the layout of a MATLAB file, ``matlab`` if it is unknown; else None."""
    if is_v73(file) is None:
        return None
    try:
        return known_layout(roots(file)) or "matlab"
    except FileFormatError:
        return "matlab"  # damaged; opening it says how


def is_left_to_others(file: SourceFile, kind: str) -> bool:
    """Whether the layout is unknown: such a file may hold anything at all."""
    return kind == "matlab"


def names_of(path: FilePath) -> MatlabNames:
    """Return the names of a file of a known layout; empty ones of another."""
    listed = roots(path)
    layout = known_layout(listed)
    if layout == "matlab-picmus":
        return replace(PICMUS, center_frequency_hz=str(CENTER_FREQUENCY_HZ))
    if layout == "matlab-must":
        has_rf = any(variable.name == "RF" for variable in listed)
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
    image = sole_image(listed)
    return MatlabNames() if image is None else MatlabNames(image=image.name)


def open_file(
    file: SourceFile, *, names: Names | None = None, raw: bool = False
) -> Opened:
    """Open an image or channel data; of an unknown layout, list its variables.

    Parameters
    ----------
    file : SourceFile
        A MAT file.
    names : MatlabNames or mapping, optional
        Which variable is what; needed where the layout is not known.
    raw : bool
        Refuse a file of which no channel data are known.

    Raises
    ------
    FileFormatError
        When the file is damaged, or a variable is missing or does not fit.
    ValueError
        When ``names`` make no sense.
    """
    if not names and known_layout(roots(file)) == "matlab-verasonics":
        return open_verasonics(file)
    meant = _meant(file, names)
    if meant.samples:
        return Opened(channel_data=channel_data(file, meant))
    arrays = variables(file)
    listed = _listed(arrays)
    if raw:
        raise FileFormatError(
            f"{file} holds no channel data that is known; say with names which "
            f"variable they are: {listed}"
        )
    if meant.image:
        return Opened([read_image(file, meant)])
    unknown = (
        f"{file} is a MATLAB file of a layout that is not known; say with names "
        f"which variable is what. It has {listed}"
    )
    if names:
        raise FileFormatError(unknown)
    shapes = {name: list(variable.shape) for name, variable in arrays.items()}
    return Opened(details={"variables": shapes}, instead=unknown)


def _meant(path: FilePath, names: Names | None) -> MatlabNames:
    if isinstance(names, MatlabNames):
        given = names.given()
    else:
        given = MatlabNames.from_mapping(names or {}).given()
    if {"samples", "image"} & set(given):
        return MatlabNames(**given)
    # What is said changes a known layout; it does not replace it.
    return replace(names_of(path), **given)


def _listed(found: Mapping[str, Variable]) -> str:
    shown = [
        f"{v.name} {'x'.join(map(str, v.shape))}" for v in list(found.values())[:12]
    ]
    return ", ".join(shown) + (" ..." if len(found) > 12 else "") or "no numbers"
