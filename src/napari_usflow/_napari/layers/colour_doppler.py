"""Colour Doppler in napari: shown as it is, in colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_usflow._napari.layers.content import LayerData

__all__ = ["in_colour"]


def in_colour(layers: list[LayerData], colours: Sequence[Any]) -> list[LayerData]:
    """Return the layers of a file in its colours, where they mean flow.

    Parameters
    ----------
    layers : list of (data, keyword arguments, layer type)
        Its images as grey.
    colours : sequence of array, shape (T, Z, X, 3), or None
        Of each the frames in colour; without any it stays grey.
    """
    return [
        layer if stack is None else _coloured(layer, stack)
        for layer, stack in zip(layers, colours, strict=True)
    ]


def _coloured(layer: LayerData, stack: Any) -> LayerData:
    _, kwargs, kind = layer
    described = {
        name: value
        for name, value in kwargs.items()
        if name not in ("contrast_limits", "colormap")
    }
    data = np.asarray(stack[0]) if stack.shape[0] == 1 else stack
    return data, {**described, "rgb": True}, kind
