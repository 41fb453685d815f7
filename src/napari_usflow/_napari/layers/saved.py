"""Metadata saved with a layer beside its numbers, and their restoration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, get_args

import numpy as np

from napari_usflow import __version__
from napari_usflow._napari.layers.content import LayerData, usflow_metadata
from napari_usflow.ultrasound.data import Values

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["OF_THE_IMAGE", "as_it_was_saved", "saved_provenance"]

OF_THE_IMAGE = (
    "algorithm",
    "f_number",
    "plane_waves",
    "receive_apodization",
    "title",
    "value_range",
)
"""Keys of a layer's metadata about the image; the rest is provenance."""

_OWN = ("layer", "written_by", "look")


def saved_provenance(layer: Image) -> dict[str, Any]:
    """Return what a file keeps of a layer: how it was made, and how it looks."""
    noted = usflow_metadata(layer)
    left_out = [*OF_THE_IMAGE, "pixel_size_known"]
    if noted.get("values") in get_args(Values):
        left_out.append("values")
    low, high = (float(limit) for limit in layer.contrast_limits)
    return {
        "layer": layer.name,
        "written_by": f"napari-usflow {__version__}",
        "look": {
            "contrast_limits": [low, high],
            "colormap": str(layer.colormap.name),
            "gamma": float(layer.gamma),
        },
        **{name: value for name, value in noted.items() if name not in left_out},
    }


def as_it_was_saved(layer: LayerData) -> LayerData:
    """Return a layer with the name, the look and the provenance that its file keeps.

    Files that no layer was saved in are returned as they are.
    """
    data, kwargs, kind = layer
    noted = kwargs["metadata"].get("usflow", {})
    provenance = noted.get("provenance")
    name = provenance.get("layer") if isinstance(provenance, Mapping) else None
    if not isinstance(name, str):
        return layer
    own = {name: value for name, value in noted.items() if name != "provenance"}
    history = {key: value for key, value in provenance.items() if key not in _OWN}
    frames = history.get("frames")
    if isinstance(frames, Mapping):  # JSON has names only
        history["frames"] = {
            int(name) if str(name).isdecimal() else name: frame
            for name, frame in frames.items()
        }
    metadata = {**kwargs["metadata"], "usflow": {**own, **history}}
    look = provenance.get("look")
    shown = _checked_look(look) if isinstance(look, Mapping) else {}
    if kwargs.get("rgb"):
        shown = {}
    return data, {**kwargs, "name": name, "metadata": metadata, **shown}, kind


def _checked_look(look: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a look makes sense; files may hold anything."""
    from napari.utils.colormaps import AVAILABLE_COLORMAPS

    shown: dict[str, Any] = {}
    limits, gamma = look.get("contrast_limits"), look.get("gamma")
    if isinstance(limits, list) and len(limits) == 2 and all(map(_is_number, limits)):
        low, high = limits
        if low < high:
            shown["contrast_limits"] = (float(low), float(high))
    if look.get("colormap") in AVAILABLE_COLORMAPS:
        shown["colormap"] = look["colormap"]
    if _is_number(gamma) and 0.2 <= gamma <= 2:
        shown["gamma"] = float(gamma)
    return shown


def _is_number(value: Any) -> TypeGuard[float]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and bool(np.isfinite(value))
