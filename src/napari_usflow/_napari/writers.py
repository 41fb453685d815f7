"""Saving image layers, in their millimetres and with what was done to them.

What is saved is the layer's data, not what the canvas shows. Pictures and movies alone
apply the layer's contrast limits; its colormap and gamma are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_usflow import __version__
from napari_usflow._napari.jobs.modal_wait import wait_for
from napari_usflow._napari.layers.content import (
    image_from_layer,
    usflow_metadata,
)
from napari_usflow.errors import Cancelled
from napari_usflow.io.outputs import Options
from napari_usflow.io.outputs.writing import write_events
from napari_usflow.jobs import CancelToken
from napari_usflow.ultrasound.data import FRAME_AXES, UltrasoundImage

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = [
    "write_movie",
    "write_ome_tiff",
    "write_picmus",
    "write_picture",
    "write_zea",
]

_TIME_UNITS_S = {"second": 1.0, "millisecond": 1e-3, "microsecond": 1e-6}
# What a layer's metadata say of the image; the rest is provenance.
_OF_THE_IMAGE = (
    "algorithm",
    "f_number",
    "plane_waves",
    "receive_apodization",
    "title",
    "value_range",
)


def write_picmus(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image layer as a PICMUS image file (envelope, HDF5)."""
    return _write(path, data, attributes)


def write_zea(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image layer as a zea file (HDF5)."""
    return _write(path, data, attributes)


def write_ome_tiff(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image layer as OME-TIFF; in pixels, if the layer is."""
    return _write(path, data, attributes, needs_millimetres=False)


def write_movie(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image layer as MP4, within its contrast limits."""
    layer = _layer(data, attributes)
    return _save(path, _shown(layer, slice(None)), layer)


def write_picture(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save the visible frame of an image layer as PNG, within its contrast limits."""
    layer = _layer(data, attributes)
    index = _visible_frame(layer)
    return _save(path, _shown(layer, slice(index, index + 1)), layer)


def _write(
    path: str,
    data: Any,
    attributes: Mapping[str, Any],
    *,
    needs_millimetres: bool = True,
) -> list[str]:
    layer = _layer(data, attributes)
    return _save(path, _image(layer, needs_millimetres=needs_millimetres), layer)


def _layer(data: Any, attributes: Mapping[str, Any]) -> Any:
    from napari.layers import Layer

    return Layer.create(data, dict(attributes), "image")


def _save(path: str, image: UltrasoundImage, layer: Image) -> list[str]:
    token = CancelToken()
    options = Options(provenance=_provenance(layer), token=token)
    events = write_events(Path(path), image, options)
    try:
        wait_for(events, f"Saving {Path(path).name}", token=token)
    except Cancelled:
        # napari warns of a writer that wrote nothing; that is all there is to say.
        return []
    return [path]


def _shown(layer: Image, frames: slice) -> UltrasoundImage:
    """Make the image of what a layer shows: its numbers between the limits are grey."""
    image = _image(layer, needs_millimetres=False)
    low, high = (float(limit) for limit in layer.contrast_limits)
    shown = (low, high if high > low else low + 1)
    return replace(
        image.with_data(image.data[frames]),
        values="display",
        metadata={**image.metadata, "value_range": shown},
    )


def _image(layer: Image, *, needs_millimetres: bool) -> UltrasoundImage:
    """Make the image of a layer, with its frame interval and what it says of itself."""
    image = image_from_layer(layer, needs_millimetres=needs_millimetres)
    noted = usflow_metadata(layer)
    kept = {name: noted[name] for name in _OF_THE_IMAGE if name in noted}
    axis = layer.axis_labels[0] if layer.ndim == 3 else "t"
    return replace(
        image,
        frame_axis=axis if axis in FRAME_AXES else "t",
        frame_interval_s=_frame_interval(layer),
        metadata={**kept, **image.metadata},
    )


def _frame_interval(layer: Image) -> float | None:
    """Time between frames, None when the first axis is not one of time."""
    if layer.ndim != 3:
        return None
    unit = _TIME_UNITS_S.get(str(layer.units[0]))
    return None if unit is None else float(layer.scale[0]) * unit


def _visible_frame(layer: Image) -> int:
    """Frame at which the slider of the current viewer stands; 0 without a viewer."""
    from napari import current_viewer

    if layer.ndim != 3:
        return 0
    viewer = current_viewer()
    if viewer is None:
        return 0
    point = viewer.dims.point[-layer.ndim :]
    return round(float(layer.world_to_data(point)[0]))


def _provenance(layer: Image) -> dict[str, Any]:
    return {
        "layer": layer.name,
        "written_by": f"napari-usflow {__version__}",
        **{
            name: value
            for name, value in usflow_metadata(layer).items()
            if name not in (*_OF_THE_IMAGE, "values", "pixel_size_known")
        },
    }
