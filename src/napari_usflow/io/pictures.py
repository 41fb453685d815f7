"""JPEG pictures and GIF clips, decoded by Pillow after a look at what they declare.

A JPEG is turned as its EXIF data say; CMYK becomes RGB. A GIF is a stack of its frames
as they are shown, each laid over the one before. Colours become grey; where they show
flow, the image says so as in :mod:`napari_usflow.io.dicom`. The size of a pixel is not
known: the resolution in a JPEG is a number of dots meant for a printer.
"""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.colour import COLOUR_FLOW, luma, shows_colour_flow
from napari_usflow.io.guards.file_checks import SourceFile, open_binary, regular_file
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.io.guards.picture_sizes import gif_size, jpeg_size
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = ["PATTERNS", "TITLE", "detect", "is_left_to_others", "open_file"]

TITLE = "JPEG and GIF pictures"
PATTERNS: tuple[str, ...] = ()

_JPEG = b"\xff\xd8\xff"
_GIF = (b"GIF87a", b"GIF89a")
_MAX_JPEG_PIXELS = 2**26
_MAX_GIF_PIXELS = 2**24
_MAX_GIF_VALUES = 2**28
# A block of 8 x 8 pixels takes a bit at least.
_JPEG_PIXELS_A_BYTE = 600
_UNEVEN = 0.1
_ORIENTATION = 0x0112
# Pillow gives SyntaxError for a broken header.
_DAMAGE: tuple[type[Exception], ...] = (*LIBRARY_ERRORS, SyntaxError)


def detect(file: SourceFile) -> str | None:
    """Return ``jpeg`` or ``gif`` by the first bytes of a file, else None."""
    if file.start.startswith(_JPEG):
        return "jpeg"
    return "gif" if file.start[:6] in _GIF else None


def is_left_to_others(file: SourceFile, kind: str) -> bool:
    """Whether it is a picture like any other, which napari shows itself."""
    return True


def open_file(file: SourceFile) -> Opened:
    """Open a picture or a clip, which is read whole; colours become grey.

    Raises
    ------
    FileFormatError
        When the file is damaged, or declares more pixels than it can hold.
    """
    regular_file(file)
    notes: list[str] = []
    interval_s = None
    if detect(file) == "jpeg":
        stack = _read_jpeg(file, notes)[None]
    else:
        stack, interval_s = _read_gif(file, notes)
    metadata: dict[str, Any] = {"pixel_size_known": False, "notes": notes}
    colours = None
    common = stack if stack.ndim == 3 else _grey(stack)
    if common is None:
        notes.append("colours were turned into grey (BT.601 luma)")
        looked_at = {0, len(stack) // 2, len(stack) - 1}
        if any(shows_colour_flow(stack[index]) for index in looked_at):
            metadata["not_for_denoising"] = COLOUR_FLOW
            colours = stack
    grey = np.asarray(luma(stack) if common is None else common, np.float32)
    image = UltrasoundImage(
        grey,
        "display",
        PixelGrid((grey.shape[1], grey.shape[2]), (1.0, 1.0), (0.0, 0.0)),
        frame_interval_s=interval_s,
        metadata=metadata,
    )
    return Opened([image], colours=[colours])


def _grey(colours: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
    """Return the common value of the channels; None where they differ."""
    first = colours[..., 0]
    same = all(np.array_equal(first, colours[..., i]) for i in (1, 2))
    return first if same else None


def _read_jpeg(file: SourceFile, notes: list[str]) -> npt.NDArray[np.uint8]:
    """Read a picture, shape (Z, X) or (Z, X, 3)."""
    from PIL import Image, ImageOps

    with open_binary(file) as raw:
        with mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
            size, stored = jpeg_size(content), len(content)
        if size is None:
            raise FileFormatError(f"{file} is a damaged JPEG file: it states no size")
        rows, columns, _ = size
        limit = min(_MAX_JPEG_PIXELS, stored * _JPEG_PIXELS_A_BYTE)
        if not 0 < rows * columns <= limit:
            raise FileFormatError(
                f"{file} declares {columns} x {rows} pixels in {stored} bytes"
            )
        with _decoding(file, "JPEG"), Image.open(raw, formats=["JPEG"]) as picture:
            # Read before the EXIF data, which may be damaged alone.
            picture.load()
            turned: Image.Image = picture
            try:
                turned = ImageOps.exif_transpose(picture)
                if picture.getexif().get(_ORIENTATION, 1) != 1:
                    notes.append("the picture was turned as its EXIF data say")
            except _DAMAGE:
                notes.append("its EXIF data are damaged; the picture is as stored")
            converted = turned if turned.mode in ("L", "RGB") else turned.convert("RGB")
            pixels = np.array(converted)
    return pixels


def _read_gif(
    file: SourceFile, notes: list[str]
) -> tuple[npt.NDArray[np.uint8], float | None]:
    """Read all frames, shape (frames, Z, X, 3), and the time between them in s."""
    from PIL import Image

    with open_binary(file) as raw:
        with mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
            frames, rows, columns = gif_size(content)
        pixels = rows * columns
        if not (frames and 0 < pixels <= _MAX_GIF_PIXELS) or (
            3 * frames * pixels > _MAX_GIF_VALUES
        ):
            raise FileFormatError(
                f"{file} declares {frames} frames of {columns} x {rows} pixels; at "
                f"least one, of at most {_MAX_GIF_PIXELS} pixels and together "
                f"{_MAX_GIF_VALUES // 3}, can be read"
            )
        shown, steps_ms = [], []
        with _decoding(file, "GIF"), Image.open(raw, formats=["GIF"]) as picture:
            for index in range(frames):
                try:
                    picture.seek(index)
                except EOFError:
                    break
                shown.append(np.asarray(picture.convert("RGB")))
                steps_ms.append(float(picture.info.get("duration", 0)))
            if not shown:
                raise EOFError("no frame can be read")
            stack = np.stack(shown)
    if len(shown) < frames:
        notes.append(f"{len(shown)} of {frames} frames could be read")
    # The last one is shown before the clip begins again.
    steps = np.array(steps_ms[:-1])
    if not steps.size or steps.min() <= 0:
        return stack, None
    if np.ptp(steps) > _UNEVEN * steps.mean():
        notes.append("frames are not evenly spaced in time; their mean step is given")
    return stack, float(steps.mean()) / 1e3


@contextmanager
def _decoding(file: SourceFile, kind: str) -> Iterator[None]:
    """Say in one line what Pillow finds wrong with a file."""
    try:
        with warnings.catch_warnings():
            # Damaged EXIF data are told of, and nobody can mend them.
            warnings.simplefilter("ignore")
            yield
    except _DAMAGE as error:
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{file} is a damaged {kind} file: {text}") from error
