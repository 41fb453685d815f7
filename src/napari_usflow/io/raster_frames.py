"""Frames of PNG, TIFF and NumPy files, read one at a time, as they are stored."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.colour import colour_axis
from napari_usflow.io.guards.file_checks import SourceFile, starting_bytes
from napari_usflow.io.guards.npy import map_npy
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.io.tiff_photometric import Calibration, interpretation

__all__ = ["MAX_PIXELS", "RasterFrames", "npy_frames", "png_frames", "tiff_frames"]

MAX_PIXELS = 2**28
"""Largest number of values read from one file: 1 GiB as float32."""

_MAX_FRAME_BYTES = 2**27
_PNG_MAX_PIXELS = 2**25
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Neither deflate nor LZW shrinks by more than this.
_MAX_INFLATION = 1400
# Pillow gives SyntaxError for a broken chunk.
_PNG_DAMAGE: tuple[type[Exception], ...] = (*LIBRARY_ERRORS, SyntaxError)


@dataclass(frozen=True)
class RasterFrames:
    """The frames of an open file.

    Attributes
    ----------
    shape : (int, int, int)
        Frames, rows, columns.
    dtype : dtype
        What the file holds.
    read : callable
        Gives a frame by its index: (Z, X), or (Z, X, colours).
    is_packed : bool
        Whether a frame is unpacked when it is read.
    has_colours : bool
        Whether a frame may have a last axis of colours.
    white : float, optional
        The brightest value of the bits that the file states.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    read: Callable[[int], npt.NDArray[Any]]
    is_packed: bool = False
    has_colours: bool = False
    white: float | None = None


def png_frames(path: Path) -> RasterFrames:
    """Look at the header of a PNG.

    Raises
    ------
    FileFormatError
        When it is damaged, or declares more than the file can hold.
    """
    header = starting_bytes(path, 41)
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

    def read(index: int) -> npt.NDArray[Any]:
        from skimage.io import imread

        try:
            pixels = np.asarray(imread(path))
        except _PNG_DAMAGE as error:
            raise FileFormatError(f"{path} is a damaged PNG file: {error}") from error
        if pixels.dtype.kind == "b":
            return np.where(pixels, np.uint8(255), np.uint8(0))
        return pixels.astype(dtype, copy=False)  # Pillow widens 16 bits to 32

    dtype = np.dtype(np.uint16 if depth == 16 else np.uint8)
    # It then says that its samples fill the 16 bits.
    white = 65535.0 if depth == 16 and header[37:41] == b"sBIT" else None
    return RasterFrames((1, height, width), dtype, read, True, True, white)


def npy_frames(file: SourceFile, raw: BinaryIO) -> RasterFrames:
    """Look at the header of a NumPy file.

    Parameters
    ----------
    file : SourceFile
    raw : file
        The same file, which stays open while frames are read.

    Raises
    ------
    FileFormatError
        When it is damaged, or its shape is not that of frames.
    """
    path, array = file.path, map_npy(file, kinds="buifc")
    axis = colour_axis(array)
    if axis is not None and array.size <= MAX_PIXELS:
        colours = np.moveaxis(array, axis, -1)
        colours = colours[None] if colours.ndim == 3 else colours
        _check_frame(path, colours.shape[1:], colours.dtype)
        count, rows, columns = colours.shape[:3]
        return RasterFrames(
            (count, rows, columns),
            colours.dtype,
            lambda index: np.asarray(colours[index]),
            has_colours=True,
        )
    if array.ndim not in (2, 3) or not 0 < array.size <= MAX_PIXELS:
        raise FileFormatError(
            f"{path} holds an array of shape {array.shape}; (Z, X) or (frames, Z, X) "
            f"of at most {MAX_PIXELS} values is expected"
        )
    stack = array if array.ndim == 3 else array[None]
    count, rows, columns = stack.shape
    _check_frame(path, (rows, columns), stack.dtype)

    def read(index: int) -> npt.NDArray[Any]:
        if not stack.flags.c_contiguous:
            return np.asarray(stack[index])
        # Pages of a mapped file count as memory until something else wants it.
        size = rows * columns
        start = int(array.offset) + index * size * stack.dtype.itemsize  # type: ignore[attr-defined]
        raw.seek(start)
        frame = np.fromfile(raw, stack.dtype, size)
        return frame.reshape(rows, columns)

    return RasterFrames((count, rows, columns), stack.dtype, read)


def tiff_frames(
    path: SourceFile,
    tiff: Any,
    series: Any,
    raw: BinaryIO,
    axes: str,
    calibration: Calibration,
) -> RasterFrames:
    """Look at a series of an open TIFF.

    Parameters
    ----------
    path : SourceFile
    tiff, series : tifffile.TiffFile, tifffile.TiffPageSeries
    raw : file
        What ``tiff`` was opened on.
    axes : str
        Those of the series that are longer than one, ``YX`` and ``S`` in any case: at
        most one before them, and ``S`` (samples) before or behind ``YX``.

    calibration : Calibration
        Gets notes on the photometric interpretation, which is applied.

    Raises
    ------
    FileFormatError
        When it declares more than the file can hold, or its pixels are of a kind that
        is not read.
    """
    _check_tiff_size(path, series)
    sizes = dict(zip(series.axes, series.shape, strict=True))
    has_colours = "S" in axes
    order = "SYX" if axes.endswith("SYX") else "YXS" if has_colours else "YX"
    frame = tuple(int(sizes[axis]) for axis in order)
    count = int(math.prod(series.shape)) // math.prod(frame)
    dtype = series.dtype.newbyteorder(tiff.byteorder)
    _check_frame(path.path, frame, dtype)

    def contiguous(index: int) -> npt.NDArray[Any]:
        size = math.prod(frame) * dtype.itemsize
        raw.seek(series.dataoffset + index * size)
        return np.frombuffer(raw.read(size), dtype).reshape(frame)

    def page(index: int) -> npt.NDArray[Any]:
        page = series.pages[index]
        if page is None:
            return np.zeros(frame, dtype)
        return np.asarray(page.asarray()).reshape(frame)

    read: Callable[[int], npt.NDArray[Any]]
    if series.dataoffset is not None:
        read = contiguous
    elif len(series.pages) == count:
        read = page
    else:
        _check_frame(path.path, (count, *frame), dtype)
        stack = np.asarray(series.asarray()).reshape(count, *frame)
        read = lambda index: np.asarray(stack[index])  # noqa: E731
    shown = interpretation(path, series.keyframe, dtype, calibration)
    planar = order == "SYX"

    def interpreted(index: int) -> npt.NDArray[Any]:
        stored = read(index)
        return shown.apply(np.moveaxis(stored, 0, -1) if planar else stored)

    return RasterFrames(
        (count, int(sizes["Y"]), int(sizes["X"])),
        shown.dtype,
        interpreted,
        series.keyframe.compression != 1,
        has_colours or shown.makes_colours,
        shown.white,
    )


def _check_frame(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    size = math.prod(shape) * dtype.itemsize
    if size > _MAX_FRAME_BYTES:
        raise FileFormatError(
            f"{path} has frames of shape {shape} ({size_text(size)} each); at most "
            f"{size_text(_MAX_FRAME_BYTES)} are read"
        )


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
