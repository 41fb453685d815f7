"""TIFF images and stacks: their pixels, as grey or as colours, and their calibration.

Photometric interpretations are applied: white as zero is turned round, a palette looked
up, CMYK and YCbCr become RGB. A number of bits that a file states (12 bits a sample,
the significant bits of OME, the largest sample value) says what is white.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import SourceFile, open_binary
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.io.guards.tiff_pages import check_pages
from napari_usflow.io.guards.tiff_pieces import check_pieces
from napari_usflow.io.guards.tiff_references import refuse_references
from napari_usflow.io.outputs.usflow_metadata import (
    RANGE_KEY,
    VALUES_KEY,
    unpack_notes,
)

__all__ = ["MAX_PIXELS", "Calibration", "read_tiff", "says_its_values"]

MAX_PIXELS = 2**28
"""Largest number of values read from one file: 1 GiB as float32."""

# Neither deflate nor LZW shrinks by more than this.
_MAX_INFLATION = 1400
_FRAME_AXES = "TZIQR"
# A description that is no XML is a SyntaxError.
_DAMAGE: tuple[type[Exception], ...] = (*LIBRARY_ERRORS, SyntaxError)
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEGS = (6, 7, 33003, 33005, 34892)
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


@dataclass
class Calibration:
    """What a file says about its pixels, its frames and its numbers.

    ``white`` is the brightest value of the bits that it states; ``has_colours`` says
    that the last axis of its pixels is that of colours.
    """

    spacing_mm: tuple[float, float] | None = None
    origin_mm: tuple[float, float] = (0.0, 0.0)
    frame_interval_s: float | None = None
    values: str | None = None
    value_range: tuple[float, float] | None = None
    white: float | None = None
    significant_bits: int = 0
    has_colours: bool = False
    note: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_tiff(path: SourceFile) -> tuple[npt.NDArray[Any], Calibration]:
    """Read the first series of a file.

    Returns
    -------
    ndarray, shape (frames, Z, X), or with colours in a last axis
        As it is stored, with 0 as black.
    Calibration

    Raises
    ------
    FileFormatError
        When the file is damaged, too large, or its pixels are of a kind that is not
        read.
    """
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
            _check_tiff_size(path, series)
            check_pieces(path, series.pages)
            calibration = _tiff_calibration(tiff, series)
            if len(tiff.series) > 1:
                calibration.notes.append(
                    f"only the first of {len(tiff.series)} image series was read"
                )
            stack = np.asarray(series.asarray()).reshape([size for _, size in kept])
            if "S" in axes:
                stack = np.moveaxis(stack, axes.index("S"), -1)
            stack = _interpreted(path, stack, series.keyframe, calibration)
            calibration.has_colours |= "S" in axes
    except damage as error:
        if isinstance(error, FileFormatError):
            raise
        text = " ".join(str(error).split())[:200]
        if "requires the 'imagecodecs' package" in text:
            raise FileFormatError(
                f"{path} is compressed as {_compression(series)}, for which no decoder "
                'is installed: pip install "imagecodecs"'
            ) from error
        raise FileFormatError(f"{path} is a damaged TIFF file: {text}") from error
    return stack if frame_axes else stack[None], calibration


def _compression(series: Any) -> str:
    kind = series.keyframe.compression
    return str(getattr(kind, "name", kind))


def _interpreted(
    path: SourceFile, stack: npt.NDArray[Any], page: Any, calibration: Calibration
) -> npt.NDArray[Any]:
    """Apply the photometric interpretation: black is 0, colours are RGB."""
    kind, bits = int(page.photometric), int(page.bitspersample)
    if kind == _PALETTE and page.colormap is not None and stack.dtype.kind == "u":
        calibration.has_colours = True
        calibration.notes.append("the palette was applied")
        return _looked_up(path, stack, np.asarray(page.colormap))
    if kind == _CMYK and stack.shape[-1] >= 4 and stack.dtype.kind == "u":
        white = float(np.iinfo(stack.dtype).max)
        ink = stack.astype(np.float64) / white
        rgb = (1 - ink[..., :3]) * (1 - ink[..., 3:4])
        return np.rint(255 * rgb).astype(np.uint8)
    if kind == _YCBCR and int(page.compression) not in _JPEGS:
        return _rgb_of_ycbcr(path, stack)
    if kind not in (_WHITE_IS_ZERO, _GREY, _RGB, _YCBCR):
        name = getattr(page.photometric, "name", str(kind))
        raise FileFormatError(
            f"{path} has the photometric interpretation {name}; grey, palette, RGB, "
            "CMYK or YCbCr is read"
        )
    if 0 < calibration.significant_bits < bits:
        bits = calibration.significant_bits
    calibration.white = _stated_white(page, stack.dtype, bits)
    if kind != _WHITE_IS_ZERO:
        return stack
    calibration.notes.append("white is zero in the file: the values were turned round")
    return _turned_round(path, stack, calibration.white, bits)


def _stated_white(page: Any, dtype: np.dtype[Any], bits: int) -> float | None:
    """Return the brightest value that the bits of a page have, where it says so."""
    if dtype.kind not in "bu":
        return None
    if bits not in (8, 16, 32, 64):
        return float(2**bits - 1)
    tag = page.tags.get("MaxSampleValue")
    largest = np.max(tag.value) if tag is not None else 0
    if dtype.itemsize > 1 and 0 < largest <= np.iinfo(dtype).max:
        return float(largest)
    return None


def _turned_round(
    path: SourceFile, stack: npt.NDArray[Any], white: float | None, bits: int
) -> npt.NDArray[Any]:
    if stack.dtype.kind == "b":
        return ~stack
    if stack.dtype.kind == "u":
        brightest = int(white or 2**bits - 1)
        return (brightest - np.minimum(stack, brightest)).astype(stack.dtype)
    if stack.dtype.kind == "i":
        return ~stack
    low, high = float(np.nanmin(stack)), float(np.nanmax(stack))
    if low < 0 or high > 255:
        raise FileFormatError(
            f"{path} says that white is zero, of floats from {low:g} to {high:g}; from "
            "0 to 1 or to 255 was expected"
        )
    return np.asarray((1 if high <= 1 else 255) - stack, stack.dtype)


def _looked_up(
    path: SourceFile, stack: npt.NDArray[Any], table: npt.NDArray[Any]
) -> npt.NDArray[np.uint8]:
    """Return the colours (..., 3) of a palette, whose entries have 16 bits."""
    if table.ndim != 2 or table.shape[0] != 3 or int(stack.max()) >= table.shape[1]:
        raise FileFormatError(
            f"{path} has a palette of shape {table.shape} for values up to "
            f"{int(stack.max())}"
        )
    entries = table >> 8 if table.max() > 255 else table
    return np.moveaxis(entries.astype(np.uint8), 0, -1)[stack]


def _rgb_of_ycbcr(path: SourceFile, stack: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Convert by ITU-R BT.601."""
    if stack.shape[-1] != 3 or stack.dtype != np.uint8:
        raise FileFormatError(
            f"{path} holds YCbCr of shape {stack.shape} and type {stack.dtype}; three "
            "samples of 8 bits were expected"
        )
    luminance, blue, red = np.moveaxis(stack.astype(np.float64), -1, 0)
    blue, red = blue - 128, red - 128
    rgb = [
        luminance + 1.402 * red,
        luminance - 0.344136 * blue - 0.714136 * red,
        luminance + 1.772 * blue,
    ]
    return np.clip(np.rint(np.stack(rgb, -1)), 0, 255).astype(np.uint8)


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


def says_its_values(file: SourceFile) -> bool:
    """Say whether a TIFF notes what its numbers are, as those do that are written here.

    False for a damaged one.
    """
    import tifffile

    # Tags that are nonsense can fail in any way; another reader then says how.
    try:
        with open_binary(file) as raw, tifffile.TiffFile(raw) as tiff:
            properties = tiff.imagej_metadata or {}
            if VALUES_KEY in properties:
                return True
            return bool(tiff.is_ome and _note_of(tifffile.xml2dict(tiff.ome_metadata)))
    except Exception:  # noqa: BLE001
        return False


def _note_of(tree: Any) -> dict[str, Any]:
    return unpack_notes(str(_first_of(tree, "OME", "Image").get("Description", "")))


def _first_of(tree: Any, *names: str) -> Mapping[str, Any]:
    """Give an element of an OME description, of several the first."""
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
