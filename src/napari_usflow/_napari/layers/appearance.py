"""Display of layers in millimetres and decibels."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow._napari.layers.content import LayerContent

__all__ = ["canvas_overlay", "prepare_view"]

_LOWEST_DB = -120.0
_HIGHEST_DB = 20.0
_WITH_SCALE_BAR: weakref.WeakSet[Any] = weakref.WeakSet()
"""Layers for which the scale bar was shown; who hides it then is heeded."""


def prepare_view(viewer: ViewerModel, layer: Image, content: LayerContent) -> None:
    """Show the scale bar for a layer in mm, and let decibels be shown widely.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its scale bar is switched on once a layer.
    layer : napari.layers.Image
        Its contrast slider reaches from -120 to 20 dB at least.
    content : LayerContent
        What the layer holds.
    """
    if content.values == "db":
        low, high = layer.contrast_limits_range
        layer.contrast_limits_range = (min(low, _LOWEST_DB), max(high, _HIGHEST_DB))
    known = getattr(layer, "__wrapped__", layer)
    if content.spacing_mm is not None and known not in _WITH_SCALE_BAR:
        _WITH_SCALE_BAR.add(known)
        canvas_overlay(viewer, "scale_bar").visible = True


def canvas_overlay(viewer: Any, name: str) -> Any:
    """Return what a viewer draws over its canvas.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        napari 0.9 keeps it at the canvas, earlier versions at the viewer.
    name : {"scale_bar", "text"}
    """
    overlays = getattr(getattr(viewer, "canvas", None), "overlays", None)
    if overlays is not None:
        return getattr(overlays, name)
    return getattr(viewer, {"text": "text_overlay"}.get(name, name))
