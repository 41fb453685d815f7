"""JPEG and GIF files, decoded by Pillow once their declared size has been looked at.

A JPEG is turned as its EXIF data say; CMYK becomes RGB. A GIF is a stack of its frames
as they are shown, each laid over the one before. The resolution in a JPEG is a number
of dots meant for a printer, and is not read.
"""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import SourceFile, open_binary
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.io.guards.picture_sizes import gif_size, jpeg_size

__all__ = ["picture_kind", "read_gif", "read_jpeg"]

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


def picture_kind(start: bytes) -> str | None:
    """Return ``jpeg`` or ``gif`` by the first bytes of a file, else None."""
    if start.startswith(_JPEG):
        return "jpeg"
    return "gif" if start[:6] in _GIF else None


def read_jpeg(file: SourceFile, notes: list[str]) -> npt.NDArray[np.uint8]:
    """Read a picture, shape (Z, X) or (Z, X, 3).

    Raises
    ------
    FileFormatError
        When the file is damaged, or declares more pixels than it can hold.
    """
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
            turned = picture
            try:
                turned = ImageOps.exif_transpose(picture)
            except _DAMAGE:
                notes.append("its EXIF data are damaged; the picture is as stored")
            if picture.getexif().get(_ORIENTATION, 1) != 1:
                notes.append("the picture was turned as its EXIF data say")
            kept = turned if turned.mode in ("L", "RGB") else turned.convert("RGB")
            pixels = np.array(kept)
    return pixels


def read_gif(
    file: SourceFile, notes: list[str]
) -> tuple[npt.NDArray[np.uint8], float | None]:
    """Read all frames, shape (frames, Z, X, 3), and the time between them in s.

    Raises
    ------
    FileFormatError
        When the file is damaged or too large.
    """
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
        stack = np.zeros((frames, rows, columns, 3), np.uint8)
        steps_ms, count = [], 0
        with _decoding(file, "GIF"), Image.open(raw, formats=["GIF"]) as picture:
            for count in range(frames):
                try:
                    picture.seek(count)
                except EOFError:
                    break
                stack[count] = np.asarray(picture.convert("RGB"))
                steps_ms.append(float(picture.info.get("duration", 0)))
            else:
                count = frames
    if count < frames:
        notes.append(f"{count} of {frames} frames could be read")
    stack, steps = stack[:count], np.array(steps_ms[: max(count - 1, 0)])
    if not count:
        raise FileFormatError(f"{file} is a damaged GIF file: no frame can be read")
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
