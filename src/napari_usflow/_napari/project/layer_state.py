"""Layers as values that a project can hold, and layers made of them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow._napari.layers.content import LayerData
from napari_usflow._napari.measure.roles import color_by_role, roles_of
from napari_usflow.evaluate.project.model import Drawn
from napari_usflow.io.project.images import StoredImage

if TYPE_CHECKING:
    from napari.layers import Image, Layer

__all__ = ["drawn_layer", "drawn_state", "image_layer", "image_look"]

_PLACE = ("scale", "translate", "shear")
_LOOK = ("opacity", "blending", "visible")
_OF_IMAGES = ("gamma", "interpolation2d", "rgb")
_OF = {
    "Shapes": ("edge_color", "face_color", "edge_width", "z_index"),
    "Points": (
        "size",
        "border_color",
        "face_color",
        "border_width",
    ),
    "Labels": (),
}
_KEPT_METADATA = (str, int, float, bool)


def image_look(layer: Image) -> dict[str, Any]:
    """Return where an image layer lies and how it is shown."""
    colormap = layer.colormap
    return {
        **_state(layer),
        **{name: getattr(layer, name) for name in _OF_IMAGES},
        "contrast_limits": list(layer.contrast_limits),
        "colormap": {"name": colormap.name, "colors": colormap.colors.tolist()},
    }


def drawn_state(layer: Layer) -> tuple[dict[str, Any], Any]:
    """Return attributes and data of a layer of shapes, points or labels."""
    kind = type(layer).__name__
    state = {**_state(layer), "name": layer.name, "features": _features(layer)}
    for name in _OF[kind]:
        value = getattr(layer, name)
        state[name] = np.asarray(value).tolist() if len(layer.data) else None
    state["metadata"] = {
        name: value
        for name, value in layer.metadata.items()
        if isinstance(value, _KEPT_METADATA)
    }
    if kind == "Labels":
        data = layer.data[0] if layer.multiscale else layer.data
        return state, np.asarray(data)
    state["ndim"] = layer.ndim
    if kind == "Shapes":
        state["shape_type"] = [str(name) for name in layer.shape_type]
    else:
        state["symbol"] = [str(symbol) for symbol in layer.symbol]
    string = getattr(layer.text.string, "format", None)
    if string:
        color = getattr(layer.text.color, "constant", None)
        state["text"] = {
            "string": string,
            "size": float(layer.text.size),
            "anchor": str(layer.text.anchor),
            "color": "white" if color is None else np.asarray(color).tolist(),
        }
    return state, [np.asarray(shape, float).tolist() for shape in layer.data]


def _state(layer: Layer) -> dict[str, Any]:
    return {
        **{name: np.asarray(getattr(layer, name)).tolist() for name in _PLACE},
        "rotate": np.asarray(layer.rotate).tolist(),
        "affine": np.asarray(layer.affine.affine_matrix).tolist(),
        "units": [str(unit) for unit in layer.units],
        "axis_labels": list(layer.axis_labels),
        **{name: _plain(getattr(layer, name)) for name in _LOOK},
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else str(value)


def _features(layer: Layer) -> dict[str, list[Any]]:
    return {str(name): column.tolist() for name, column in layer.features.items()}


def image_layer(image: StoredImage, provenance: Mapping[str, Any]) -> LayerData:
    """Return the layer of a stored image.

    Parameters
    ----------
    image : StoredImage
        With data.
    provenance : mapping
        For its metadata.
    """
    from napari.utils import Colormap
    from napari.utils.colormaps import AVAILABLE_COLORMAPS

    look = dict(image.look)
    stored = look.pop("colormap", {"name": "gray"})
    kwargs = {"name": image.name, **look}
    if stored["name"] in AVAILABLE_COLORMAPS:
        kwargs["colormap"] = stored["name"]
    else:
        kwargs["colormap"] = Colormap(np.asarray(stored["colors"]), name=stored["name"])
    if kwargs.get("rgb"):
        for name in ("colormap", "contrast_limits", "gamma"):
            kwargs.pop(name, None)
    noted = dict(provenance)
    if isinstance(noted.get("frames"), dict):
        frames = noted["frames"]
        noted["frames"] = {
            int(n) if str(n).isdecimal() else n: info for n, info in frames.items()
        }
    if noted:
        kwargs["metadata"] = {"usflow": noted}
    return image.data, kwargs, "image"


def drawn_layer(drawn: Drawn) -> Layer:
    """Return a layer of shapes, points or labels, with its colours."""
    import pandas as pd
    from napari.layers import Layer

    attributes = {k: v for k, v in drawn.attributes.items() if v is not None}
    features = pd.DataFrame(attributes.pop("features", {}))
    data = drawn.data
    if drawn.kind == "shapes":
        data = [np.asarray(shape, float) for shape in data]
    elif drawn.kind == "points":
        data = np.asarray(data, float).reshape(-1, int(attributes.pop("ndim", 2)))
    if not len(data):
        for name in ("shape_type", "symbol", "text"):
            attributes.pop(name, None)
    elif drawn.kind == "shapes":
        attributes.pop("ndim", None)
    layer = Layer.create(data, {**attributes, "features": features}, drawn.kind)
    if drawn.kind == "labels" and roles_of(layer):
        color_by_role(layer)
    return layer
