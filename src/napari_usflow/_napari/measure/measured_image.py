"""An image layer as it is measured: its frames in decibels, and regions on its grid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.layers.content import grey_stack
from napari_usflow._napari.layers.meaning import values_of
from napari_usflow._napari.layers.placement import Placement, has_lengths, placement_of
from napari_usflow.evaluate.measure import decibels
from napari_usflow.evaluate.regions import Region
from napari_usflow.ultrasound.data import PixelGrid

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["MeasuredImage"]

Floats = npt.NDArray[np.float64]


class MeasuredImage:
    """Reads an image layer for measuring; the last frame is kept.

    Lengths are measured along the image's own axes, so that a turned layer has an axial
    and a lateral width too.

    Parameters
    ----------
    layer : napari.layers.Image
        Grey, 2-D, or 3-D with the frames first.
    dynamic_range_db : float
        Decibels from black to white of display grey.

    Attributes
    ----------
    layer : napari.layers.Image
    placement : Placement
        Where its pixels lie in the world.
    grid : PixelGrid
        The same along its own axes, from which regions are measured.
    in_mm : bool
        Whether its units are lengths; otherwise all sizes are in its own numbers.

    Raises
    ------
    LayerError
        When the layer is no grey image.
    """

    def __init__(self, layer: Image, dynamic_range_db: float) -> None:
        grey_stack(layer)
        self.layer = layer
        self.in_mm = has_lengths(layer)
        self.placement: Placement = placement_of(layer)
        matrix = self.placement.matrix
        step = np.hypot(*matrix)
        # Turned or mirrored, an image is measured from its own first pixel.
        aligned = np.allclose(matrix, np.diag(step), rtol=0, atol=1e-9 * step.max())
        origin = self.placement.offset if aligned else np.zeros(2)
        self.grid = PixelGrid(
            self.placement.shape,
            (float(step[0]), float(step[1])),
            (float(origin[0]), float(origin[1])),
        )
        self._range_db = dynamic_range_db
        self._values = values_of(layer)
        self._kept: tuple[int, npt.NDArray[Any]] | None = None

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(grey_stack(self.layer).shape[0])

    @property
    def in_decibels(self) -> bool:
        """Whether levels are decibels; otherwise they are the layer's own numbers."""
        return self._values[0] is not None

    def forget(self) -> None:
        """Read the frame again when it is next measured."""
        self._kept = None

    def frame_db(self, index: int) -> npt.NDArray[Any]:
        """Read a frame in decibels, or in its own values where nobody knows them."""
        if self._kept is None or self._kept[0] != index:
            self._kept = index, self.read_db(index)
        return self._kept[1]

    def read_db(self, index: int) -> npt.NDArray[Any]:
        """Read a frame as :meth:`frame_db` does, without keeping it."""
        frame = np.asarray(grey_stack(self.layer)[index])
        values, low_high = self._values
        if values is None:
            return frame.astype(np.float32)
        return decibels(frame, values, low_high, self._range_db)

    def own(self, positions: npt.ArrayLike) -> Floats:
        """Turn positions of the world into positions along the image's axes."""
        pixels = self.placement.pixels(positions)
        return np.asarray(pixels * self.grid.spacing_mm + self.grid.origin_mm)

    def world(self, positions: npt.ArrayLike) -> Floats:
        """Turn positions along the image's axes into positions of the world."""
        moved = np.asarray(positions, float) - self.grid.origin_mm
        return self.placement.positions(moved / self.grid.spacing_mm)

    def localized(self, region: Region) -> Region:
        """Return a region of the world along the image's own axes."""
        if region.kind == "mask":
            return region
        return replace(region, points_mm=self.own(region.points_mm))
