"""NRRD: ``.nrrd``, or an ``.nhdr`` header with its data in a file beside it.

3D Slicer, ITK and the PLUS toolkit write it. Frames are the axis of kind ``list`` or
``time``, which may be the fastest or the slowest, or the one without a spacing; other
axes are those of a picture or of a volume, and an axis of colours. Transforms of each
frame become ``metadata["transforms"]``, as of MetaImage.

References: https://teem.sourceforge.net/nrrd/format.html, and for sequences
https://slicer.readthedocs.io/en/latest/developer_guide/modules/sequences.html
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import SourceFile, open_binary, regular_file
from napari_usflow.io.length_units import MILLIMETRES
from napari_usflow.io.opened import Opened
from napari_usflow.io.volumes.payload import Encoding, Payload, data_file_beside
from napari_usflow.io.volumes.stored import Stored, images_of
from napari_usflow.io.volumes.tracking import Tracking

__all__ = ["PATTERNS", "TITLE", "detect", "open_file"]

TITLE = "NRRD (.nrrd, .nhdr)"
PATTERNS = ("*.nrrd", "*.nhdr")

_MAGIC = re.compile(rb"NRRD000\d\s")
_HEADER_BYTES = 2**25
_MAX_AXES = 6
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": (
        "short",
        "short int",
        "signed short",
        "signed short int",
        "int16",
        "int16_t",
    ),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": (
        *("longlong", "long long", "long long int", "signed long long"),
        *("signed long long int", "int64", "int64_t"),
    ),
    "u8": (
        *("ulonglong", "unsigned long long", "unsigned long long int"),
        *("uint64", "uint64_t"),
    ),
    "f4": ("float",),
    "f8": ("double",),
}
_ENCODINGS: dict[str, Encoding] = {
    "raw": "raw",
    **dict.fromkeys(("gz", "gzip"), "deflate"),
    **dict.fromkeys(("bz2", "bzip2"), "bzip2"),
    **dict.fromkeys(("txt", "text", "ascii"), "text"),
}
_FRAMES = ("list", "time")
_COLOURS = ("rgb-color", "rgba-color", "3-color", "4-color", "vector", "scalar", "stub")
_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6}
_SPACE = ("space", "space origin", "space directions")
_VECTOR = re.compile(r"none|\([^()]*\)", re.IGNORECASE)


def detect(file: SourceFile) -> str | None:
    """Return ``nrrd`` by the first bytes of a file, else None."""
    return "nrrd" if _MAGIC.match(file.start) else None


def open_file(file: SourceFile) -> Opened:
    """Open a picture, a sequence or a volume.

    Raises
    ------
    FileFormatError
        When the file is damaged or cut short, or its data lie elsewhere than in it or
        in one file beside it.
    """
    regular_file(file)
    header = _read_header(file)
    shape, axes = header.shape, header.axes()
    frames = shape[axes.index("t")] if "t" in axes else 1
    tracking = Tracking(header.keys.items(), frames)
    notes: list[str] = []
    code = header.orientation
    stated = {"orientation": code} if code else {}
    interval = tracking.frame_interval_s(notes) or header.frame_interval_s(axes)
    spacing = header.spacing_mm(axes, notes)
    if tracking and spacing.get("x") == spacing.get("y") == 1.0:
        calibration, spacing = tracking.pixel_size_mm(), {}
        if calibration is None:
            notes.append("pixels of 1 x 1 in a tracked sequence: their size is unknown")
        else:
            (spacing["x"], spacing["y"]), name = calibration
            notes.append(f"the pixel size is that of {name}Transform")
    space = {name: header.fields[name] for name in _SPACE if name in header.fields}
    return images_of(
        file,
        Stored(
            header.payload(file),
            axes[::-1],
            spacing,
            orientation=code,
            frame_interval_s=interval,
            metadata={
                **stated,
                **({"space": space} if space else {}),
                **tracking.metadata,
            },
            details={**stated, "transforms": tracking.names},
            notes=notes,
        ),
    )


@dataclass(frozen=True)
class _Header:
    """The fields of a header, its keys, and where the data begin if they follow it."""

    file: SourceFile
    fields: dict[str, str]
    keys: dict[str, str]
    end: int

    def wrong(self, name: str, expected: str) -> FileFormatError:
        stated = self.fields.get(name)
        shown = "missing" if stated is None else repr(stated[:60])
        return FileFormatError(
            f"{self.file}: {name!r} is {shown}; {expected} was expected"
        )

    def integer(self, name: str, default: int) -> int:
        try:
            return int(self.fields.get(name, default))
        except ValueError as error:
            raise self.wrong(name, "a whole number") from error

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, fastest axis first."""
        try:
            sizes = tuple(int(word) for word in self.fields.get("sizes", "").split())
        except ValueError as error:
            raise self.wrong("sizes", "whole numbers") from error
        axes = self.integer("dimension", len(sizes))
        if not 2 <= axes == len(sizes) <= _MAX_AXES:
            raise self.wrong("sizes", "2 to 6 sizes, as many as 'dimension' says,")
        if not all(0 < size < 2**48 for size in sizes):
            raise self.wrong("sizes", "at least one pixel along each axis")
        return sizes

    def axes(self) -> str:
        """Return the letter of each axis, fastest first."""
        shape, kinds = self.shape, self.fields.get("kinds", "").lower().split()
        roles = [" "] * len(shape)
        if len(kinds) == len(shape):
            letters = {**dict.fromkeys(_FRAMES, "t"), **dict.fromkeys(_COLOURS, "c")}
            roles = [letters.get(kind, " ") for kind in kinds]
        lengths = self._lengths()
        unplaced = [
            axis
            for axis, length in enumerate(lengths)
            if math.isnan(length) and roles[axis : axis + 1] == [" "]
        ]
        if "t" not in roles and len(unplaced) == 1 and len(lengths) == len(shape) > 2:
            (axis,) = unplaced
            is_colour = axis == 0 and shape[0] in (3, 4) and "c" not in roles
            roles[axis] = "c" if is_colour else "t"
        spatial = [axis for axis, role in enumerate(roles) if role == " "]
        is_list = len(spatial) == 4 or (len(spatial) == 3 and self._is_sequence)
        if "t" not in roles and is_list:
            roles[spatial[-1]] = "t"
        places = iter("xys")
        named = "".join(next(places, "?") if r == " " else r for r in roles)
        if len(set(named)) < len(named) or "?" in named:
            raise self.wrong("kinds", "a picture, frames or a volume of them")
        return named

    @property
    def _is_sequence(self) -> bool:
        """Whether a third axis counts frames, though the header does not say so."""
        name = self.file.path.name.lower()
        return (
            bool(self.orientation)
            or ".seq." in name
            or ".igs." in name
            or any(key.startswith("Seq_Frame") for key in self.keys)
        )

    @property
    def orientation(self) -> str:
        """Code of the PLUS toolkit, which writes it as a field and as a key."""
        name = "ultrasound image orientation"
        keys = {key.lower(): value for key, value in self.keys.items()}
        return (
            self.fields.get(name)
            or keys.get(name)
            or keys.get("ultrasoundimageorientation", "")
        )

    def _lengths(self) -> list[float]:
        """Return the step along each axis, NaN without one; empty if none is stated."""
        directions = _VECTOR.findall(self.fields.get("space directions", ""))
        if directions:
            return [_length(vector) for vector in directions]
        words = self.fields.get("spacings", "").split()
        return [abs(_float(word)) for word in words]

    def spacing_mm(self, axes: str, notes: list[str]) -> dict[str, float]:
        """Return the spacing of the axes of the picture, where it is in a length."""
        lengths = self._lengths()
        if len(lengths) != len(axes):
            return {}
        units = self._units(len(axes), axes)
        spacing = {}
        for letter, length, unit in zip(axes, lengths, units, strict=True):
            factor = MILLIMETRES.get(unit.lower()) if unit else 1.0
            if letter in "xys" and factor is None:
                notes.append(f"the unit {unit[:20]!r} is no length: pixel size unknown")
            elif letter in "xys" and math.isfinite(length):
                spacing[letter] = length * float(factor or 1.0)
        return spacing

    def _units(self, count: int, axes: str) -> list[str]:
        """Return the unit of each axis, empty where none is stated."""
        units = _quoted(self.fields.get("units", ""))
        if len(units) == count:
            return units
        space = _quoted(self.fields.get("space units", ""))
        if not space:
            return [""] * count
        return [space["xys".index(a) % len(space)] if a in "xys" else "" for a in axes]

    def frame_interval_s(self, axes: str) -> float | None:
        """Return the time between frames, from the axis or the index of a sequence."""
        if "t" not in axes:
            return None
        axis = axes.index("t")
        units = _quoted(self.fields.get("units", ""))
        factor = _SECONDS.get(units[axis].lower()) if len(units) == len(axes) else None
        lengths = self._lengths()
        step = lengths[axis] if len(lengths) == len(axes) else math.nan
        index = self.keys.get(f"axis {axis} index values", "").split()
        if not math.isfinite(step) and len(index) == self.shape[axis] > 1:
            step = (_float(index[-1]) - _float(index[0])) / (len(index) - 1)
        seconds = step * factor if factor else math.nan
        return seconds if 0 < seconds < 1e6 else None

    def payload(self, file: SourceFile) -> Payload:
        """Return where the array is; sizes are checked when it is loaded."""
        stated = " ".join(self.fields.get("type", "").lower().split())
        code = next((code for code, names in _TYPES.items() if stated in names), None)
        if code is None:
            raise self.wrong("type", "a type of numbers such as uint8")
        encoding = _ENCODINGS.get(self.fields.get("encoding", "").lower())
        if encoding is None:
            raise self.wrong("encoding", "raw, gzip, bzip2 or text")
        order = self.fields.get("endian", "little").lower()
        if order not in ("little", "big"):
            raise self.wrong("endian", "little or big")
        dtype = np.dtype((">" if order == "big" else "<") + code)
        shape = self.shape[::-1]
        place: Any = file
        offset = self.end
        name = self.fields.get("data file", self.fields.get("datafile"))
        if name is not None:
            if name.upper().startswith("LIST") or "%" in name:
                raise FileFormatError(
                    f"{file} keeps its data in several files; one is read. Save it as "
                    "one .nrrd, for example with 3D Slicer or pynrrd"
                )
            place = regular_file(data_file_beside(file.path, name.removeprefix("./")))
            offset = 0
        offset = _after_lines(place, offset, self.integer("line skip", 0))
        skip = self.integer("byte skip", 0)
        if skip < -1 or (skip == -1 and encoding != "raw"):
            raise self.wrong("byte skip", "a number of bytes, or -1 for raw data")
        if skip == -1:
            return Payload(place, -1, encoding, dtype, shape)
        return Payload(place, offset, encoding, dtype, shape, skip)


