"""From a picture back to the lines of its sector, and from lines to the picture.

In a picture the grain of the speckle grows with depth and turns with the lines; on the
lines it is the same all over. A sample of the lines is a pixel high, and as wide as a
pixel at the far end, so that nothing of the picture is lost between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import lazy_stack
from napari_usflow.ultrasound.sectors.geometry import Floats, Mask, Sector

__all__ = ["Lines"]

Frame = npt.NDArray[np.float32]

_MOST_SAMPLES = 2**24
# Splines of this order between the pixels.
_ORDER = 3


@dataclass(frozen=True)
class Lines:
    """The lines of a sector in pictures of one grid.

    Attributes
    ----------
    sector : Sector
        Not that of parallel lines: those are the picture's columns.
    picture : PixelGrid
        Of the pictures.
    width : float
        Distance between lines at their far end, in pixels.
    """

    sector: Sector
    picture: PixelGrid
    width: float = 2.0

    def __post_init__(self) -> None:
        if self.sector.is_linear:
            raise ValueError(
                "the lines of a linear probe are the columns of the picture; there is "
                "nothing to convert"
            )
        samples = self.grid.shape[0] * self.grid.shape[1]
        if samples > _MOST_SAMPLES:
            raise ValueError(
                f"the lines of the sector would have {samples:,} samples, at most "
                f"{_MOST_SAMPLES:,} are made; check its radii and angles"
            )
        if not self.mask.any():
            raise ValueError("no pixel of the picture lies within the sector")

    @cached_property
    def grid(self) -> PolarGrid:
        """Grid of the lines, in the millimetres of the picture."""
        (near, far), (first, last) = self.sector.radii, self.sector.angles
        axial = self.picture.spacing_mm[0]
        count = max(2, math.ceil(far - near) + 1)
        lines = max(2, math.ceil((last - first) * far / self.width) + 1)
        return PolarGrid(
            (count, lines),
            (near * axial, (far - near) / (count - 1) * axial),
            (first, (last - first) / (lines - 1)),
            tuple(  # type: ignore[arg-type]
                origin + place * step
                for origin, place, step in zip(
                    self.picture.origin_mm,
                    self.sector.apex,
                    self.picture.spacing_mm,
                    strict=True,
                )
            ),
        )

    @cached_property
    def mask(self) -> Mask:
        """Pixels of the picture that belong to the sector."""
        return self.sector.mask(self.picture.shape)

    @cached_property
    def _nearest(self) -> tuple[npt.NDArray[np.intp], ...]:
        """Row and column of the nearest pixel within the sector."""
        from scipy.ndimage import distance_transform_edt

        indices = distance_transform_edt(
            ~self.mask, return_distances=False, return_indices=True
        )
        return indices[0], indices[1]

    @cached_property
    def _samples(self) -> Floats:
        """Row and column of each sample of the lines."""
        radius, angle = self.grid.axes()
        radius = radius / self.picture.spacing_mm[0]
        places = np.stack(self.sector.place(radius[:, None], angle))
        top, bottom, left, right = self.sector.box
        places[0] = places[0].clip(top, bottom)
        places[1] = places[1].clip(left, right)
        return places

    @cached_property
    def _pixels(self) -> Floats:
        """Sample and line of each pixel within the sector."""
        along, across = self.sector.shares(self.picture.shape)
        last = np.array(self.grid.shape)[:, None] - 1
        return np.asarray(np.stack([along[self.mask], across[self.mask]]) * last)

    def from_picture(self, frame: npt.NDArray[Any]) -> Frame:
        """Return the lines of a picture; what is around the sector has no influence."""
        from scipy.ndimage import map_coordinates

        filled = np.asarray(frame, np.float32)[self._nearest]
        lines = map_coordinates(filled, self._samples, order=_ORDER, mode="nearest")
        # Splines overshoot at edges.
        return np.asarray(lines.clip(filled.min(), filled.max()), np.float32)

    def to_picture(self, lines: npt.NDArray[Any], around: npt.NDArray[Any]) -> Frame:
        """Return a picture of lines, with what another has around the sector."""
        from scipy.ndimage import map_coordinates

        picture = np.array(around, np.float32)
        picture[self.mask] = map_coordinates(
            np.asarray(lines, np.float32), self._pixels, order=1, mode="nearest"
        )
        return picture

    def image(self, image: UltrasoundImage) -> UltrasoundImage:
        """Return the lines of an image, read and made when they are looked at."""
        data: Any = image.data
        shape = (int(data.shape[0]), *self.grid.shape)
        if hasattr(data, "dask"):
            by_frame = data.rechunk({0: 1, 1: -1, 2: -1})
            lines: Any = by_frame.map_blocks(
                lambda block: self.from_picture(block[0])[np.newaxis],
                dtype=np.float32,
                chunks=(by_frame.chunks[0], *((n,) for n in self.grid.shape)),
                meta=np.empty((0, 0, 0), np.float32),
            )
        elif shape[0] == 1:
            lines = self.from_picture(np.asarray(data[0]))[np.newaxis]
        else:
            lines = lazy_stack(
                lambda index: self.from_picture(np.asarray(data[index])), shape
            )
        return replace(image, data=lines, grid=self.grid)
