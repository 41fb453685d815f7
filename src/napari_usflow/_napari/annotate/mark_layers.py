"""The two layers that hold the marks of an image: shapes, and points and frames.

Each mark has a text, a reader, a tick and the time it was made among the features of
its layer. Frames that are marked as a whole are points at the upper left corner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow._napari.layers.placement import affine_of, has_lengths, placement_of
from napari_usflow._napari.layers.screen import bring_into_view, screen_of
from napari_usflow._napari.layers.views import MARKS, is_marks
from napari_usflow._napari.measure.lines import line_width
from napari_usflow.evaluate.project.marks import Mark, MarkKind

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

__all__ = [
    "LayerMark",
    "complete",
    "layer_marks",
    "mark_layer",
    "marks_in",
    "set_defaults",
    "show_whole",
    "upper_left",
    "write_feature",
]

_LETTER_PX, _TEXT_ROW_PX = 11.0, 20.0
_COLOR, _DONE_COLOR = "#ffd166", "#8d99ae"
_COLUMNS: dict[str, Any] = {
    "text": "",
    "reader": "",
    "done": False,
    "created": "",
    "frame_mark": False,
    "label": "",
}
_KINDS: dict[str, MarkKind] = {
    "rectangle": "box",
    "ellipse": "ellipse",
    "polygon": "polygon",
    "line": "line",
    "path": "line",
}


@dataclass(frozen=True)
class LayerMark:
    """A mark of a layer.

    Attributes
    ----------
    layer : napari.layers.Shapes or Points
    number : int
        Its place among the shapes or points.
    mark : Mark
        In the world.
    """

    layer: Layer
    number: int
    mark: Mark


def mark_layer(viewer: ViewerModel, image: Image, *, points: bool) -> Layer:
    """Return the layer for marks of an image; a new one where there is none.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    image : napari.layers.Image
        Gives axes and units; a mark on a clip is on its frame.
    points : bool
        The layer of points and frames, else that of shapes.
    """
    from napari.layers import Points, Shapes

    kind: type[Layer] = Points if points else Shapes
    for layer in viewer.layers:
        if isinstance(layer, kind) and layer.metadata.get(MARKS) == image.name:
            return layer
    shared = {
        "ndim": image.ndim,
        "name": f"{image.name} {'marked points' if points else 'marks'}",
        "units": image.units,
        "axis_labels": image.axis_labels,
        "scale": [*image.scale[:-2], 1, 1],
        "translate": [*image.translate[:-2], 0, 0],
        "features": {
            name: np.array([], bool if value is False else object)
            for name, value in _COLUMNS.items()
        },
        "text": {
            "string": "{label}",
            "color": _COLOR,
            "size": 11,
            "anchor": "upper_left",
        },
        "metadata": {MARKS: image.name},
        "opacity": 1.0,
        "face_color": "transparent",
    }
    width = line_width(image)
    if points:
        layer = Points(border_color=_COLOR, symbol="cross", size=8 * width, **shared)
        layer.current_face_color = _COLOR
    else:
        layer = Shapes(edge_color=_COLOR, edge_width=width, **shared)
    layer.feature_defaults = dict(_COLUMNS)
    viewer.layers.append(layer)
    return layer


def complete(layer: Layer) -> bool:
    """Date marks that were just drawn, and write what is shown beside each.

    Returns
    -------
    bool
        Whether anything was changed.
    """
    if not len(layer.data):
        return False
    features = layer.features.copy()
    before = features.copy()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    features["created"] = [value or now for value in features["created"]]
    labels = []
    for placed in layer_marks(layer):
        mark = placed.mark
        parts = [mark.text] if mark.text else []
        if mark.length_mm is not None:
            parts.append(f"{mark.length_mm:.2f} {'mm' if has_lengths(layer) else 'px'}")
        labels.append(" ".join([*parts, "✓"] if mark.done else parts))
    features["label"] = np.array(labels, object)
    if features.equals(before):
        return False
    _set_features(layer, features)
    layer.text.refresh(layer.features)
    colors = [_DONE_COLOR if done else _COLOR for done in features["done"]]
    if colors:
        is_shapes = type(layer).__name__ == "Shapes"
        setattr(layer, "edge_color" if is_shapes else "border_color", colors)
    return True


def write_feature(layer: Layer, numbers: list[int], values: Mapping[str, Any]) -> None:
    """Change what is noted of some marks."""
    features = layer.features.copy()
    for name, value in values.items():
        column = features[name].tolist()
        for number in numbers:
            column[number] = value
        kind = bool if isinstance(value, bool) else object
        features[name] = np.array(column, kind)
    _set_features(layer, features)
    complete(layer)


def set_defaults(layer: Layer, values: Mapping[str, Any]) -> None:
    """Have the marks that are drawn next carry these values."""
    defaults = {name: column.iloc[0] for name, column in layer.feature_defaults.items()}
    layer.feature_defaults = {**defaults, **values}


def _set_features(layer: Layer, features: Any) -> None:
    """Set features; napari would forget what the next marks carry."""
    defaults = {name: column.iloc[0] for name, column in layer.feature_defaults.items()}
    layer.features = features
    layer.feature_defaults = defaults


def layer_marks(layer: Layer) -> list[LayerMark]:
    """Return the marks of a layer, in the world, in their order."""
    lengths = has_lengths(layer)
    matrix, offset = affine_of(layer, lengths=lengths)
    marks = []
    for number, content in enumerate(layer.data):
        corners = np.atleast_2d(np.asarray(content, float))
        noted = layer.features.iloc[number]
        kind: MarkKind = "point"
        if type(layer).__name__ == "Shapes":
            kind = _KINDS[str(layer.shape_type[number])]
        elif noted["frame_mark"]:
            kind = "frame"
        places = corners[:, -2:] @ matrix.T + offset
        frame = round(float(corners[0, 0])) if layer.ndim == 3 else None
        mark = Mark(
            kind,
            np.zeros((0, 2)) if kind == "frame" else places,
            frame,
            str(noted["text"]),
            str(noted["reader"]),
            bool(noted["done"]),
            str(noted["created"]),
        )
        marks.append(LayerMark(layer, number, mark))
    return marks


def marks_in(viewer: ViewerModel) -> list[Mark]:
    """Return the marks of all layers."""
    return [
        placed.mark
        for layer in viewer.layers
        if is_marks(layer)
        for placed in layer_marks(layer)
    ]


def show_whole(viewer: ViewerModel, found: LayerMark) -> None:
    """Move the camera so that a mark and its text are not cut at the canvas' edge."""
    layer, places = found.layer, found.mark.points_mm
    if not len(places):
        return
    lengths = has_lengths(layer)
    pixel = screen_of(viewer, lengths=lengths).pixel
    low, high = places.min(axis=0), places.max(axis=0)
    label = str(layer.features["label"].iloc[found.number])
    text_end = low[1] + _LETTER_PX * pixel * len(label)
    low = low - [_TEXT_ROW_PX * pixel, 0]
    high = np.maximum(high, [high[0], text_end])
    bring_into_view(viewer, low, high, lengths=lengths)


def upper_left(image: Image) -> np.ndarray[Any, Any]:
    """Return the corner of an image where marks of whole frames stand."""
    corners = placement_of(image, lengths=False).corners()
    return np.asarray(corners.min(axis=0))