def _after_lines(path: Any, offset: int, lines: int) -> int:
    if not 0 <= lines <= 2**16:
        raise FileFormatError(f"{path}: 'line skip' is {lines}; 0 to 65536 are passed")
    if not lines:
        return offset
    with open_binary(path) as file:
        file.seek(offset)
        for _ in range(lines):
            file.readline(_HEADER_BYTES)
        return file.tell()


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _length(vector: str) -> float:
    parts = [_float(word) for word in vector.strip("()").split(",")]
    return math.hypot(*parts) or math.nan


def _quoted(text: str) -> list[str]:
    return re.findall(r'"([^"]*)"', text)


def _read_header(file: SourceFile) -> _Header:
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    with open_binary(file) as raw:
        raw.readline(_HEADER_BYTES)
        while raw.tell() < _HEADER_BYTES:
            stored = raw.readline(_HEADER_BYTES)
            line = stored.decode("utf-8", "replace").strip()
            if not line:
                # A header alone may end with the file.
                return _Header(file, fields, keys, raw.tell())
            name, colon, value = line.partition(":")
            if line.startswith("#") or not colon:
                continue
            if value.startswith("="):
                keys[name.strip()] = value[1:].strip()
            else:
                fields[name.strip().lower()] = value.strip()
    raise FileFormatError(
        f"{file} is a damaged NRRD file: its header does not end within "
        f"{size_text(_HEADER_BYTES)}"
    )
