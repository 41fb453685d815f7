"""PNG and JPEG images; TIFF, GIF and NumPy images or stacks.

A pixel size is believed only where it is one: OME-TIFF's physical size, and ImageJ's
resolution with a unit of length. The resolution of other files is a number of dots
meant for a printer. Where it is unknown the grid has a spacing of 1 mm, which is to be
replaced, and ``metadata["pixel_size_known"]`` is False. The first pixel is put at
(0, 0): such files do not say where the probe was.

Numbers are kept as they are. 8-bit grey is ``display``; other numbers that are never
negative are ``display`` too, and ``metadata["value_range"]`` says which of them are
black and white; numbers that go below zero are taken to be decibels, save floats
within [-1, 2], which are grey in [0, 1] with noise. The note that an OME-TIFF written
here carries (:mod:`~napari_usflow.io.outputs.usflow_metadata`), or the ImageJ property
``usflow_values`` (``db``, ``envelope`` or ``display``) overrides this, and
``usflow_value_range`` (``low high``) then says what is black and white.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import (
    SourceFile,
    open_binary,
    regular_file,
    starting_bytes,
)
from napari_usflow.io.guards.npy import SIGNATURE, map_npy
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.io.guards.tiff_pages import check_pages
from napari_usflow.io.guards.tiff_pieces import check_pieces
from napari_usflow.io.guards.tiff_references import refuse_references
from napari_usflow.io.length_units import MILLIMETRES
from napari_usflow.io.opened import Opened
from napari_usflow.io.outputs.usflow_metadata import (
    RANGE_KEY,
    VALUES_KEY,
    apply_notes,
    unpack_notes,
)
from napari_usflow.io.pictures import picture_kind, read_gif, read_jpeg
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage, Values

__all__ = [
    "MAX_PIXELS",
    "PATTERNS",
    "TITLE",
    "detect",
    "is_left_to_others",
    "open_file",
]

TITLE = "PNG, JPEG, GIF, TIFF and NumPy images"
PATTERNS: tuple[str, ...] = ()

MAX_PIXELS = 2**28
"""Largest number of values read from one file: 1 GiB as float32."""

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_MAX_PIXELS = 2**26
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Neither deflate nor LZW shrinks by more than this.
_MAX_INFLATION = 1400
_FRAME_AXES = "TZIQR"
# A description that is no XML is a SyntaxError.
_DAMAGE: tuple[type[Exception], ...] = (*LIBRARY_ERRORS, SyntaxError)
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def detect(file: SourceFile) -> str | None:
    """Return ``png``, ``tiff``, ``npy``, ``jpeg`` or ``gif`` by the first bytes."""
    if file.start.startswith(_PNG):
        return "png"
    if file.start.startswith(SIGNATURE):
        return "npy"
    return "tiff" if file.start[:4] in _TIFF else picture_kind(file.start)


def is_left_to_others(file: SourceFile, kind: str) -> bool:
    """Whether it is a picture like any other: only a TIFF says what its numbers are."""
    if kind != "tiff":
        return True
    from tifffile import TiffFile

    # Tags that are nonsense can fail in any way; napari's reader then says how.
    try:
        with open_binary(file) as raw, TiffFile(raw) as tiff:
            properties = tiff.imagej_metadata or {}
            return VALUES_KEY not in properties and not _written_here(tiff)
    except Exception:  # noqa: BLE001
        return True


def open_file(file: SourceFile) -> Opened:
    """Open an image or a stack, which is read whole; colours become grey.

    Raises
    ------
    FileFormatError
        When the file is damaged, too large or not an image of frames.
    """
    kind, path = detect(file), regular_file(file)
    if kind == "png":
        stack, calibration = _read_png(path)[None], _Calibration()
    elif kind == "tiff":
        stack, calibration = _read_tiff(file)
    elif kind == "jpeg":
        calibration = _Calibration(has_colours=True)
        stack = read_jpeg(file, calibration.notes)[None]
    elif kind == "gif":
        calibration = _Calibration(has_colours=True)
        stack, calibration.frame_interval_s = read_gif(file, calibration.notes)
    else:
        stack, calibration = _read_npy(file), _Calibration()
    notes = list(calibration.notes)
    frames = _grey(stack, calibration.has_colours or kind == "png", notes)
    if not np.isfinite(frames).all():
        raise FileFormatError(f"{path} holds values that are not finite")
    values, value_range = _values(frames, calibration, notes)
    metadata: dict[str, Any] = {
        "pixel_size_known": calibration.spacing_mm is not None,
        "notes": notes,
    }
    if value_range is not None:
        metadata["value_range"] = value_range
    spacing = calibration.spacing_mm or (1.0, 1.0)
    image = UltrasoundImage(
        np.asarray(frames, np.float32),
        values,
        PixelGrid((frames.shape[1], frames.shape[2]), spacing, calibration.origin_mm),
        frame_interval_s=calibration.frame_interval_s if len(frames) > 1 else None,
        metadata=metadata,
    )
    if calibration.note:
        image = apply_notes(image, calibration.note)
    return Opened([image])


@dataclass
class _Calibration:
    """What a file says about its pixels, its frames and its numbers."""

    spacing_mm: tuple[float, float] | None = None
    origin_mm: tuple[float, float] = (0.0, 0.0)
    frame_interval_s: float | None = None
    values: str | None = None
    value_range: tuple[float, float] | None = None
    has_colours: bool = False
    note: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def _read_png(path: Path) -> npt.NDArray[Any]:
    from skimage.io import imread

    header = starting_bytes(path, 29)
    if len(header) < 29 or header[12:16] != b"IHDR":
        raise FileFormatError(f"{path} is a damaged PNG file: it has no header")
    width, height, depth, colour = struct.unpack(">IIBB", header[16:26])
    if colour not in _PNG_CHANNELS or depth not in (1, 2, 4, 8, 16):
        raise FileFormatError(f"{path} is a damaged PNG file: unknown kind of pixel")
    packed = width * height * depth * _PNG_CHANNELS[colour] // 8
    if not 0 < width * height <= _PNG_MAX_PIXELS or (
        packed > _MAX_INFLATION * path.stat().st_size
    ):
        raise FileFormatError(
            f"{path} declares {width} x {height} pixels in {path.stat().st_size} bytes"
        )
    # Pillow gives SyntaxError for a broken chunk.
    try:
        return np.asarray(imread(path))
    except _DAMAGE as error:
        raise FileFormatError(f"{path} is a damaged PNG file: {error}") from error


def _read_npy(file: SourceFile) -> npt.NDArray[Any]:
    path, array = file.path, map_npy(file)
    if array.ndim not in (2, 3) or not 0 < array.size <= MAX_PIXELS:
        raise FileFormatError(
            f"{path} holds an array of shape {array.shape}; (Z, X) or (frames, Z, X) "
            f"of at most {MAX_PIXELS} values is expected"
        )
    return np.asarray(array if array.ndim == 3 else array[None])


def _read_tiff(path: SourceFile) -> tuple[npt.NDArray[Any], _Calibration]:
    import tifffile

    check_pages(path)
    damage: tuple[type[Exception], ...] = (tifffile.TiffFileError, *_DAMAGE)
    try:
        with (
            open_binary(path) as raw,
            tifffile.TiffFile(raw, _multifile=False) as tiff,
        ):
            refuse_references(path, tiff)
            series = tiff.series[0]
            kept = [
                (axis, size)
                for axis, size in zip(series.axes, series.shape, strict=True)
                if size != 1 or axis in "YX"
            ]
            axes = "".join(axis for axis, _ in kept)
            frame_axes = axes.removesuffix("S").removesuffix("YX")
            if (
                not axes.removesuffix("S").endswith("YX")
                or len(frame_axes) > 1
                or frame_axes not in _FRAME_AXES
            ):
                raise FileFormatError(
                    f"{path} has axes {series.axes} of sizes {tuple(series.shape)}; "
                    "one image or one stack of frames is expected"
                )
            _check_tiff_size(path, series)
            check_pieces(path, series.pages)
            calibration = _tiff_calibration(tiff, series)
            calibration.has_colours = axes.endswith("S")
            if len(tiff.series) > 1:
                calibration.notes.append(
                    f"only the first of {len(tiff.series)} image series was read"
                )
            stack = np.asarray(series.asarray()).reshape([size for _, size in kept])
    except damage as error:
        if isinstance(error, FileFormatError):
            raise
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path} is a damaged TIFF file: {text}") from error
    return stack if frame_axes else stack[None], calibration


def _check_tiff_size(path: SourceFile, series: Any) -> None:
    count = int(np.prod(series.shape, dtype=object))
    size = path.path.stat().st_size
    limit = size * (1 if series.keyframe.compression == 1 else _MAX_INFLATION)
    if series.dtype is None or series.dtype.kind not in "buif":
        raise FileFormatError(f"{path} has pixels of type {series.dtype}; numbers only")
    # Packed bits take an eighth of the bytes that they become.
    if not 0 < count <= MAX_PIXELS or count * series.dtype.itemsize > 8 * limit:
        raise FileFormatError(
            f"{path} declares shape {tuple(series.shape)} in {size} bytes; "
            f"at most {MAX_PIXELS} values are read"
        )


def _tiff_calibration(tiff: Any, series: Any) -> _Calibration:
    import tifffile

    if tiff.is_imagej:
        properties = tiff.imagej_metadata or {}
        unit = MILLIMETRES.get(str(properties.get("unit", "")).lower())
        tags = series.keyframe.tags
        spacing = None
        if unit and "XResolution" in tags and "YResolution" in tags:
            # Pixels a unit of length, as a fraction.
            across = [tags[name].value for name in ("YResolution", "XResolution")]
            spacing = _positive([unit * bottom / top for top, bottom in across])
        interval = _positive([properties.get("finterval", 0)])
        return _Calibration(
            spacing,
            frame_interval_s=interval[0] if interval else None,
            values=properties.get(VALUES_KEY),
            value_range=_stated_range(properties.get(RANGE_KEY)),
        )
    if tiff.is_ome:
        tree = tifffile.xml2dict(tiff.ome_metadata)
        pixels = _first_of(tree, "OME", "Image", "Pixels")
        sizes = [
            float(pixels.get(f"PhysicalSize{axis}", 0))
            * MILLIMETRES.get(
                str(pixels.get(f"PhysicalSize{axis}Unit", "um")).lower(), 0
            )
            for axis in "YX"
        ]
        seconds = {"s": 1.0, "ms": 1e-3}.get(str(pixels.get("TimeIncrementUnit", "s")))
        interval = _positive([float(pixels.get("TimeIncrement", 0)) * (seconds or 0)])
        calibration = _Calibration(_positive(sizes))
        calibration.frame_interval_s = interval[0] if interval else None
        note = _note_of(tree)
        if note:
            calibration.note, calibration.values = note, str(note["values"])
            origin = _stated_origin(note.get("origin_mm"))
            calibration.origin_mm = origin or calibration.origin_mm
        return calibration
    return _Calibration()


def _written_here(tiff: Any) -> bool:
    """Say whether an open TIFF is an OME-TIFF that says what its numbers are."""
    import tifffile

    return bool(tiff.is_ome and _note_of(tifffile.xml2dict(tiff.ome_metadata)))


def _note_of(tree: Any) -> dict[str, Any]:
    return unpack_notes(str(_first_of(tree, "OME", "Image").get("Description", "")))


def _first_of(tree: Any, *names: str) -> Mapping[str, Any]:
    """Give an element of an OME description, of several the first."""
    node = tree
    for name in names:
        node = node.get(name, {}) if isinstance(node, dict) else {}
        node = node[0] if isinstance(node, list | tuple) and node else node
    return node if isinstance(node, dict) else {}


def _stated_origin(pair: Any) -> tuple[float, float] | None:
    is_pair = isinstance(pair, list) and len(pair) == 2
    if not is_pair or not all(isinstance(number, int | float) for number in pair):
        return None
    return (float(pair[0]), float(pair[1])) if np.isfinite(pair).all() else None


def _stated_range(text: Any) -> tuple[float, float] | None:
    try:
        low, high = (float(number) for number in str(text).split())
    except ValueError:
        return None
    return (low, high) if np.isfinite([low, high]).all() and low < high else None


def _positive(sizes: list[float]) -> Any:
    numbers = tuple(float(size) for size in sizes)
    return numbers if all(np.isfinite(n) and n > 0 for n in numbers) else None


def _grey(
    stack: npt.NDArray[Any], may_have_colours: bool, notes: list[str]
) -> npt.NDArray[Any]:
    """Turn (frames, Z, X) or (frames, Z, X, colours) into (frames, Z, X)."""
    if stack.ndim == 3 or not may_have_colours:
        return stack
    if stack.shape[-1] in (2, 4):  # the last one is opacity
        stack = stack[..., :-1]
    first = stack[..., 0]
    if stack.shape[-1] == 1 or all(
        np.array_equal(first, stack[..., i]) for i in range(1, stack.shape[-1])
    ):
        return np.asarray(first)
    notes.append("colours were turned into grey (BT.601 luma)")
    frames = (frame[..., :3] @ _LUMA for frame in stack)
    if stack.dtype.kind == "f":
        return np.stack(list(frames))
    return np.stack([np.rint(frame).astype(stack.dtype) for frame in frames])


def _values(
    frames: npt.NDArray[Any], calibration: _Calibration, notes: list[str]
) -> tuple[Values, tuple[float, float] | None]:
    """Say what the numbers are, and which of them are black and white."""
    if calibration.values in get_args(Values):
        return cast(Values, calibration.values), calibration.value_range
    low, high = float(frames.min()), float(frames.max())
    if frames.dtype.kind == "f" and low >= -1 and 0 < high <= 2:
        return "display", (0.0, 1.0)
    if low < 0:
        notes.append("negative numbers were taken as decibels")
        return "db", None
    if frames.dtype.kind == "b":
        return "display", (0.0, 1.0)
    if frames.dtype.kind in "ui" and frames.dtype.itemsize > 1:
        return "display", (0.0, float(np.iinfo(frames.dtype).max))
    if frames.dtype.kind == "f" and not 0 < high <= 255:
        return "display", (0.0, max(high, 1.0))
    return "display", None
