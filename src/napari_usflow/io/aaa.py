"""Tongue ultrasound of Articulate Assistant Advanced (AAA): ``.ult`` and a text file.

The ``.ult`` file has the bytes of the scan lines, one after the other, nothing else.
What they are is in the text file beside it, ``NAMEUS.txt`` or ``NAME.param``: how many
lines (``NumVectors``) and pixels in each (``PixPerVector``), pixels in a millimetre
(``PixelsPerMm``), the radians between two lines (``Angle``), the pixels between the
apex of the fan and the first one (``ZeroOffset``), and frames a second. The first line
is the left one. Numbers may have a decimal comma.

References: https://github.com/UltraSuite/ultrasuite-tools,
https://github.com/giuthas-speech-research-tools/satkit
"""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import (
    SourceFile,
    open_binary,
    own_file,
    regular_file,
)
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import check_frame_count, lazy_stack

__all__ = ["PATTERNS", "TITLE", "detect", "open_file"]

TITLE = "AAA tongue ultrasound (.ult)"
PATTERNS = ("*.ult",)

_BESIDE = ("US.txt", "us.txt", ".US.txt", ".param")
_TEXT_BYTES = 2**16
_MAX_LINE = 2**20
_FIELDS = ("NumVectors", "PixPerVector")


def detect(file: SourceFile) -> str | None:
    """Return ``aaa-ult`` by the name of a file: there is nothing in it to go by."""
    is_ult = file.path.suffix.lower() == ".ult" and regular_file(file).is_file()
    return "aaa-ult" if is_ult else None


def open_file(file: SourceFile) -> Opened:
    """Open a recording; lazy, one chunk a frame, where it holds more than one frame.

    Raises
    ------
    FileFormatError
        When the text file is missing or damaged, or does not fit the size of the data.
    """
    path = regular_file(file)
    beside = _text_file(path)
    stated = _fields(beside)
    lines, pixels = (_whole(beside, stated, name) for name in _FIELDS)
    bits = stated.get("BitsPerPixel", 8.0)
    if bits != 8:
        raise FileFormatError(f"{beside} states {bits:g} bits a pixel; 8 are read")
    size = path.stat().st_size
    frames, rest = divmod(size, lines * pixels)
    if rest or not frames:
        raise FileFormatError(
            f"{path} has {size} bytes, which is no whole number of frames of {lines} "
            f"lines x {pixels} pixels, as {beside.name} states"
        )
    check_frame_count(path, frames)
    notes: list[str] = []
    grid = _grid(stated, lines, pixels, notes)
    rate = stated.get("FramesPerSec", 0.0)
    read_frame = partial(_frame, file, lines, pixels)
    data: Any = read_frame(0)[None]
    if frames > 1:
        data = lazy_stack(read_frame, (frames, pixels, lines))
    metadata: dict[str, Any] = {"parameters": beside.name, "notes": notes}
    if isinstance(grid, PixelGrid):
        metadata["pixel_size_known"] = False
    if "TimeInSecsOfFirstFrame" in stated:
        metadata["first_frame_s"] = stated["TimeInSecsOfFirstFrame"]
    image = UltrasoundImage(
        data,
        "display",
        grid,
        frame_interval_s=1 / rate if frames > 1 and 0 < rate < 1e6 else None,
        metadata=metadata,
    )
    return Opened([image])


def _text_file(path: Path) -> Path:
    """Find the text file that goes with the data."""
    for ending in _BESIDE:
        beside = path.with_name(path.stem + ending)
        if os.path.lexists(beside):
            return own_file(beside, path.parent)
    raise FileFormatError(
        f"{path} needs {path.stem}US.txt (or {path.stem}.param) beside it, which AAA "
        "exports with it: without it the number of scan lines is not known. A file "
        "with the lines NumVectors=..., PixPerVector=..., Angle=..., PixelsPerMm=... "
        "and ZeroOffset=... will do"
    )


def _fields(path: Path) -> dict[str, float]:
    if path.stat().st_size > _TEXT_BYTES:
        raise FileFormatError(f"{path} is too long for the parameters of a recording")
    text = path.read_bytes().decode("utf-8-sig", "replace")
    if "\0" in text:
        text = path.read_bytes().decode("utf-16", "replace")
    fields = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        try:
            number = float(value.strip().replace(",", "."))
        except ValueError:
            continue
        if equals and math.isfinite(number):
            fields[name.strip()] = number
    return fields


def _whole(path: Path, stated: dict[str, float], name: str) -> int:
    value = stated.get(name, math.nan)
    if not (2 <= value <= _MAX_LINE and value == int(value)):
        raise FileFormatError(f"{path} does not state {name} as a number from 2 on")
    return int(value)


def _grid(
    stated: dict[str, float], lines: int, pixels: int, notes: list[str]
) -> PolarGrid | PixelGrid:
    """Return the fan of the lines; plain pixels where it is not stated."""
    scale, turn = stated.get("PixelsPerMm", 0.0), stated.get("Angle", 0.0)
    offset = stated.get("ZeroOffset", 0.0)
    if not (1e-3 < scale < 1e5 and 1e-6 < turn < math.pi and 0 <= offset < 1e6):
        notes.append(
            "the fan is not stated (PixelsPerMm, Angle, ZeroOffset): lines are columns"
        )
        return PixelGrid((pixels, lines), (1.0, 1.0), (0.0, 0.0))
    first = -turn * (lines - 1) / 2
    return PolarGrid((pixels, lines), (offset / scale, 1 / scale), (first, turn))


def _frame(
    file: SourceFile, lines: int, pixels: int, index: int
) -> npt.NDArray[np.float32]:
    size = lines * pixels
    with open_binary(file) as raw:
        raw.seek(index * size)
        content = raw.read(size)
    if len(content) != size:
        raise FileFormatError(f"{file} has changed since it was opened")
    numbers = np.frombuffer(content, np.uint8).reshape(lines, pixels)
    return numbers.T.astype(np.float32)
