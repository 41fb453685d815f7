"""From the array of a file, and what its header says of it, to images.

Of the axes of the array two make a picture. A further one counts frames (``t``) or
planes of a volume (``s``); an array that has both is a list of volumes, each an image
of its own. Colours become grey.

A stack of more than 16 million values stays in its file; a frame of it is read when it
is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.colour import COLOUR_FLOW, luma, shows_colour_flow
from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.opened import Opened
from napari_usflow.io.volumes.orientation import Orientation, parse_orientation
from napari_usflow.io.volumes.payload import Payload
from napari_usflow.ultrasound.data import ArrayLike, PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import check_frame_count, lazy_stack

__all__ = ["Stored", "images_of", "picture_name"]

_READ_WHOLE = 2**24
_MAX_PLANE = 2**28
_MAX_VOLUMES = 4096
_SIZES_MM = (1e-5, 1e3)
_ENDINGS = (".gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".igs", ".seq")

Planes = Callable[[int], npt.NDArray[Any]]


@dataclass(frozen=True)
class Stored:
    """An array and what its header says.

    Attributes
    ----------
    payload : Payload
        Where the array is.
    axes : str
        A letter for each axis of the array, slowest first: x, y, s planes of a
        volume, t frames, c colours.
    spacing_mm : mapping
        Distance between pixels along x, y and s, where it is known.
    orientation : str
        Code of the PLUS toolkit; empty where none is stated.
    frame_interval_s : float, optional
        Time between frames.
    slope, intercept : float
        The numbers are the stored ones times the slope plus the intercept.
    is_rf : bool
        Whether they are RF lines.
    metadata, details : mapping
        What is noted on the images, and what ``usflow info`` shows beside them.
    notes : list of str
        What had to be assumed.
    """

    payload: Payload
    axes: str
    spacing_mm: Mapping[str, float]
    orientation: str = ""
    frame_interval_s: float | None = None
    slope: float = 1.0
    intercept: float = 0.0
    is_rf: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def picture_name(file: SourceFile) -> str:
    """Return the name of a file without all of its endings."""
    name = file.path.name
    while name.lower().endswith(_ENDINGS):
        name = name.rpartition(".")[0]
    return name or file.path.name


def images_of(file: SourceFile, stored: Stored) -> Opened:
    """Make the images of an array.

    Raises
    ------
    FileFormatError
        When the array is cut short or damaged, or its axes are none of pictures.
    """
    sizes = _sizes(file, stored)
    turn = parse_orientation(stored.orientation)
    notes = list(stored.notes)
    if turn is None:
        turn = Orientation()
        if stored.orientation:
            notes.append(
                f"orientation {stored.orientation[:20]!r} is not one of a picture; its "
                "rows and columns are as stored"
            )
    reader = _Reader(stored, sizes, turn)
    volumes = sizes["t"] if sizes["s"] > 1 else 1
    if volumes > _MAX_VOLUMES:
        raise FileFormatError(
            f"{file} holds {volumes} volumes; at most {_MAX_VOLUMES} are read"
        )
    if sizes["s"] > 1:
        parts = [range(v * sizes["s"], (v + 1) * sizes["s"]) for v in range(volumes)]
    else:
        parts = [range(sizes["t"])]
    built = [_image(file, stored, reader, part, notes) for part in parts]
    images = [image for image, _ in built]
    name = picture_name(file)
    named = [
        image.with_data(
            image.data,
            metadata={
                **image.metadata,
                "name": name if volumes == 1 else f"{name} [volume {number}]",
            },
        )
        for number, image in enumerate(images, 1)
    ]
    colours = [colour for _, colour in built]
    return Opened(
        named,
        colours=colours if any(c is not None for c in colours) else (),
        details=stored.details,
    )


def _sizes(file: SourceFile, stored: Stored) -> dict[str, int]:
    """Return the length of each axis, 1 for those that are not there."""
    shape, axes = stored.payload.shape, stored.axes
    sizes = {**dict.fromkeys("tscyx", 1), **dict(zip(axes, shape, strict=True))}
    if len(set(axes)) != len(axes) or not {"x", "y"} <= set(axes):
        raise FileFormatError(
            f"{file} holds an array of shape {shape}; a picture, a stack of frames or "
            "a volume is read"
        )
    if min(shape) < 1 or sizes["x"] * sizes["y"] > _MAX_PLANE:
        raise FileFormatError(
            f"{file} declares an array of shape {shape}; pictures of 1 to {_MAX_PLANE} "
            "pixels are read"
        )
    if sizes["c"] not in (1, 3, 4):
        raise FileFormatError(
            f"{file} has {sizes['c']} numbers a pixel; 1 (grey), 3 or 4 (colours) are "
            "read"
        )
    if sizes["c"] > 1 and stored.payload.dtype != np.uint8:
        raise FileFormatError(
            f"{file} has colours of type {stored.payload.dtype}; 8 bits are read"
        )
    check_frame_count(file, sizes["t"] * sizes["s"])
    return sizes


class _Reader:
    """Reads planes by number, upright; keeps no file open."""

    def __init__(
        self, stored: Stored, sizes: Mapping[str, int], turn: Orientation
    ) -> None:
        self._place = str(stored.payload.path)
        self._load = stored.payload.loader()
        self._slope, self._intercept = stored.slope, stored.intercept
        self._turn, self.slices = turn, sizes["s"]
        # Every axis that is missing has the length 1, at the front.
        axes = "".join(a for a in "tsyxc" if a not in stored.axes) + stored.axes
        self._missing = len(axes) - len(stored.axes)
        self._order = [axes.index(letter) for letter in "tsyxc"]
        self.shape: tuple[int, int] = turn.pair(sizes["y"], sizes["x"])
        self.spacing_mm = _spacing(stored.spacing_mm, turn)
        self.has_colours = sizes["c"] > 1

    def loaded(self) -> npt.NDArray[Any]:
        """Return the array, for several planes at once."""
        return self._load()

    def stored(
        self, index: int, array: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Return a plane as it is stored, (Z, X, colours)."""
        array = self._load() if array is None else array
        array = array.reshape((1,) * self._missing + array.shape)
        frame, plane = divmod(index, self.slices)
        if self._turn.flips_planes:
            plane = self.slices - 1 - plane
        return np.array(self._turn.upright(array.transpose(self._order)[frame, plane]))

    def numbers(
        self, index: int, array: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Return a plane of grey, (Z, X)."""
        pixels = self.stored(index, array)
        if self.has_colours:
            return luma(pixels).astype(np.uint8)
        plane = pixels[..., 0]
        if (self._slope, self._intercept) != (1.0, 0.0):
            plane = plane.astype(np.float32) * self._slope + self._intercept
        if plane.dtype.kind == "f" and not np.isfinite(plane).all():
            raise FileFormatError(f"{self._place} holds values that are not finite")
        return plane


def _spacing(
    spacing_mm: Mapping[str, float], turn: Orientation
) -> tuple[float, float] | None:
    low, high = _SIZES_MM
    pair = turn.pair(*(spacing_mm.get(axis, math.nan) for axis in "yx"))
    return pair if all(low <= size <= high for size in pair) else None


def _image(
    file: SourceFile,
    stored: Stored,
    reader: _Reader,
    part: range,
    notes: Sequence[str],
) -> tuple[UltrasoundImage, ArrayLike | None]:
    """Make the image of some of the planes, and its colours where they mean flow."""
    notes = list(notes)
    shape = (len(part), *reader.shape)
    read_frame: Any = partial(_plane, reader, part)
    is_whole = math.prod(shape) <= _READ_WHOLE
    indices = (
        range(len(part)) if is_whole else sorted({0, len(part) // 2, len(part) - 1})
    )
    array = reader.loaded()
    sample = np.stack([reader.numbers(part[index], array) for index in indices])
    metadata: dict[str, Any] = {
        **stored.metadata,
        "pixel_size_known": reader.spacing_mm is not None,
        "notes": notes,
    }
    colours = None
    if reader.has_colours:
        notes.append("colours were turned into grey (BT.601 luma)")
        in_colour = partial(_colours, reader, part)
        looked_at = {0, len(part) // 2, len(part) - 1}
        if any(
            shows_colour_flow(_colours(reader, part, index, array))
            for index in looked_at
        ):
            metadata["not_for_denoising"] = COLOUR_FLOW
            colours = lazy_stack(in_colour, (*shape, 3), np.uint8)
    # As it is stored: what the numbers mean is found out by io.meaning.
    metadata["values_known"] = False
    if stored.is_rf:
        metadata["stated_values"] = "rf"
    if is_whole:
        data: Any = sample
    else:
        data = lazy_stack(read_frame, shape, sample.dtype)
    is_volume = "s" in stored.axes and len(part) > 1 and reader.slices > 1
    if is_volume and "s" in stored.spacing_mm:
        metadata["slice_spacing_mm"] = float(stored.spacing_mm["s"])
    image = UltrasoundImage(
        data,
        "display",
        PixelGrid(reader.shape, reader.spacing_mm or (1.0, 1.0), (0.0, 0.0)),
        frame_axis="y" if is_volume else "t",
        frame_interval_s=stored.frame_interval_s if len(part) > 1 else None,
        metadata=metadata,
    )
    if is_volume:
        image = image.with_data(data, frame_interval_s=None)
    return image, colours


def _plane(reader: _Reader, part: range, index: int) -> npt.NDArray[Any]:
    return reader.numbers(part[index])


def _colours(
    reader: _Reader,
    part: range,
    index: int,
    array: npt.NDArray[Any] | None = None,
) -> npt.NDArray[np.uint8]:
    return np.asarray(reader.stored(part[index], array)[..., :3], np.uint8)
