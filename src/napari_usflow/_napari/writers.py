"""Saving image layers, in their millimetres and with what was done to them.

What is saved is the layer's data, not what the canvas shows. Pictures and movies alone
apply the layer's contrast limits; its colormap and gamma are left out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, get_args

import numpy as np

from napari_usflow._napari.jobs.modal_wait import wait_for
from napari_usflow._napari.layers.content import (
    image_from_layer,
    usflow_metadata,
)
from napari_usflow._napari.layers.saved import OF_THE_IMAGE, saved_provenance
from napari_usflow._napari.layers.shape_files import write_shapes
from napari_usflow._napari.palette import save_active_layer
from napari_usflow._napari.settings import associate_files
from napari_usflow.errors import Cancelled, UsflowError
from napari_usflow.io.outputs import Options
from napari_usflow.io.outputs.writing import check_place, write_events
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.ultrasound.data import FRAME_AXES, UltrasoundImage, Values

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = [
    "write_movie",
    "write_ome_tiff",
    "write_picmus",
    "write_picture",
    "write_points_layer",
    "write_shapes_layer",
    "write_zarr",
    "write_zea",
]

_TIME_UNITS_S = {"second": 1.0, "millisecond": 1e-3, "microsecond": 1e-6}


class Writer(Protocol):
    """Writer function that napari calls to save a layer."""

    def __call__(
        self, path: str, data: Any, attributes: Mapping[str, Any]
    ) -> list[str]:
        """Write a file and return its path."""


def _saves_the_active_layer(
    suffix: str, kind: str = "Image"
) -> Callable[[Writer], Callable[..., list[str]]]:
    """Let a writer be called without arguments, as the command palette does."""

    def decorate(write: Writer) -> Callable[..., list[str]]:
        @wraps(write)
        def writer(
            path: str | None = None,
            data: Any = None,
            attributes: Mapping[str, Any] | None = None,
        ) -> list[str]:
            if path is None or attributes is None:
                return save_active_layer(write, suffix, kind)
            return write(path, data, attributes)

        # By its annotations, napari would look for something to call it with.
        del writer.__wrapped__
        writer.__annotations__ = {}
        return writer

    return decorate


@_saves_the_active_layer(".hdf5")
def write_picmus(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image layer as a PICMUS image file (envelope, HDF5)."""
    return _write(path, data, attributes)


@_saves_the_active_layer(".zea.hdf5")
def write_zea(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image layer as a zea file (HDF5)."""
    return _write(path, data, attributes)


@_saves_the_active_layer(".ome.tif")
def write_ome_tiff(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image layer as OME-TIFF; in pixels, if the layer is."""
    return _write(path, data, attributes, needs_millimetres=False)


@_saves_the_active_layer(".zarr")
def write_zarr(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image layer as OME-Zarr, frame by frame; in pixels, if the layer is."""
    layer = _layer(data, attributes)
    with _told_to_the_user():
        image = _image(layer, needs_millimetres=False)
        associate_files()
        token = CancelToken()
        return _waited(path, _zarr_events(Path(path), image, layer, token), token)


@_saves_the_active_layer(".geojson", "Shapes")
def write_shapes_layer(
    path: str, data: Any, attributes: Mapping[str, Any]
) -> list[str]:
    """Save a shapes layer as GeoJSON in millimetres."""
    return _save_shapes(path, data, attributes, "shapes")


@_saves_the_active_layer(".geojson", "Points")
def write_points_layer(
    path: str, data: Any, attributes: Mapping[str, Any]
) -> list[str]:
    """Save a points layer as GeoJSON in millimetres."""
    return _save_shapes(path, data, attributes, "points")


@_saves_the_active_layer(".mp4")
def write_movie(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image layer as MP4, within its contrast limits."""
    layer = _layer(data, attributes)
    with _told_to_the_user():
        return _save(path, _shown(layer, slice(None)), layer)


@_saves_the_active_layer(".png")
def write_picture(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save the visible frame of an image layer as PNG, within its contrast limits."""
    layer = _layer(data, attributes)
    index = _visible_frame(layer)
    with _told_to_the_user():
        return _save(path, _shown(layer, slice(index, index + 1)), layer)


def _write(
    path: str,
    data: Any,
    attributes: Mapping[str, Any],
    *,
    needs_millimetres: bool = True,
) -> list[str]:
    layer = _layer(data, attributes)
    with _told_to_the_user():
        image = _image(layer, needs_millimetres=needs_millimetres)
        return _save(path, image, layer)


def _save_shapes(
    path: str, data: Any, attributes: Mapping[str, Any], kind: str
) -> list[str]:
    from napari.layers import Layer

    with _told_to_the_user():
        layer: Any = Layer.create(data, dict(attributes), kind)
        try:
            write_shapes(Path(path), layer)
        except OSError as error:
            raise UsflowError(
                f"{path} cannot be written: {error.strerror or error}"
            ) from error
    return [path]


@contextmanager
def _told_to_the_user() -> Iterator[None]:
    """Turn a ValueError into an error that reaches the user.

    napari takes a ValueError of a writer for "no writer fits" and drops its text.
    """
    try:
        yield
    except ValueError as error:
        raise UsflowError(str(error)) from error


def _zarr_events(
    path: Path, image: UltrasoundImage, layer: Image, token: CancelToken
) -> Generator[Event, None, None]:
    """Write a stack; what a cancelled or failed run has written is removed."""
    from napari_usflow.io.zarr_stack import ZarrStack

    check_place(path)
    if path.exists():
        raise ValueError(f"{path} is there already; choose another name")
    store = ZarrStack(path, image, saved_provenance(layer))
    try:
        for index in range(image.data.shape[0]):
            token.raise_if_cancelled()
            store.write(index, np.asarray(image.data[index], np.float32))
            yield Progress(index + 1, image.data.shape[0], "writing")
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _layer(data: Any, attributes: Mapping[str, Any]) -> Any:
    from napari.layers import Layer

    return Layer.create(data, dict(attributes), "image")


def _save(path: str, image: UltrasoundImage, layer: Image) -> list[str]:
    associate_files()  # so that it opens again without a choice of readers
    token = CancelToken()
    options = Options(provenance=saved_provenance(layer), token=token)
    return _waited(path, write_events(Path(path), image, options), token)


def _waited(
    path: str, events: Generator[Event, None, None], token: CancelToken
) -> list[str]:
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
    noted = usflow_metadata(layer)
    # An uncertainty is no picture: what is shown of it is black to white.
    is_other = "values" in noted and noted["values"] not in get_args(Values)
    image = image_from_layer(
        layer,
        values="display" if is_other else None,
        needs_millimetres=needs_millimetres,
    )
    noted_values = {name: noted[name] for name in OF_THE_IMAGE if name in noted}
    axis = layer.axis_labels[0] if layer.ndim == 3 else "t"
    return replace(
        image,
        frame_axis=axis if axis in FRAME_AXES else "t",
        frame_interval_s=_frame_interval(layer),
        metadata={**noted_values, **image.metadata},
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
