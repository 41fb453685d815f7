"""Contract of the modules that write a kind of file."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = [
    "Frame",
    "Options",
    "Output",
    "greys",
    "has_pixel_size",
    "square_pixels",
    "stored",
    "written",
]

Frame = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Options:
    """Options of writing an image.

    Attributes
    ----------
    dynamic_range_db : float
        What a picture or a movie shows of decibels, below 0.
    shown : (float, float), optional
        Values that a picture or a movie shows as black and white; without it what
        the image says, else its usual range.
    frames_per_second : float, optional
        Of a movie; without it the image's own.
    provenance : mapping
        What was done to the image, kept where the format has a place for it.
    token : CancelToken
        Looked at between two frames.
    """

    dynamic_range_db: float = 60.0
    shown: tuple[float, float] | None = None
    frames_per_second: float | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    token: CancelToken = field(default_factory=CancelToken)


class Output(Protocol):
    """A module that writes one kind of file.

    It is checked before any work; frames are read and written one by one.
    """

    @property
    def SUFFIXES(self) -> tuple[str, ...]:
        """Endings of the names of such files."""

    def check(self, path: Path, image: UltrasoundImage) -> None:
        """Raise ValueError for an image that there is no place for."""

    def write(
        self, path: Path, image: UltrasoundImage, options: Options
    ) -> Generator[Event, None, None]:
        """Write an image to a file that may be there already, empty."""


def stored(image: UltrasoundImage, token: CancelToken) -> Iterator[tuple[int, Frame]]:
    """Return the frames of an image one by one; only one is in memory at a time."""
    for index in range(image.data.shape[0]):
        token.raise_if_cancelled()
        yield index, np.asarray(image.data[index], dtype=np.float32)


def written(index: int, image: UltrasoundImage) -> Progress:
    """Say that a frame is in the file."""
    return Progress(index + 1, image.data.shape[0], "writing")


def has_pixel_size(image: UltrasoundImage) -> bool:
    """Whether the pixels of an image have a known size in mm, on a Cartesian grid."""
    known = image.metadata.get("pixel_size_known") is not False
    return known and isinstance(image.grid, PixelGrid)


def greys(frame: Frame, image: UltrasoundImage, options: Options) -> Any:
    """Map a frame to the 256 greys of a screen, uint8."""
    usual = (0.0, 255.0)
    if image.values != "display":
        usual = (-options.dynamic_range_db, 0.0)
    low, high = options.shown or image.metadata.get("value_range") or usual
    unit = np.clip((frame - low) / (high - low), 0.0, 1.0)
    unit = np.nan_to_num(unit, copy=False, nan=0.0)  # outside of the image
    return np.rint(255 * unit).astype(np.uint8)


def square_pixels(
    grey: npt.NDArray[np.uint8], image: UltrasoundImage
) -> npt.NDArray[np.uint8]:
    """Resample greys to pixels as wide as they are high, for a screen.

    The smaller of the two pixel sizes is kept; along the other axis greys are
    interpolated linearly.
    """
    if not has_pixel_size(image):
        return grey
    axial, lateral = image.spacing_mm
    size = min(axial, lateral)
    shape = [
        max(1, round(count * step / size))
        for count, step in zip(grey.shape, (axial, lateral), strict=True)
    ]
    if tuple(shape) == grey.shape:
        return grey
    from PIL import Image

    picture = Image.fromarray(grey)
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
