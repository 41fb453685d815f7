"""Denoising the sector of a picture on its lines, and masking what is around it."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.lazy import is_lazy
from napari_usflow.jobs import Event, FrameDone
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.scan_convert import OUTSIDE
from napari_usflow.ultrasound.sectors.find import find_sector
from napari_usflow.ultrasound.sectors.geometry import Mask, Sector
from napari_usflow.ultrasound.sectors.lines import Lines

__all__ = ["SectorChoice", "SectorPlan", "sector_plan", "stated_sector"]

SectorChoice = Sector | Literal["auto"] | None
"""A sector, one that is to be found, or none."""


@dataclass(frozen=True)
class SectorPlan:
    """Handling of the sector of an image.

    Attributes
    ----------
    image : UltrasoundImage
        The picture or clip.
    sector : Sector, optional
        None: the image is denoised as it is.
    mask_outside : bool
        Give what is around the sector no echo, instead of what the input has there.
    black : float
        What no echo is in the image's values.
    """

    image: UltrasoundImage
    sector: Sector | None = None
    mask_outside: bool = False
    black: float = 0.0

    @cached_property
    def lines(self) -> Lines | None:
        """The lines to denoise; None where they are the picture's columns."""
        if self.sector is None or self.sector.is_linear:
            return None
        assert isinstance(self.image.grid, PixelGrid)
        return Lines(self.sector, self.image.grid)

    @cached_property
    def _mask(self) -> Mask:
        assert self.sector is not None
        return self.sector.mask(self.image.grid.shape)

    @cached_property
    def work(self) -> UltrasoundImage:
        """The image to denoise: the lines, or the picture itself."""
        return self.image if self.lines is None else self.lines.image(self.image)

    @property
    def is_idle(self) -> bool:
        """Whether results are the pictures as they come."""
        return self.lines is None and not (self.mask_outside and self.sector)

    def picture(self, result: Any, around: Any) -> Frame:
        """Return the picture of a denoised frame.

        Parameters
        ----------
        result : ndarray
            On the grid of :attr:`work`.
        around : ndarray, shape (Z, X)
            The frame of the input.
        """
        if self.lines is None:
            picture = np.array(result, np.float32)
        else:
            picture = self.lines.to_picture(result, around)
        if self.mask_outside and self.sector is not None:
            picture[~self._mask] = self.black
        return picture

    def pictures(
        self, events: Generator[Event, None, None]
    ) -> Generator[Event, None, None]:
        """Pass events on, with finished frames as pictures."""
        for event in events:
            if isinstance(event, FrameDone) and not self.is_idle:
                around = np.asarray(self.image.data[event.index])
                picture = self.picture(event.data, around)
                event = FrameDone(event.index, picture, event.info)
            yield event

    def lazy_pictures(self, frames: Any) -> Any:
        """Return pictures of a lazy stack of denoised frames, one chunk each."""
        import dask.array as da

        if self.is_idle:
            return frames
        data: Any = self.image.data
        chunks = (1, *self.image.grid.shape)
        if is_lazy(data):
            around = data.rechunk(chunks)
        else:
            meta = np.empty((0, 0, 0), data.dtype)
            around = da.from_array(data, chunks=chunks, name=False, meta=meta)

        def pictures(block: Any, input_block: Any) -> Any:
            return self.picture(block[0], input_block[0])[np.newaxis]

        return da.map_blocks(
            pictures,
            frames,
            around,
            dtype=np.float32,
            chunks=around.chunks,
            meta=np.empty((0, 0, 0), np.float32),
        )

    def sentence(self) -> str:
        """Say what is done, for the user; empty where nothing is."""
        if self.sector is None or self.is_idle:
            return ""
        outside = "black" if self.mask_outside else "left as it is"
        done = "" if self.lines is None else " denoised on its lines,"
        return f"{self.sector.describe()}:{done} what is around it is {outside}"

    def provenance(self) -> dict[str, Any]:
        """Return what is to be noted of the sector; empty where none is used."""
        if self.sector is None or self.is_idle:
            return {}
        return {"sector": self.sector.numbers(), "mask_outside": self.mask_outside}


def sector_plan(
    image: UltrasoundImage,
    sector: SectorChoice,
    *,
    mask_outside: bool = False,
    low: float = 0.0,
) -> SectorPlan:
    """Decide what to do with the sector of an image.

    Parameters
    ----------
    image : UltrasoundImage
        One of lines (a polar grid) is denoised on them as it is.
    sector : Sector, "auto" or None
        With "auto" one is looked for, and used where it is sure enough.
    mask_outside : bool
        Take away what is around the sector.
    low : float
        What the image shows as black, for grey.

    Raises
    ------
    ValueError
        When what is around the sector is to be masked, and there is none: then text or
        a name would stay. When ``sector`` is something else, or not in the picture.
    """
    if isinstance(sector, str) and sector != "auto":
        raise ValueError(f'sector must be "auto", None or a Sector, got {sector!r}')
    if not isinstance(image.grid, PixelGrid):
        return SectorPlan(image)
    if isinstance(sector, str):
        sector = find_sector(image)
    if sector is None and mask_outside:
        name = image.metadata.get("source") or image.metadata.get("name") or "the image"
        raise ValueError(
            f"{name}: no sector was found that is sure enough, so nothing around it "
            "can be masked; state the sector, or do not mask"
        )
    if sector is not None and not sector.mask(image.grid.shape).any():
        raise ValueError(
            f"no pixel of the picture ({image.grid.shape[0]} x {image.grid.shape[1]}) "
            f"lies within the sector ({sector.describe()})"
        )
    black = low if image.values == "display" else OUTSIDE[image.values]
    return SectorPlan(image, sector, mask_outside, black)


def stated_sector(text: str, aspect: float = 1.0) -> SectorChoice:
    """Return the sector that a text states: ``auto``, ``none`` or six numbers.

    Parameters
    ----------
    text : str
        Row and column of the apex, first and last angle in degrees, first and last
        radius in pixels, separated by commas; as ``usflow info`` prints them.
    aspect : float
        Width of a pixel over its height.

    Raises
    ------
    ValueError
        When it is none of these.
    """
    if text == "auto":
        return "auto"
    if text == "none":
        return None
    try:
        row, column, first, last, near, far = (float(n) for n in text.split(","))
    except ValueError:
        raise ValueError(
            "a sector is auto, none, or six numbers with commas between them (apex "
            f"row and column, first and last angle, first and last radius), got {text}"
        ) from None
    angles = (math.radians(first), math.radians(last))
    return Sector((row, column), angles, (near, far), aspect=aspect)
