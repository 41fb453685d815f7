"""MetaImage: ``.mha``, or an ``.mhd`` header with its data in a file beside it.

ITK, VTK, 3D Slicer and the PLUS toolkit write it, PLUS with a time and transforms for
each frame (``.igs.mha``), which become ``metadata["timestamps_s"]`` and
``metadata["transforms"]``. A third axis is frames where the header describes frames,
calls it a list, or states the orientation of a 2-D ultrasound picture; else it is the
planes of a volume.

Pixels of exactly 1 x 1 in a tracked sequence are what PLUS writes when it does not
know: the size is then that of the transform from the picture to the probe, or unknown.

References: https://itk.org/Wiki/ITK/MetaIO/Documentation,
https://pluslib.readthedocs.io/en/latest/file-formats/FileSequenceFile.html
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import SourceFile, open_binary, regular_file
from napari_usflow.io.opened import Opened
from napari_usflow.io.volumes.payload import Encoding, Payload, data_file_beside
from napari_usflow.io.volumes.stored import Stored, images_of
from napari_usflow.io.volumes.tracking import Tracking

__all__ = ["PATTERNS", "TITLE", "detect", "open_file"]

TITLE = "MetaImage (.mha, .mhd)"
PATTERNS = ("*.mha", "*.mhd")

_START = re.compile(
    rb"(?:\s*Comment[^\n]*\n)?\s*"
    rb"(?:ObjectType\s*=\s*Image\b|NDims\s*=\s*\d+\s*\n[\s\S]*\n\s*DimSize\s*=)"
)
_HEADER_BYTES = 2**25
_DATA_FILE = "ElementDataFile"
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    # Four bytes on every system, in MetaIO.
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_FRAMES = ("list", "time")
_MAX_AXES = 5
_SPACE = ("Offset", "TransformMatrix", "AnatomicalOrientation", "CenterOfRotation")
_SAME = {"Position": "Offset", "Origin": "Offset", "Orientation": "TransformMatrix"}


def detect(file: SourceFile) -> str | None:
    """Return ``metaimage`` by the first lines of a file, else None."""
    return "metaimage" if _START.match(file.start) else None


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
    shape = header.shape
    channels = header.integer("ElementNumberOfChannels", 1)
    axes = header.axes(file)
    frames = shape[axes.index("t")] if "t" in axes else 1
    fields = header.frame_fields
    tracking = Tracking(fields, frames)
    notes: list[str] = []
    code = header.text("UltrasoundImageOrientation")
    spacing = header.spacing_mm(axes)
    if (code or tracking) and spacing.get("x") == spacing.get("y") == 1.0:
        calibration = tracking.pixel_size_mm()
        spacing = {}
        if calibration is None:
            notes.append("pixels of 1 x 1 in a tracked sequence: their size is unknown")
        else:
            (spacing["x"], spacing["y"]), name = calibration
            notes.append(f"the pixel size is that of {name}Transform")
    if tracking.invalid_frames:
        notes.append(
            f"{len(tracking.invalid_frames)} frames are marked as invalid, the first "
            f"of them {tracking.invalid_frames[0]}"
        )
    order = axes[::-1]
    payload = header.payload(
        file, (*shape[::-1], *((channels,) if channels != 1 else ()))
    )
    kind = header.text("UltrasoundImageType").upper()
    if kind.startswith("RF_") and kind != "RF_REAL":
        raise FileFormatError(
            f"{file} holds {kind} lines; B-mode pictures and RF_REAL are read"
        )
    stated = {"orientation": code} if code else {}
    return images_of(
        file,
        Stored(
            payload,
            order + ("c" if channels != 1 else ""),
            spacing,
            orientation=code,
            frame_interval_s=tracking.frame_interval_s(notes),
            slope=header.number("ElementToIntensityFunctionSlope", 1.0),
            intercept=header.number("ElementToIntensityFunctionOffset", 0.0),
            is_rf=kind == "RF_REAL",
            metadata={**stated, **header.space(), **tracking.metadata},
            details={**stated, "transforms": tracking.names},
            notes=notes,
        ),
    )


@dataclass(frozen=True)
class _Header:
    """The fields of a header, and where the data begin if they follow it."""

    file: SourceFile
    fields: dict[str, str]
    end: int

    @property
    def frame_fields(self) -> list[tuple[str, str]]:
        """Fields that belong to one frame each."""
        return [(k, v) for k, v in self.fields.items() if k.startswith("Seq_Frame")]

    def text(self, name: str, default: str = "") -> str:
        return self.fields.get(name, default)

    def flag(self, *names: str) -> bool:
        stated = next((self.fields[n] for n in names if n in self.fields), "")
        return stated[:1].upper() in ("T", "1", "Y")

    def integer(self, name: str, default: int) -> int:
        value = self.number(name, default)
        if value != int(value):
            raise self.wrong(name, "a whole number")
        return int(value)

    def number(self, name: str, default: float) -> float:
        try:
            value = float(self.fields.get(name, default))
        except ValueError as error:
            raise self.wrong(name, "a number") from error
        if not math.isfinite(value):
            raise self.wrong(name, "a finite number")
        return value

    def numbers(self, name: str) -> list[float]:
        """Return the numbers of a field; none where it is absent or no numbers."""
        try:
            return [float(word) for word in self.text(name).split()]
        except ValueError:
            return []

    def wrong(self, name: str, expected: str) -> FileFormatError:
        stated = self.fields.get(name, "")[:60]
        return FileFormatError(
            f"{self.file}: {name} is {stated!r}; {expected} was expected"
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, fastest axis first."""
        sizes = self.numbers("DimSize")
        axes = self.integer("NDims", len(sizes))
        whole = all(size == int(size) for size in sizes if math.isfinite(size))
        if not 2 <= axes == len(sizes) <= _MAX_AXES or not whole:
            raise self.wrong("DimSize", "2 to 5 sizes, as many as NDims says,")
        if not all(0 < size < 2**48 for size in sizes):
            # A recording of positions alone has no pixels.
            raise self.wrong("DimSize", "at least one pixel along each axis")
        return tuple(int(size) for size in sizes)

    def axes(self, file: SourceFile) -> str:
        """Return the letter of each axis, fastest first."""
        shape, kinds = self.shape, self.text("Kinds").lower().split()
        letters = ""
        if len(kinds) == len(shape):
            spatial = iter("xys")
            letters = "".join(
                "t" if kind in _FRAMES else next(spatial, "?") for kind in kinds
            )
        else:
            is_sequence = (
                "UltrasoundImageOrientation" in self.fields
                or bool(self.frame_fields)
                or ".igs." in file.path.name.lower()
                or ".seq." in file.path.name.lower()
            )
            letters = (
                "xyt" if len(shape) == 3 and is_sequence else "xyst?"[: len(shape)]
            )
        if len(set(letters)) < len(letters) or "?" in letters:
            raise self.wrong("DimSize", "a picture, frames or a volume of them")
        return letters

    def spacing_mm(self, axes: str) -> dict[str, float]:
        sizes = self.numbers("ElementSpacing") or self.numbers("ElementSize")
        return dict(zip(axes, sizes, strict=False)) if len(sizes) >= 2 else {}

    def space(self) -> dict[str, Any]:
        """Return where the file puts the picture in the space of the patient."""
        stated = {
            name: self.numbers(name) or self.text(name)
            for name in _SPACE
            if name in self.fields
        }
        return {"space": stated} if stated else {}

    def payload(self, file: SourceFile, shape: tuple[int, ...]) -> Payload:
        """Return where the array is; sizes are checked when it is loaded."""
        stated = self.text("ElementType").upper().removesuffix("_ARRAY")
        if stated not in _TYPES:
            raise self.wrong("ElementType", "a type of numbers such as MET_UCHAR")
        msb = self.flag("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
        dtype = np.dtype((">" if msb else "<") + _TYPES[stated])
        encoding: Encoding = "raw"
        if "BinaryData" in self.fields and not self.flag("BinaryData"):
            encoding = "text"
        elif self.flag("CompressedData"):
            encoding = "deflate"
        name = self.text(_DATA_FILE)
        if name.upper() == "LOCAL":
            return Payload(file, self.end, encoding, dtype, shape)
        if name.upper().startswith("LIST") or "%" in name:
            raise FileFormatError(
                f"{file} keeps each plane in a file of its own; one data file is read. "
                "Save it as .mha, for example with 3D Slicer or SimpleITK"
            )
        skip = self.integer("HeaderSize", 0)
        if skip < -1:
            raise self.wrong("HeaderSize", "-1 or a number of bytes")
        return Payload(_beside(file, name), skip, encoding, dtype, shape)


def _beside(file: SourceFile, name: str) -> Path:
    return regular_file(data_file_beside(file.path, name))


def _read_header(file: SourceFile) -> _Header:
    fields: dict[str, str] = {}
    with open_binary(file) as raw:
        while raw.tell() < _HEADER_BYTES:
            line = raw.readline(_HEADER_BYTES)
            if not line:
                break
            name, equals, value = line.decode("utf-8", "replace").partition("=")
            if not equals:
                if name.strip():
                    break
                continue
            key = name.strip()
            fields[_SAME.get(key, key)] = value.strip()
            if key == _DATA_FILE:
                return _Header(file, fields, raw.tell())
    raise FileFormatError(
        f"{file} is a damaged MetaImage file: no {_DATA_FILE} in the first "
        f"{size_text(_HEADER_BYTES)}, or a line before it that is no field"
    )
