"""PNG images; TIFF images or stacks; NumPy arrays of one or the other.

A pixel size is believed only where it is one: OME-TIFF's physical size, and ImageJ's
resolution with a unit of length. The resolution of other files is a number of dots
meant for a printer. Where it is unknown the grid has a spacing of 1 mm, which is to be
replaced, and ``metadata["pixel_size_known"]`` is False. The first pixel is put at
(0, 0): such files do not say where the probe was.

What the numbers are the note says that an OME-TIFF written here carries
(:mod:`~napari_usflow.io.outputs.usflow_metadata`), or the ImageJ property
``usflow_values`` (``db``, ``envelope`` or ``display``), with ``usflow_value_range``
(``low high``) as black and white; or the number of bits that a file states. Otherwise
:mod:`~napari_usflow.io.meaning` finds out. Colours become grey; where they show flow,
the image says so as in :mod:`napari_usflow.io.dicom`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.colour import (
    COLOUR_FLOW,
    as_8_bit,
    grey_of_colours,
    shows_colour_flow,
)
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
from napari_usflow.io.tiff_photometric import Calibration
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
OPTIONS = ("outline", "as_grey")

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FRAME_AXES = "TZIQR"
_COLOURS = "colours were turned into grey (BT.601 luma)"
# A description that is no XML is a SyntaxError.
_DAMAGE: tuple[type[Exception], ...] = (*LIBRARY_ERRORS, SyntaxError)
_LOOKED_AT = 5
# Of stacks of 64 bits, which are read by frame above it.
_MOST_HELD_BYTES = 2**28
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


def open_file(
    file: SourceFile, *, outline: bool = False, as_grey: bool = False
) -> Opened:
    """Open an image or a stack, which is read whole; colours become grey.

    Parameters
    ----------
    file : SourceFile
    outline : bool
        Unpack nothing: pixels that are compressed are read when they are looked at.
        What their numbers are (``values`` of ``details``) is None where only they
        could tell.
    as_grey : bool
        Take no colours for flow.

    Raises
    ------
    FileFormatError
        When the file is damaged, too large or not an image of frames.
    """
    regular_file(file)
    details: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    colours: Any = None
    with _opened(file) as (frames, calibration):
        notes = calibration.notes
        values, is_stated = _stated_values(frames, calibration, metadata)
        if outline and frames.is_packed:
            data: Any = lazy_stack(partial(_frame, file), frames.shape)
            if not is_stated and frames.dtype != np.uint8:
                details = {"values": None}
        else:
            data, shows_flow = (
                (lazy_stack(partial(_stored, file), frames.shape, frames.dtype), False)
                if _stays_in_its_file(frames)
                else _grey_stack(frames, notes, as_grey)
            )
            if shows_flow:
                metadata["not_for_denoising"] = COLOUR_FLOW
                shape = (*frames.shape, 3)
                colours = lazy_stack(partial(_colours, file), shape, np.uint8)
            if is_stated:
                data = data.astype(np.float32, copy=False)
            else:
                metadata["values_known"] = False
                metadata["stored_dtype"] = frames.dtype.str
    metadata["pixel_size_known"] = calibration.spacing_mm is not None
    metadata["notes"] = notes
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
    return Opened([image], colours=[colours], details=details)


def _stays_in_its_file(frames: RasterFrames) -> bool:
    """Return whether a stack takes much more memory as stored than as float32."""
    wide = frames.dtype.itemsize > 4 and not frames.has_colours
    return wide and math.prod(frames.shape) * frames.dtype.itemsize > _MOST_HELD_BYTES


def _stored(file: SourceFile, index: int) -> npt.NDArray[Any]:
    with _opened(file) as (frames, _):
        return frames.read(index)


def _frame(file: SourceFile, index: int) -> npt.NDArray[np.float32]:
    with _opened(file) as (frames, _):
        frame = frames.read(index)
        grey = grey_of_colours(frame)[0] if frame.ndim == 3 else frame
    return np.asarray(grey, np.float32)


def _colours(file: SourceFile, index: int) -> npt.NDArray[np.uint8]:
    with _opened(file) as (frames, _):
        return as_8_bit(frames.read(index))


@contextmanager
def _opened(file: SourceFile) -> Iterator[tuple[RasterFrames, Calibration]]:
    """Open a file of any kind, to read its frames while it is open."""
    kind = detect(file)
    if kind == "tiff":
        with _open_tiff(file) as opened:
            yield opened
    elif kind == "png":
        yield png_frames(file.path), Calibration()
    else:
        with open_binary(file) as raw:
            yield npy_frames(file, raw), Calibration()


@contextmanager
def _open_tiff(path: SourceFile) -> Iterator[tuple[RasterFrames, Calibration]]:
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
            frame_axes = axes.replace("S", "").removesuffix("YX")
            if (
                not axes.replace("S", "").endswith("YX")
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
            frames = tiff_frames(path, tiff, series, raw, axes, calibration)
            yield frames, calibration
    except damage as error:
        if isinstance(error, FileFormatError):
            raise
        text = " ".join(str(error).split())[:200]
        if "requires the 'imagecodecs' package" in text:
            raise FileFormatError(
                f"{path} is packed in a way for which no decoder is installed "
                f'({text}): pip install "imagecodecs"'
            ) from error
        raise FileFormatError(f"{path} is a damaged TIFF file: {text}") from error


def _tiff_calibration(tiff: Any, series: Any) -> Calibration:
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
        return Calibration(
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
        calibration = Calibration(_positive(sizes))
        calibration.significant_bits = _whole(pixels.get("SignificantBits"))
        calibration.frame_interval_s = interval[0] if interval else None
        note = _note_of(tree)
        if note:
            calibration.note, calibration.values = note, str(note["values"])
            origin = _stated_origin(note.get("origin_mm"))
            calibration.origin_mm = origin or calibration.origin_mm
        return calibration
    return Calibration()


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


def _whole(text: Any) -> int:
    try:
        return int(text or 0)
    except (TypeError, ValueError):
        return 0


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
    frames: RasterFrames, notes: list[str], as_grey: bool
) -> tuple[npt.NDArray[Any], bool]:
    """Read all frames as grey (frames, Z, X); say whether any shows colour flow."""
    # float32 holds the small types as they are, and need not be copied later.
    small = frames.dtype.kind in "uib" and frames.dtype.itemsize <= 2
    stack = np.empty(frames.shape, np.float32 if small else frames.dtype)
    last = len(stack) - 1
    looked_at = {round(part * last) for part in np.linspace(0, 1, _LOOKED_AT)}
    shows_flow = False
    for index in range(len(stack)):
        frame = frames.read(index)
        if frame.ndim == 3:
            grey, is_tinted = grey_of_colours(frame)
            if is_tinted and _COLOURS not in notes:
                notes.append(_COLOURS)
            if is_tinted and not as_grey and index in looked_at:
                shows_flow = shows_flow or shows_colour_flow(as_8_bit(frame))
            frame = grey
        stack[index] = frame
    return stack, shows_flow


def _stated_values(
    frames: RasterFrames, calibration: Calibration, metadata: dict[str, Any]
) -> tuple[Values, bool]:
    """Return what the file says that its numbers are, and whether it says so."""
    if calibration.values in get_args(Values):
        if calibration.value_range is not None:
            metadata["value_range"] = calibration.value_range
        return cast(Values, calibration.values), True
    if frames.white is not None:
        metadata["value_range"] = (0.0, frames.white)
    return "display", frames.white is not None
