"""Regions of layers: shapes, painted labels and points, as they are measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.layers.placement import affine_of, has_lengths, placement_of
from napari_usflow._napari.layers.results import current_frame
from napari_usflow._napari.measure.measured_image import MeasuredImage
from napari_usflow._napari.measure.roles import roles_of
from napari_usflow.evaluate.regions import Kind, Region

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["LayerRegion", "regions_on"]

_KINDS: dict[str, Kind] = {
    "rectangle": "polygon",
    "polygon": "polygon",
    "ellipse": "ellipse",
    "line": "line",
    "path": "line",
}


@dataclass(frozen=True)
class LayerRegion:
    """A region of a layer.

    Attributes
    ----------
    layer : napari.layers.Layer
    number : int
        The place of the shape or point, or the value of the label.
    region : Region
        As it lies on the image that it is measured on.
    """

    layer: Layer
    number: int
    region: Region


def regions_on(
    image: MeasuredImage, layers: Sequence[Layer], viewer: ViewerModel
) -> list[LayerRegion]:
    """Return the regions of layers that have a role, as they lie on an image.

    Parameters
    ----------
    image : MeasuredImage
        What is measured.
    layers : sequence of napari.layers.Shapes, Labels or Points
        What is drawn.
    viewer : napari.components.ViewerModel
        Says which frame is seen.

    Returns
    -------
    list of LayerRegion
        Named by role and number, the same on every image. Shapes and points of a 3-D
        layer count for the frame that they were drawn on, and labels of a stack for the
        frame that is seen.
    """
    placed: list[LayerRegion] = []
    counts: Counter[str] = Counter()
    for layer in layers:
        painted = None
        for number, role in roles_of(layer).items():
            counts[role] += 1
            name = f"{role} {counts[role]}"
            if type(layer).__name__ == "Labels":
                if painted is None:
                    painted = _painted(layer, image, viewer)
                frame = None
                if layer.ndim > 2 and image.layer.ndim > 2:
                    frame = current_frame(viewer, image.layer)
                region = _painted_region(painted == number, image, role, name, frame)
            else:
                region = _drawn_region(layer, number, image, role, name)
            placed.append(LayerRegion(layer, number, region))
    return placed


def _drawn_region(
    layer: Layer,
    number: int,
    image: MeasuredImage,
    role: Any,
    name: str,
) -> Region:
    matrix, offset = affine_of(layer, lengths=image.in_mm and has_lengths(layer))
    corners = np.atleast_2d(np.asarray(layer.data[number], float))
    places = corners[:, -2:] @ matrix.T + offset
    kind: Kind = "point"
    if type(layer).__name__ == "Shapes":
        kind = _KINDS[str(layer.shape_type[number])]
    if role == "point":
        kind, places = "point", places.mean(axis=0, keepdims=True)
    frame = None
    if layer.ndim > 2 and image.layer.ndim > 2:
        frame = _frame_of(layer, corners[0], image)
    return image.localized(Region(role, kind, places, name, frame=frame))


def _frame_of(layer: Layer, corner: npt.NDArray[Any], image: MeasuredImage) -> int:
    """Return the frame of an image that a corner was drawn on."""
    time = layer.data_to_world(corner)[-3]
    start, second = (
        float(image.layer.data_to_world((index, 0, 0))[0]) for index in (0, 1)
    )
    return round((float(time) - start) / (second - start))


def _painted(
    layer: Layer, image: MeasuredImage, viewer: ViewerModel
) -> npt.NDArray[Any]:
    """Return the labels of the visible frame on an image's grid."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    shown = data[current_frame(viewer, layer)] if data.ndim > 2 else data
    painted = np.asarray(shown)
    place = placement_of(layer, lengths=image.in_mm and has_lengths(layer))
    if place.equals(image.placement):
        return painted
    return _looked_up(painted, *image.placement.onto(place), image.placement.shape)


def _looked_up(
    painted: npt.NDArray[Any],
    matrix: npt.NDArray[np.float64],
    offset: npt.NDArray[np.float64],
    shape: tuple[int, int],
) -> npt.NDArray[Any]:
    """Look the label of each pixel of another grid up."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    places, inside = [], np.ones(shape, bool)
    for axis in (0, 1):
        place = matrix[axis, 0] * rows + matrix[axis, 1] * columns + offset[axis]
        index = np.rint(place).astype(int)
        inside &= (index >= 0) & (index < painted.shape[axis])
        places.append(np.clip(index, 0, painted.shape[axis] - 1))
    return np.where(inside, painted[places[0], places[1]], 0)


def _painted_region(
    mask: npt.NDArray[np.bool_],
    image: MeasuredImage,
    role: Any,
    name: str,
    frame: int | None,
) -> Region:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    corners = np.zeros((0, 2))
    if rows.size:
        corners = np.array(
            [[rows[0], columns[0]], [rows[-1], columns[-1]]]
        ) * np.asarray(image.grid.spacing_mm) + np.asarray(image.grid.origin_mm)
    if role == "point" and len(corners):
        middle = corners.mean(axis=0, keepdims=True)
        return Region(role, "point", middle, name, frame=frame)
    grid = image.grid
    return Region(role, "mask", corners, name, frame=frame, mask=mask, grid=grid)
