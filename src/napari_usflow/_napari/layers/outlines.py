"""The outline of a sector as a shapes layer: its corners are handles.

The layer has two shapes: a quadrilateral through the ends of both straight edges, which
is moved by hand, and the outline of the sector that these corners make, which follows.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow.ultrasound.sectors.geometry import NO_BOX, Sector

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Shapes

__all__ = ["add_outline", "outline_of"]

_KEY = "usflow_outline"
_COLOURS = ["yellow", "cyan"]


def add_outline(viewer: ViewerModel, layer: Image, sector: Sector) -> Shapes:
    """Show a sector over a layer, in place of the outline that is there.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the shapes layer, which is chosen, its handles ready to be dragged.
    layer : napari.layers.Image
        What the sector was found in.
    sector : Sector
        In the layer's pixels.
    """
    from napari.layers import Shapes

    before = _shapes_of(viewer, layer)
    if before is not None:
        viewer.layers.remove(before)
    axes = slice(-2, None)
    shapes = Shapes(
        [sector.corners, sector.outline()],
        shape_type=["polygon", "polygon"],
        ndim=2,
        name=f"Sector of {layer.name}",
        scale=layer.scale[axes],
        translate=layer.translate[axes],
        units=layer.units[axes],
        axis_labels=layer.axis_labels[axes],
        edge_color=_COLOURS,
        face_color="transparent",
        edge_width=_line_width(layer),
        metadata={_KEY: (weakref.ref(layer), sector)},
    )
    following = False

    def follow(*_: Any) -> None:
        nonlocal following
        drawn = _drawn(shapes)
        if following or drawn is None:
            return
        following = True
        try:
            shapes.data = [drawn.corners, drawn.outline()]
        finally:
            following = False

    shapes.events.data.connect(follow)
    viewer.add_layer(shapes)
    shapes.mode = "direct"
    viewer.layers.selection.active = shapes
    return shapes


def outline_of(viewer: ViewerModel, layer: Image) -> Sector | None:
    """Return the sector that is outlined over a layer; None where none is.

    Raises
    ------
    ValueError
        When the corners make no sector.
    """
    shapes = _shapes_of(viewer, layer)
    if shapes is None:
        return None
    sector = _drawn(shapes)
    if sector is None:
        raise ValueError(
            f"the corners in layer {shapes.name!r} make no sector: its edges cross, or "
            "a corner is missing; find the sector again, or remove the layer"
        )
    return sector


def _shapes_of(viewer: ViewerModel, layer: Image) -> Shapes | None:
    for other in viewer.layers:
        noted = other.metadata.get(_KEY)
        if noted is not None and noted[0]() is layer:
            return other
    return None


def _drawn(shapes: Shapes) -> Sector | None:
    """Return the sector of the corners; None where they make none."""
    _, sector = shapes.metadata[_KEY]
    if not shapes.data or len(shapes.data[0]) != 4:
        return None
    corners = np.asarray(shapes.data[0], np.float64)[:, -2:]
    if np.allclose(corners, sector.corners, atol=1e-3):
        return sector if isinstance(sector, Sector) else None
    try:
        box = NO_BOX if sector.is_linear else sector.box
        return Sector.from_corners(corners, box, sector.aspect)
    except ValueError:
        return None


def _line_width(layer: Image) -> float:
    """Return the width of lines, in the layer's pixels."""
    return max(1.0, max(int(n) for n in layer.data.shape[-2:]) / 300)
