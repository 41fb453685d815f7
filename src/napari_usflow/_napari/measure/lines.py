"""Layers to draw on: regions, points, and calipers with their length written on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.layers.placement import affine_of, has_lengths, placement_of
from napari_usflow._napari.layers.views import is_view
from napari_usflow.evaluate.profile import line_length_mm
from napari_usflow.evaluate.regions import ROLE_COLORS

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer, Points, Shapes

__all__ = [
    "is_calipers",
    "line_width",
    "new_calipers",
    "new_points",
    "new_regions",
    "profile_line",
    "write_lengths",
]

_CALIPERS = "usflow_calipers"
_COLOR = "#f8f9fa"
_LINES = ("line", "path")


def new_calipers(viewer: ViewerModel, image: Image) -> Shapes:
    """Add a layer for lines in the units of an image, ready to be drawn on."""
    from napari.layers import Shapes

    unit = "mm" if has_lengths(image) else "px"
    layer = Shapes(
        ndim=2,
        name=f"{image.name} calipers",
        units=image.units[-2:],
        axis_labels=image.axis_labels[-2:],
        edge_color=_COLOR,
        edge_width=line_width(image),
        features={"length": np.array([], float)},
        text={
            "string": "{length:.2f} " + unit,
            "color": _COLOR,
            "size": 11,
            "anchor": "upper_left",
        },
        metadata={_CALIPERS: True},
        opacity=1.0,
    )
    layer.feature_defaults = {"length": 0.0}
    viewer.layers.append(layer)
    viewer.layers.selection.active = layer
    layer.mode = "add_line"
    return layer


def new_regions(viewer: ViewerModel, image: Image, role: str) -> Shapes:
    """Add a layer for regions in the units of an image, ready to be drawn on."""
    from napari.layers import Shapes

    layer = Shapes(
        ndim=2,
        name=f"{image.name} regions",
        units=image.units[-2:],
        axis_labels=image.axis_labels[-2:],
        face_color="transparent",
        edge_width=line_width(image),
        features={"role": np.array([], object)},
        opacity=1.0,
    )
    layer.feature_defaults = {"role": role}
    viewer.layers.append(layer)
    viewer.layers.selection.active = layer
    layer.mode = "add_ellipse"
    return layer


def new_points(viewer: ViewerModel, image: Image) -> Points:
    """Add a layer for bright points in the units of an image, ready for clicks."""
    from napari.layers import Points

    layer = Points(
        ndim=2,
        name=f"{image.name} points",
        units=image.units[-2:],
        axis_labels=image.axis_labels[-2:],
        symbol="ring",
        size=6 * line_width(image),
        face_color="transparent",
        border_color=ROLE_COLORS["point"],
    )
    viewer.layers.append(layer)
    viewer.layers.selection.active = layer
    layer.mode = "add"
    return layer


def line_width(image: Image) -> float:
    """Return a width of lines, in an image's units, that is thin at its size."""
    corners = placement_of(image, lengths=False).corners()
    return float(np.ptp(corners, axis=0).max()) / 350


def is_calipers(layer: Layer) -> bool:
    """Return whether a layer holds lines with their lengths."""
    return bool(layer.metadata.get(_CALIPERS))


def write_lengths(layer: Shapes) -> None:
    """Write the length of each line into the features, from where it is shown."""
    matrix, offset = affine_of(layer)
    lengths = [
        line_length_mm(np.asarray(line, float)[:, -2:] @ matrix.T + offset)
        for line in layer.data
    ]
    known = layer.features.get("length")
    if known is not None and np.array_equal(known.to_numpy(float), lengths):
        return
    features = layer.features.copy()
    features["length"] = np.array(lengths, float)
    layer.features = features
    layer.text.refresh(layer.features)


def profile_line(viewer: ViewerModel) -> tuple[Layer, npt.NDArray[Any]] | None:
    """Return the line that a profile is taken along, and its layer.

    The line that is selected, else the last one of the active layer, else the last one
    of any layer.
    """
    active = viewer.layers.selection.active
    drawn = [
        layer
        for layer in viewer.layers
        if type(layer).__name__ == "Shapes" and layer.visible and not is_view(layer)
    ]
    for layer in sorted(drawn, key=lambda layer: layer is not active):
        lines = [
            number for number, kind in enumerate(layer.shape_type) if kind in _LINES
        ]
        selected = [number for number in lines if number in layer.selected_data]
        if lines:
            return layer, np.asarray(layer.data[(selected or lines)[-1]], float)
    return None
