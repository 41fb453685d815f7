"""The frames of a DICOM ultrasound file, as grey or as colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.colour import luma
from napari_usflow.io.dicom.decoding import decoded_frame
from napari_usflow.io.dicom.header import Header, reading
from napari_usflow.io.guards.dicom_pixels import check_palette

__all__ = ["Frames"]

_COLOURS = {
    "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420",
    "YBR_ICT", "YBR_RCT",
}  # fmt: skip
_GREY = {"MONOCHROME1", "MONOCHROME2"}
_PALETTE = "PALETTE COLOR"


class Frames:
    """Reads frames one at a time, opening the file for each and closing it again.

    Parameters
    ----------
    header : Header
        Of the file.

    Raises
    ------
    FileFormatError
        When its pixels are of a kind that is not read, or its palette is damaged.
    """

    def __init__(self, header: Header) -> None:
        self._path = header.path
        self._shape = (header.rows, header.columns)
        self._photometric = header.photometric
        dataset = header.dataset
        with reading(header.path):
            allocated = int(dataset.BitsAllocated)
            bits = int(dataset.get("BitsStored") or allocated)
            self._signed = bool(dataset.get("PixelRepresentation") or 0)
            samples = int(dataset.get("SamplesPerPixel") or 1)
        if not 1 <= bits <= allocated:
            raise FileFormatError(
                f"{self._path} has {bits} bits a pixel in {allocated}"
            )
        self._white = float(2**bits - 1)
        self._palette: npt.NDArray[np.uint8] | None = None
        if self._photometric == _PALETTE and samples == 1:
            self._first = -(2 ** (bits - 1)) if self._signed else 0
            self._palette = _palette(header, bits, self._first)
        elif not (
            (self._photometric in _GREY and samples == 1)
            or (self._photometric in _COLOURS and samples == 3)
        ):
            raise FileFormatError(
                f"{self._path} has {samples} samples a pixel of the kind "
                f"{self._photometric or 'unknown'}; grey, palette, RGB or YBR is read"
            )
        self.has_colours = self._photometric not in _GREY

    @property
    def white(self) -> float:
        """The brightest value of a frame; 0 is black."""
        return self._white if self._photometric in _GREY else 255.0

    @property
    def fills_its_bits(self) -> bool:
        """Whether it states 16 bits of 16, as files of fewer do that say nothing."""
        return self._white == 2**16 - 1

    def grey(self, index: int) -> npt.NDArray[np.float32]:
        """Return a frame as grey, shape (Z, X), 0 = black to :attr:`white`."""
        if self.has_colours:
            return luma(self.colours(index))
        pixels = self._pixels(index).astype(np.float32)
        if self._signed:
            pixels += (self._white + 1) / 2
        return self._white - pixels if self._photometric == "MONOCHROME1" else pixels

    def colours(self, index: int) -> npt.NDArray[np.uint8]:
        """Return a frame of a file with colours, shape (Z, X, 3), uint8."""
        pixels = self._pixels(index)
        if self._palette is not None:
            places = pixels.astype(np.int64) - self._first
            entries = np.clip(places, 0, len(self._palette) - 1)
            return np.asarray(self._palette[entries])
        if pixels.dtype != np.uint8:
            pixels = (pixels * (255 / self._white)).round().astype(np.uint8)
        return pixels

    def _pixels(self, index: int) -> npt.NDArray[Any]:
        with reading(self._path):
            pixels = decoded_frame(self._path, index)
        colours = (3,) if self._photometric in _COLOURS else ()
        if pixels.shape != (*self._shape, *colours):
            raise FileFormatError(
                f"{self._path} holds pixels of shape {pixels.shape}; "
                f"{(*self._shape, *colours)} was declared"
            )
        return pixels


def _palette(header: Header, bits: int, first: int) -> npt.NDArray[np.uint8]:
    """Return the colour of every value that a pixel can have, from the ``first`` on."""
    from pydicom.pixels.processing import apply_color_lut

    with reading(header.path):
        check_palette(header.path, header.dataset)
        # Wide enough for the number of entries, whatever their type.
        values = np.arange(first, first + 2**bits, dtype=np.int32)
        table = np.asarray(apply_color_lut(values, header.dataset))[:, :3]
    # Entries of 16 bits hold the 8 of a screen in their upper half, as a rule.
    if table.dtype != np.uint8 and table.max() > 255:
        table = table >> 8
    return np.asarray(table, np.uint8)
