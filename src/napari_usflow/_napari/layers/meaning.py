"""Meaning of a layer's numbers, and the layer it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from napari_usflow._napari.layers.content import grey_stack, usflow_metadata
from napari_usflow.ultrasound.data import Values
from napari_usflow.ultrasound.value_rule import telling_frame, value_meaning

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["Meaning", "input_of", "values_of"]

Meaning = tuple[Values | None, tuple[float, float] | None]


def values_of(layer: Image) -> Meaning:
    """Return what the numbers of a layer are, and which of them are black and white.

    What its metadata say, else what its middle frame looks like; None where nothing
    tells.
    """
    noted = usflow_metadata(layer)
    if noted.get("values") in get_args(Values):
        low_high = noted.get("value_range")
        return noted["values"], None if low_high is None else tuple(low_high)
    try:
        meaning = value_meaning(telling_frame(grey_stack(layer)))
    except ValueError:
        return None, None
    # Of RF the numbers themselves are none of an image.
    return (None, None) if meaning.signal else (meaning.values, meaning.value_range)


def input_of(viewer: ViewerModel, layer: Image) -> Image | None:
    """Return the layer that another one is a result of, by its name."""
    name = usflow_metadata(layer).get("source_layer")
    return viewer.layers[name] if name and name in viewer.layers else None
