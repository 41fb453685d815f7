"""Where the pixels of a layer lie.

A layer's frames are its last two axes. Positions are (axial, lateral), in millimetres
where the layer's units are lengths, else in the layer's own numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = [
    "Placement",
    "affine_of",
    "has_lengths",
    "placement_of",
    "unit_factors",
    "world_factors",
]

Floats = npt.NDArray[np.float64]

_LENGTH = "mm"


@dataclass(frozen=True)
class Placement:
    """An affine map from pixels to positions.

    Attributes
    ----------
    matrix : ndarray, shape (2, 2)
        Columns are the steps of a row and of a column.
    offset : ndarray, shape (2,)
        Position of the centre of pixel (0, 0).
    shape : (int, int)
        Pixels (axial, lateral).
    """

    matrix: Floats
    offset: Floats
    shape: tuple[int, int]

    def positions(self, pixels: npt.ArrayLike) -> Floats:
        """Return the positions of pixels, shape (..., 2)."""
        return np.asarray(pixels, float) @ self.matrix.T + self.offset

    def pixels(self, positions: npt.ArrayLike) -> Floats:
        """Return the pixels (not rounded) at positions, shape (..., 2)."""
        moved = np.asarray(positions, float) - self.offset
        return moved @ np.linalg.inv(self.matrix).T

    def corners(self) -> Floats:
        """Return the outer corners of the frame, in order around it, shape (4, 2)."""
        rows, columns = np.subtract(self.shape, 0.5)
        pixels = [(-0.5, -0.5), (-0.5, columns), (rows, columns), (rows, -0.5)]
        return self.positions(pixels)

    def onto(self, other: Placement) -> tuple[Floats, Floats]:
        """Return matrix and offset that turn pixels of this into pixels of another."""
        inverse = np.linalg.inv(other.matrix)
        return inverse @ self.matrix, inverse @ (self.offset - other.offset)

    def equals(self, other: Placement) -> bool:
        """Return whether both have the same pixels, to a thousandth of one."""
        if self.shape != other.shape:
            return False
        mine, others = self.corners(), other.corners()
        return bool(np.abs(other.pixels(mine) - other.pixels(others)).max() < 1e-3)


def has_lengths(layer: Layer) -> bool:
    """Return whether the units of a layer's frames are lengths."""
    return all(unit.is_compatible_with(_LENGTH) for unit in layer.units[-2:])


def unit_factors(units: Any, *, lengths: bool) -> Floats:
    """Return how many mm one of each of the last two units is; ones without lengths."""
    if not lengths or units is None:
        return np.ones(2)
    return np.array([float((1.0 * u).to(_LENGTH).magnitude) for u in units[-2:]])


def world_factors(viewer: ViewerModel, *, lengths: bool) -> Floats:
    """Return how many mm a step of the viewer's world is along the last two axes.

    napari shows layers in different units of length in the smallest of them.
    """
    units = getattr(viewer.layers.extent, "units", None)
    if units is None or not all(u.is_compatible_with(_LENGTH) for u in units[-2:]):
        return np.ones(2)
    return unit_factors(units, lengths=lengths)


def placement_of(layer: Layer, *, lengths: bool | None = None) -> Placement:
    """Return where the pixels of a layer's frames lie, by all of its transforms.

    Parameters
    ----------
    layer : napari.layers.Image or Labels
        At least 2-D.
    lengths : bool, optional
        Whether positions are in mm; by default where the layer's units are lengths.
    """
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    rows, columns = data.shape[-2:]
    matrix, offset = affine_of(layer, lengths=lengths)
    return Placement(matrix, offset, (int(rows), int(columns)))


def affine_of(layer: Layer, *, lengths: bool | None = None) -> tuple[Floats, Floats]:
    """Return matrix and offset that turn the last two coordinates into positions.

    Parameters
    ----------
    layer : napari.layers.Layer
        At least 2-D.
    lengths : bool, optional
        As of :func:`placement_of`.
    """
    if lengths is None:
        lengths = has_lengths(layer)
    factors = unit_factors(layer.units, lengths=lengths)
    points = np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)[-2:]])
    origin, *steps = (np.asarray(layer.data_to_world(p))[-2:] for p in points)
    matrix = np.stack([step - origin for step in steps], axis=1) * factors[:, None]
    return matrix, origin * factors
