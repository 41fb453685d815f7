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

import struct
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.colour import (
    COLOUR_FLOW,
    as_8_bit,
    colour_axis,
    grey_of_colours,
    stack_shows_colour_flow,
)
from napari_usflow.io.guards.file_checks import (
    SourceFile,
    regular_file,
    starting_bytes,
)
from napari_usflow.io.guards.npy import SIGNATURE, map_npy
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.io.opened import Opened
from napari_usflow.io.outputs.usflow_metadata import apply_notes
from napari_usflow.io.tiff_images import (
    MAX_PIXELS,
    Calibration,
    read_tiff,
    says_its_values,
)
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage, Values

__all__ = [
    "OPTIONS",
    "TITLE",
    "detect",
    "is_left_to_others",
    "open_file",
    "opened_pixels",
]

TITLE = "PNG, TIFF and NumPy images"
OPTIONS = ("as_grey",)

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_MAX_PIXELS = 2**26
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Deflate does not shrink by more than this.
_MAX_INFLATION = 1400
# Pillow gives SyntaxError for a broken chunk.
_DAMAGE: tuple[type[Exception], ...] = (*LIBRARY_ERRORS, SyntaxError)


def detect(file: SourceFile) -> str | None:
    """Return ``png``, ``tiff`` or ``npy`` by the first bytes of a file, else None."""
    if file.start.startswith(_PNG):
        return "png"
    if file.start.startswith(SIGNATURE):
        return "npy"
    return "tiff" if file.start[:4] in _TIFF else None


def is_left_to_others(file: SourceFile, kind: str) -> bool:
    """Whether it is a picture like any other: only a TIFF says what its numbers are."""
    return kind != "tiff" or not says_its_values(file)


def open_file(file: SourceFile, *, as_grey: bool = False) -> Opened:
    """Open an image or a stack, which is read whole; colours become grey.

    Raises
    ------
    FileFormatError
        When the file is damaged, too large or not an image of frames.
    """
    kind, path = detect(file), regular_file(file)
    if kind == "png":
        calibration = Calibration()
        stack = _read_png(path, calibration)[None]
        calibration.has_colours = stack.ndim == 4
    elif kind == "tiff":
        stack, calibration = read_tiff(file)
    else:
        stack, calibration = _read_npy(file)
    return opened_pixels(stack, calibration, as_grey=as_grey)


def opened_pixels(
    stack: npt.NDArray[Any], calibration: Calibration, *, as_grey: bool = False
) -> Opened:
    """Make an image of the pixels of a picture or a stack of them.

    Parameters
    ----------
    stack : ndarray, shape (frames, Z, X), or with colours in a last axis
        As it is stored.
    calibration : Calibration
        What the file says.
    as_grey : bool
        Take no colours for flow.
    """
    notes, colours = list(calibration.notes), None
    metadata: dict[str, Any] = {
        "pixel_size_known": calibration.spacing_mm is not None,
        "notes": notes,
    }
    frames = stack
    if calibration.has_colours and stack.ndim == 4:
        frames, is_tinted = grey_of_colours(stack)
        if is_tinted:
            notes.append("colours were turned into grey (BT.601 luma)")
            if not as_grey and stack_shows_colour_flow(stack):
                metadata["not_for_denoising"] = COLOUR_FLOW
                colours = np.stack([as_8_bit(frame) for frame in stack])
    values: Values = "display"
    if calibration.values in get_args(Values):
        values = cast(Values, calibration.values)
        if calibration.value_range is not None:
            metadata["value_range"] = calibration.value_range
    elif calibration.white is not None:
        metadata["value_range"] = (0.0, calibration.white)
    else:
        metadata["values_known"] = False
    if metadata.get("values_known") is not False:
        frames = np.asarray(frames, np.float32)
    image = UltrasoundImage(
        frames,
        values,
        PixelGrid(
            (frames.shape[1], frames.shape[2]),
            calibration.spacing_mm or (1.0, 1.0),
            calibration.origin_mm,
        ),
        frame_interval_s=calibration.frame_interval_s if len(frames) > 1 else None,
        metadata=metadata,
    )
    if calibration.note:
        image = apply_notes(image, calibration.note)
    return Opened([image], colours=[colours])


def _read_png(path: Path, calibration: Calibration) -> npt.NDArray[Any]:
    from skimage.io import imread

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
    if depth == 16 and header[37:41] == b"sBIT":
        calibration.white = 65535.0  # it says that its samples fill the 16 bits
    try:
        pixels = np.asarray(imread(path))
    except _DAMAGE as error:
        raise FileFormatError(f"{path} is a damaged PNG file: {error}") from error
    if pixels.dtype.kind == "b":
        return np.where(pixels, np.uint8(255), np.uint8(0))
    # Pillow widens 16 bits to 32.
    return pixels.astype(np.uint16) if depth == 16 else pixels


def _read_npy(file: SourceFile) -> tuple[npt.NDArray[Any], Calibration]:
    path, array = file.path, map_npy(file, kinds="buifc")
    axis = colour_axis(array)
    wanted = (2, 3) if axis is None else (3, 4)
    if array.ndim not in wanted or not 0 < array.size <= MAX_PIXELS:
        raise FileFormatError(
            f"{path} holds an array of shape {array.shape}; (Z, X) or (frames, Z, X) "
            f"of at most {MAX_PIXELS} values is expected"
        )
    stack = np.asarray(array if axis is None else np.moveaxis(array, axis, -1))
    flat = stack.ndim == (2 if axis is None else 3)
    return stack[None] if flat else stack, Calibration(has_colours=axis is not None)
