"""PNG images; TIFF images or stacks; NumPy arrays of one or the other.

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

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import (
    SourceFile,
    open_binary,
    regular_file,
)
from napari_usflow.io.guards.npy import SIGNATURE
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.io.guards.tiff_pages import check_pages
from napari_usflow.io.guards.tiff_pieces import check_pieces
from napari_usflow.io.guards.tiff_references import (
    refuse_entities,
    refuse_references,
)
from napari_usflow.io.opened import Opened
from napari_usflow.io.outputs.usflow_metadata import (
    RANGE_KEY,
    VALUES_KEY,
    apply_notes,
    unpack_notes,
)
from napari_usflow.io.raster_frames import (
    RasterFrames,
    npy_frames,
    png_frames,
    tiff_frames,
)
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage, Values
from napari_usflow.ultrasound.lazy_frames import lazy_stack

__all__ = [
    "OPTIONS",
    "TITLE",
    "detect",
    "is_left_to_others",
    "open_file",
]

TITLE = "PNG, TIFF and NumPy images"
PATTERNS = ("*.tif", "*.tiff")
OPTIONS = ("outline",)

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FRAME_AXES = "TZIQR"
_COLOURS = "colours were turned into grey (BT.601 luma)"
# A description that is no XML is a SyntaxError.
_DAMAGE: tuple[type[Exception], ...] = (*LIBRARY_ERRORS, SyntaxError)
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_UNITS_MM = {
    "nm": 1e-6,
    **dict.fromkeys(
        ("um", "\u00b5m", "\u03bcm", "\\u00b5m", "micron", "microns"), 1e-3
    ),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
    **dict.fromkeys(("m", "meter", "metre"), 1e3),
    **dict.fromkeys(("inch", "in"), 25.4),
}


def detect(file: SourceFile) -> str | None:
    """Return ``png``, ``tiff`` or ``npy`` by the first bytes of a file, else None."""
    if file.start.startswith(_PNG):
        return "png"
    if file.start.startswith(SIGNATURE):
        return "npy"
    return "tiff" if file.start[:4] in _TIFF else None


def is_left_to_others(file: SourceFile, kind: str) -> bool:
    """Whether it is a picture like any other: only a TIFF says what its numbers are."""
    if kind != "tiff":
        return True
    from tifffile import TiffFile

    # Tags that are nonsense can fail in any way; napari's reader then says how.
    try:
        with open_binary(file) as raw, TiffFile(raw) as tiff:
            refuse_entities(file, tiff)
            properties = tiff.imagej_metadata or {}
            return VALUES_KEY not in properties and not _written_here(tiff)
    except Exception:  # noqa: BLE001
        return True


def open_file(file: SourceFile, *, outline: bool = False) -> Opened:
    """Open an image or a stack, which is read whole; colours become grey.

    Parameters
    ----------
    file : SourceFile
    outline : bool
        Unpack nothing: pixels that are compressed are read when they are looked at.
        What their numbers are (``values`` of ``details``) is None where only they
        could tell.

    Raises
    ------
    FileFormatError
        When the file is damaged, too large or not an image of frames.
    """
    regular_file(file)
    with _opened(file) as (frames, calibration):
        notes = list(calibration.notes)
        details: dict[str, Any] = {}
        if outline and frames.is_packed:
            values, value_range, details = _stated_values(frames, calibration)
            data: Any = lazy_stack(partial(_frame, file), frames.shape)
        else:
            data, low, high = _grey_stack(file, frames, notes)
            values, value_range = _values(frames.dtype, low, high, calibration, notes)
    metadata: dict[str, Any] = {
        "pixel_size_known": calibration.spacing_mm is not None,
        "notes": notes,
    }
    if value_range is not None:
        metadata["value_range"] = value_range
    count, rows, columns = frames.shape
    spacing = calibration.spacing_mm or (1.0, 1.0)
    image = UltrasoundImage(
        data,
        values,
        PixelGrid((rows, columns), spacing, calibration.origin_mm),
        frame_interval_s=calibration.frame_interval_s if count > 1 else None,
        metadata=metadata,
    )
    if calibration.note:
        image = apply_notes(image, calibration.note)
    return Opened([image], details=details)


def _frame(file: SourceFile, index: int) -> npt.NDArray[np.float32]:
    return np.asarray(open_file(file).images[0].data[index])


@contextmanager
def _opened(file: SourceFile) -> Iterator[tuple[RasterFrames, _Calibration]]:
    """Open a file of any kind, to read its frames while it is open."""
    kind = detect(file)
    if kind == "tiff":
        with _open_tiff(file) as opened:
            yield opened
    else:
        frames = png_frames(file.path) if kind == "png" else npy_frames(file)
        yield frames, _Calibration()


@dataclass
class _Calibration:
    """What a file says about its pixels, its frames and its numbers."""

    spacing_mm: tuple[float, float] | None = None
    origin_mm: tuple[float, float] = (0.0, 0.0)
    frame_interval_s: float | None = None
    values: str | None = None
    value_range: tuple[float, float] | None = None
    note: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@contextmanager
def _open_tiff(path: SourceFile) -> Iterator[tuple[RasterFrames, _Calibration]]:
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
            sizes = zip(series.axes, series.shape, strict=True)
            axes = "".join(axis for axis, n in sizes if n != 1 or axis in "YX")
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
            check_pieces(path, series.pages)
            calibration = _tiff_calibration(tiff, series)
            if len(tiff.series) > 1:
                calibration.notes.append(
                    f"only the first of {len(tiff.series)} image series was read"
                )
            yield tiff_frames(path, tiff, series, raw, axes), calibration
    except damage as error:
        if isinstance(error, FileFormatError):
            raise
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path} is a damaged TIFF file: {text}") from error


def _tiff_calibration(tiff: Any, series: Any) -> _Calibration:
    import tifffile

    if tiff.is_imagej:
        properties = tiff.imagej_metadata or {}
        unit = _UNITS_MM.get(str(properties.get("unit", "")).lower())
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
            * _UNITS_MM.get(str(pixels.get(f"PhysicalSize{axis}Unit", "um")).lower(), 0)
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
    """Return whether an open TIFF is an OME-TIFF that says what its numbers are."""
    import tifffile

    return bool(tiff.is_ome and _note_of(tifffile.xml2dict(tiff.ome_metadata)))


def _note_of(tree: Any) -> dict[str, Any]:
    return unpack_notes(str(_first_of(tree, "OME", "Image").get("Description", "")))


def _first_of(tree: Any, *names: str) -> Mapping[str, Any]:
    """Return an element of an OME description, of several the first."""
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


def _grey_stack(
    file: SourceFile, frames: RasterFrames, notes: list[str]
) -> tuple[npt.NDArray[np.float32], float, float]:
    """Read all frames as (frames, Z, X); give the least and the largest number too."""
    stack = np.empty(frames.shape, np.float32)
    edges = []
    for index in range(len(stack)):
        frame = frames.read(index)
        if frame.ndim == 3:
            frame = _grey(frame, notes)
        with np.errstate(over="ignore"):  # becomes infinite, which is refused here
            stack[index] = frame
        if not np.isfinite(stack[index]).all():
            raise FileFormatError(f"{file} holds values that are not finite")
        edges += [float(frame.min()), float(frame.max())]
    return stack, min(edges), max(edges)


def _grey(frame: npt.NDArray[Any], notes: list[str]) -> npt.NDArray[Any]:
    """Turn a frame (Z, X, colours) into (Z, X)."""
    if frame.shape[-1] in (2, 4):  # the last one is opacity
        frame = frame[..., :-1]
    first = frame[..., 0]
    if all(np.array_equal(first, frame[..., i]) for i in range(1, frame.shape[-1])):
        return np.asarray(first)
    if _COLOURS not in notes:
        notes.append(_COLOURS)
    grey = np.empty(first.shape, frame.dtype)
    # Line by line: the sum is one of 64 bits.
    for line, colours in zip(grey, frame, strict=True):
        luma = colours[:, :3] @ _LUMA
        line[:] = luma if frame.dtype.kind == "f" else np.rint(luma)
    return grey


def _stated_values(
    frames: RasterFrames, calibration: _Calibration
) -> tuple[Values, tuple[float, float] | None, dict[str, Any]]:
    """Return what the numbers are without a look at them."""
    is_stated = calibration.values in get_args(Values) or frames.dtype.kind in "bu"
    low, high = (0.0, 255.0)
    values, value_range = _values(frames.dtype, low, high, calibration, [])
    return values, value_range, {} if is_stated else {"values": None}


def _values(
    dtype: np.dtype[Any],
    low: float,
    high: float,
    calibration: _Calibration,
    notes: list[str],
) -> tuple[Values, tuple[float, float] | None]:
    """Return what numbers from ``low`` to ``high`` are; which are black and white."""
    if calibration.values in get_args(Values):
        return cast(Values, calibration.values), calibration.value_range
    if dtype.kind == "f" and low >= -1 and 0 < high <= 2:
        return "display", (0.0, 1.0)
    if low < 0:
        notes.append("negative numbers were taken as decibels")
        return "db", None
    if dtype.kind == "b":
        return "display", (0.0, 1.0)
    if dtype.kind in "ui" and dtype.itemsize > 1:
        return "display", (0.0, float(np.iinfo(dtype).max))
    if dtype.kind == "f" and not 0 < high <= 255:
        return "display", (0.0, max(high, 1.0))
    return "display", None
