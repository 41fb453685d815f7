"""The photometric interpretation of a TIFF: black is 0, colours are RGB.

White as zero is turned round, a palette looked up, CMYK and YCbCr become RGB. A number
of bits that a file states (12 bits a sample, the significant bits of OME, the largest
sample value) says what is white.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import SourceFile

__all__ = ["Calibration", "Interpretation", "interpretation"]

_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEGS = (6, 7, 33003, 33005, 34892)

Frame = npt.NDArray[Any]


@dataclass
class Calibration:
    """Description of a file's pixels, frames and numbers.

    ``significant_bits`` are those of OME, 0 for none.
    """

    spacing_mm: tuple[float, float] | None = None
    origin_mm: tuple[float, float] = (0.0, 0.0)
    frame_interval_s: float | None = None
    values: str | None = None
    value_range: tuple[float, float] | None = None
    significant_bits: int = 0
    note: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Interpretation:
    """Conversion of a stored frame.

    Attributes
    ----------
    apply : callable
        Turns a frame (Z, X) or (Z, X, samples) into grey or RGB.
    dtype : dtype
        Of its result.
    makes_colours : bool
        Whether it makes RGB of a frame without samples.
    white : float, optional
        The brightest value of the bits that the file states.
    """

    apply: Callable[[Frame], Frame]
    dtype: np.dtype[Any]
    makes_colours: bool = False
    white: float | None = None


def interpretation(
    path: SourceFile, page: Any, dtype: np.dtype[Any], calibration: Calibration
) -> Interpretation:
    """Return how the frames of a series are understood, by its first page.

    Raises
    ------
    FileFormatError
        When its photometric interpretation is not read.
    """
    kind, bits = int(page.photometric), int(page.bitspersample)
    eight = np.dtype(np.uint8)
    if kind == _PALETTE and page.colormap is not None and dtype.kind == "u":
        calibration.notes.append("the palette was applied")
        table = np.asarray(page.colormap)
        return Interpretation(partial(_looked_up, path, table), eight, True)
    if kind == _CMYK and dtype.kind == "u":
        return Interpretation(partial(_rgb_of_cmyk, path), eight)
    if kind == _YCBCR and int(page.compression) not in _JPEGS:
        return Interpretation(partial(_rgb_of_ycbcr, path), eight)
    if kind not in (_WHITE_IS_ZERO, _GREY, _RGB, _YCBCR):
        name = getattr(page.photometric, "name", str(kind))
        raise FileFormatError(
            f"{path} has the photometric interpretation {name}; grey, palette, RGB, "
            "CMYK or YCbCr is read"
        )
    if 0 < calibration.significant_bits < bits:
        bits = calibration.significant_bits
    white = _stated_white(page, dtype, bits)
    if kind != _WHITE_IS_ZERO:
        return Interpretation(_as_it_is, dtype, white=white)
    calibration.notes.append("white is zero in the file: the values were turned round")
    turned = partial(_turned_round, path, white=white, bits=bits)
    return Interpretation(turned, dtype, white=white)


def _as_it_is(frame: Frame) -> Frame:
    return frame


def _rgb_of_cmyk(path: SourceFile, frame: Frame) -> npt.NDArray[np.uint8]:
    if frame.ndim != 3 or frame.shape[-1] < 4:
        raise FileFormatError(
            f"{path} holds CMYK of shape {frame.shape}; four samples were expected"
        )
    ink = frame.astype(np.float64) / float(np.iinfo(frame.dtype).max)
    rgb = (1 - ink[..., :3]) * (1 - ink[..., 3:4])
    return np.rint(255 * rgb).astype(np.uint8)


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
        return np.asarray(brightest - np.minimum(stack, brightest), stack.dtype)
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
    path: SourceFile, table: npt.NDArray[Any], stack: npt.NDArray[Any]
) -> npt.NDArray[np.uint8]:
    """Return the colours (..., 3) of a palette, whose entries have 16 bits."""
    if table.ndim != 2 or table.shape[0] != 3 or int(stack.max()) >= table.shape[1]:
        raise FileFormatError(
            f"{path} has a palette of shape {table.shape} for values up to "
            f"{int(stack.max())}"
        )
    entries = table >> 8 if table.max() > 255 else table
    return np.asarray(np.moveaxis(entries.astype(np.uint8), 0, -1)[stack])


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
    return np.asarray(np.clip(np.rint(np.stack(rgb, -1)), 0, 255), np.uint8)
