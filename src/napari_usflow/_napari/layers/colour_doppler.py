"""Colour Doppler in napari: shown as it is, in colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_usflow._napari.layers.content import LayerData

__all__ = ["in_colour"]


def in_colour(path: Path, layers: list[LayerData]) -> list[LayerData]:
    """Return the layers of a file with its colours, where it has any.

    Parameters
    ----------
    path : Path
        A DICOM file or a video.
    layers : list of (data, keyword arguments, layer type)
        Its images as grey. Those without colour flow stay grey.
    """
    from napari_usflow.io import dicom, sniff, video

    kind = sniff(path)
    if kind not in dicom.IMAGE_KINDS | video.IMAGE_KINDS:
        return layers
    reader = dicom if kind in dicom.IMAGE_KINDS else video
    colours = reader.read_colours(path) or []
    return [
        _coloured(layer, stack) for layer, stack in zip(layers, colours, strict=True)
    ]


def _coloured(layer: LayerData, stack: Any) -> LayerData:
    _, kwargs, kind = layer
    if not kwargs["metadata"]["usflow"].get("not_for_denoising"):
        return layer
    kept = {
        name: value
        for name, value in kwargs.items()
        if name not in ("contrast_limits", "colormap")
    }
    data = stack[0].compute() if stack.shape[0] == 1 else stack
    return data, {**kept, "rgb": True}, kind
