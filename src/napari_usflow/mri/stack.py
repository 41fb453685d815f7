"""A stack of MRI slices: in memory, or in a file and read slice by slice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text

__all__ = [
    "LARGEST_SLICE_BYTES",
    "LARGEST_STACK_BYTES",
    "MriStack",
    "OpenStack",
    "UpperPercentile",
    "check_pixel",
    "check_slice_bytes",
]

Float = npt.NDArray[np.float32]

LARGEST_SLICE_BYTES = 2**30
"""Most memory for the raw values of one slice: 1 GiB, all coils together."""

LARGEST_STACK_BYTES = 4 * 2**30
"""Most memory for a stack that is read as a whole."""

_SCALE_PERCENT = 99.9


@dataclass(frozen=True)
class MriStack:
    """A stack of magnitude slices in memory.

    Attributes
    ----------
    slices : ndarray, shape (slices, H, W), float32
        Magnitude divided by the stack's 99.9th percentile, so tissue lies in [0, 1].
    pixel_size_mm : (float, float)
        Row and column spacing.
    name : str
        The file's name without its ending, or the layer's.
    attributes : dict
        What the file says of itself (acquisition, source, licence, ...).
    anatomy : str
        Body part that is stated (:mod:`.anatomy`); empty where none is.
    """

    slices: Float
    pixel_size_mm: tuple[float, float]
    name: str
    attributes: dict[str, Any] = field(default_factory=dict)

    anatomy: str = ""

    @property
    def subject(self) -> str:
        """Who was scanned, a label; the stack's name where none is stated."""
        return _subject(self.attributes, self.name)


@dataclass(frozen=True)
class OpenStack:
    """A stack whose slices are read one at a time, while its file is open.

    Attributes
    ----------
    place : str
        The file (and what in it), for messages.
    name : str
        The file's name without its ending; of a DICOM series, its folder's.
    shape : (int, int, int)
        Slices, rows, columns.
    pixel_size_mm : (float, float)
        Row and column spacing.
    load : callable
        Gives the raw magnitude of a slice (rows, columns) by its index.
    attributes : dict
        What the file says of itself.
    anatomy : str
        Body part that the file states (:mod:`.anatomy`); empty where it states none.
    """

    place: str
    name: str
    shape: tuple[int, int, int]
    pixel_size_mm: tuple[float, float]
    load: Callable[[int], npt.NDArray[Any]]
    attributes: dict[str, Any] = field(default_factory=dict)

    anatomy: str = ""

    @property
    def subject(self) -> str:
        """Who was scanned, a label; the stack's name where the file states none."""
        return _subject(self.attributes, self.name)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, index: int) -> Float:
        """Read one slice (rows, columns), float32 magnitude in the file's units.

        Raises
        ------
        FileFormatError
            When the slice is damaged, has NaN, or is no magnitude.
        """
        with np.errstate(over="ignore"):  # becomes infinite, which is refused below
            image = np.asarray(self.load(index), dtype=np.float32)
        if not np.isfinite(image).all():
            raise FileFormatError(
                f"{self.place}: slice {index} of {len(self)} holds NaN or infinite "
                "values; repair or leave out this file"
            )
        # Interpolation by the scanner rings a little below zero; a phase image, a
        # difference or a standardised volume is negative over large parts.
        if np.count_nonzero(image < 0) > image.size / 4:
            raise FileFormatError(
                f"{self.place}: more than a quarter of slice {index} is negative; "
                "magnitude images are needed, not phase, difference or z-scores"
            )
        return np.maximum(image, 0.0)

    def scale(self) -> float:
        """Find the value that becomes 1, the stack's 99.9th percentile.

        All slices are read, one after the other.
        """
        percentile = UpperPercentile(math.prod(self.shape))
        for index in range(len(self)):
            percentile.add(self.read(index))
        return self.checked_scale(percentile)

    def checked_scale(self, percentile: UpperPercentile) -> float:
        """Return the percentile of all slices; FileFormatError when they are empty."""
        scale = percentile.value()
        if scale <= 0:
            raise FileFormatError(f"{self.place} is empty (nearly all values are 0)")
        return scale

    def slices(self, scale: float | None = None) -> Iterator[Float]:
        """Go through the slices (H, W), float32, divided by ``scale``.

        One slice is in memory at a time.

        Parameters
        ----------
        scale : float, optional
            What :meth:`scale` gave; found by a first pass when omitted.
        """
        divisor = np.float32(self.scale() if scale is None else scale)
        for index in range(len(self)):
            yield self.read(index) / divisor


class UpperPercentile:
    """The exact 99.9th percentile of values that come in pieces.

    Only the largest thousandth of them is kept, since no other value can be it.

    Parameters
    ----------
    count : int
        How many values there will be.
    """

    def __init__(self, count: int) -> None:
        # numpy's default (type 7 of Hyndman and Fan 1996): rank q (n - 1), linear
        # between the two values beside it.
        rank = _SCALE_PERCENT / 100 * (count - 1)
        self._fraction = rank - math.floor(rank)
        self._keep = count - math.floor(rank)
        self._top: Float = np.empty(0, np.float32)

    def add(self, values: Float) -> None:
        """Take in more of the values."""
        new = values.ravel()
        if self._top.size >= self._keep:
            new = new[new > self._top.min()]
        top = np.concatenate([self._top, new])
        if top.size > self._keep:
            top = np.partition(top, top.size - self._keep)[-self._keep :]
        self._top = top

    def value(self) -> float:
        """Return the percentile, once all values were added."""
        low, *rest = np.sort(self._top)[:2].tolist()
        high = rest[0] if rest else low
        return float(low + self._fraction * (high - low))


def _subject(attributes: dict[str, Any], name: str) -> str:
    stated = attributes.get("patient_id")
    return stated if isinstance(stated, str) and stated.strip() else name


def check_slice_bytes(place: str, count: int) -> None:
    """Refuse a slice too large to be read; FileFormatError."""
    if count > LARGEST_SLICE_BYTES:
        raise FileFormatError(
            f"{place}: one slice takes {size_text(count)}; at most "
            f"{size_text(LARGEST_SLICE_BYTES)} are read at a time"
        )


def check_pixel(place: str, values: Any) -> tuple[float, float]:
    """Return (row, column) spacing in mm from one or two numbers that make sense."""
    pixel = np.atleast_1d(np.asarray(values, dtype=float)).ravel()
    if pixel.size not in (1, 2) or not (np.isfinite(pixel) & (pixel > 0)).all():
        raise FileFormatError(f"{place}: pixel size {pixel.tolist()} mm makes no sense")
    return float(pixel[0]), float(pixel[-1])
