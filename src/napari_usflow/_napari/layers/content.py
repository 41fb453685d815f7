"""From a napari layer to an ultrasound image, and from an image to a layer.

Nothing here but :func:`open_demo` needs a window: the functions work on a bare
:class:`napari.layers.Image`. What happens to the *result* of a job is in
:mod:`napari_usflow._napari.layers.results`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.jobs.modal_wait import called_in_thread
from napari_usflow._napari.layers.frame_array import FrameArray
from napari_usflow._napari.layers.luma import grey_array, is_grey_in_colour
from napari_usflow.denoising.lazy import is_lazy
from napari_usflow.errors import UsflowError
from napari_usflow.ultrasound.data import (
    ArrayLike,
    PixelGrid,
    UltrasoundImage,
    Values,
)
from napari_usflow.ultrasound.outside import floored
from napari_usflow.ultrasound.value_rule import (
    StatedValues,
    shown_stack,
    telling_frame,
    value_meaning,
)

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

__all__ = [
    "DISPLAY_RANGE_DB",
    "LayerContent",
    "LayerData",
    "LayerError",
    "grey_stack",
    "image_from_layer",
    "inspect_layer",
    "layer_data",
    "open_demo",
    "spacing_mm",
    "usflow_metadata",
]

LayerData = tuple[Any, dict[str, Any], str]

DISPLAY_RANGE_DB = (-60.0, 0.0)
"""Contrast limits of a dB image: the 60 dB that B-mode images are shown in."""

_GREY_RANGE = (0.0, 255.0)


class LayerError(UsflowError, ValueError):
    """A layer cannot be denoised as it is; the text says which, why and what to do."""


@dataclass(frozen=True)
class LayerContent:
    """Content of a layer, as a denoiser needs it.

    Attributes
    ----------
    values : {"db", "envelope", "display"}
        What its numbers are.
    value_range : (float, float), optional
        The two values that are shown as black and white, where that is not the
        usual range of ``values``.
    spacing_mm : (float, float), optional
        Pixel size (axial, lateral); None when the layer is in pixels.
    shape : (int, int, int)
        Frames, axial, lateral.
    is_luma : bool
        Whether the numbers are the luma of a grey picture that is stored in colour.
    signal : {"", "rf", "iq"}
        What the layer's numbers are, where ``values`` are those of their envelope.
    """

    values: Values
    value_range: tuple[float, float] | None
    spacing_mm: tuple[float, float] | None
    shape: tuple[int, int, int]
    is_luma: bool = False
    signal: str = ""

    def describe(self) -> str:
        """Return one line for the user."""
        kind = {
            "db": "decibels",
            "envelope": "linear envelope",
            "display": "display grey",
        }[self.values]
        if self.is_luma:
            kind += ", luma of equal colours"
        if self.signal:
            kind = f"{self.signal.upper()}, whose envelope is denoised in decibels"
        if self.value_range is not None:
            kind += " {:g} to {:g}".format(*self.value_range)
        frames, axial, lateral = self.shape
        size = f"{axial} × {lateral} px"
        if self.spacing_mm is not None:
            size += " of {:.3g} × {:.3g} mm".format(*self.spacing_mm)
        return f"{kind}, {size}" + (f", {frames} frames" if frames > 1 else "")


def usflow_metadata(layer: Image) -> dict[str, Any]:
    """Return what this plugin has noted on a layer; empty for other people's layers."""
    note = layer.metadata.get("usflow")
    return note if isinstance(note, dict) else {}


def inspect_layer(layer: Image, *, values: StatedValues | None = None) -> LayerContent:
    """Find out what a layer holds.

    The values are what the layer's metadata say, else what
    :func:`~napari_usflow.ultrasound.value_rule.value_meaning` makes of the middle
    frame, the only one that is read unless it is blank, in a thread where it is not in
    memory.

    Parameters
    ----------
    layer : napari.layers.Image
        2-D, or 3-D with the frames first.
    values : {"db", "envelope", "display", "rf"}, optional
        What the numbers are, when the user says so.

    Raises
    ------
    LayerError
        When the layer cannot be denoised, or its values cannot be told.
    """
    reason = usflow_metadata(layer).get("not_for_denoising")
    if reason:
        raise LayerError(f"layer {layer.name!r} is not denoised: {reason}")
    stack = grey_stack(layer)
    sample = _frame(stack, stack.shape[0] // 2)
    if (sample == sample.flat[0]).all():
        sample = telling_frame(stack)
    noted, signal = usflow_metadata(layer), ""
    value_range: tuple[float, float] | None = None
    try:
        floored(sample, f"layer {layer.name!r}")
        if values is None and noted.get("values") in get_args(Values):
            kind = cast(Values, noted["values"])
            if noted.get("value_range"):
                value_range = _pair(noted["value_range"])
        else:
            black_white = _display_range(layer, sample) if values == "display" else None
            meaning = value_meaning(
                sample,
                values=values,
                value_range=black_white,
                name=f"layer {layer.name!r}",
            )
            kind, value_range = meaning.values, meaning.value_range
            signal = meaning.signal
    except ValueError as error:
        raise LayerError(str(error)) from error
    frames, axial, lateral = (int(n) for n in stack.shape)
    shape, is_luma = (frames, axial, lateral), bool(layer.rgb)
    return LayerContent(kind, value_range, spacing_mm(layer), shape, is_luma, signal)


def image_from_layer(
    layer: Image,
    *,
    pixel_size_mm: float | tuple[float, float] | None = None,
    values: StatedValues | None = None,
    needs_millimetres: bool = True,
    content: LayerContent | None = None,
) -> UltrasoundImage:
    """Make the image that a denoiser takes from a layer, without copying it.

    Parameters
    ----------
    layer : napari.layers.Image
        2-D, or 3-D with the frames first; its data may be lazy and stay so.
    pixel_size_mm : float or (axial, lateral), optional
        Size of a pixel, for a layer whose units are not lengths.
    values : {"db", "envelope", "display", "rf"}, optional
        What the numbers are; see :func:`inspect_layer`.
    needs_millimetres : bool
        Refuse a layer without a pixel size. Otherwise its pixels count as 1 mm.
    content : LayerContent, optional
        What :func:`inspect_layer` says of the layer, where it was called before.

    Returns
    -------
    UltrasoundImage
        Its metadata name the layer, and hold ``value_range`` where black and white
        are not the usual ones of its values, and ``pixel_size_known`` as False where
        it is not.

    Raises
    ------
    LayerError
        When the layer is not a grey image of real numbers, or its pixel size is
        needed and not known.
    """
    content = content or inspect_layer(layer, values=values)
    spacing = content.spacing_mm
    if pixel_size_mm is not None:
        axial, lateral = np.broadcast_to(np.asarray(pixel_size_mm, float), 2)
        spacing = (float(axial), float(lateral))
    if spacing is None and needs_millimetres:
        raise LayerError(
            f"layer {layer.name!r} has no pixel size in mm (its units are "
            f"{', '.join(str(u) for u in layer.units)}); set scale and units on the "
            "layer, or type the pixel size in the Denoise widget"
        )
    frame_axis = layer.axis_labels[0] if layer.ndim == 3 else "t"
    metadata: dict[str, Any] = {"name": layer.name}
    if spacing is None:
        grid = PixelGrid(content.shape[1:], (1.0, 1.0), (0.0, 0.0))
        metadata["pixel_size_known"] = False
    else:
        grid = PixelGrid(content.shape[1:], spacing, _pair(layer.translate[-2:]))
    if content.value_range is not None:
        metadata["value_range"] = content.value_range
    return UltrasoundImage(
        data=_shown(grey_stack(layer), content.signal),
        values=content.values,
        grid=grid,
        frame_axis=frame_axis,
        metadata=metadata,
    )


def layer_data(image: UltrasoundImage, *, name: str | None = None) -> LayerData:
    """Return the layer that shows an image where it is, in millimetres.

    Parameters
    ----------
    image : UltrasoundImage
        On a Cartesian grid. One frame gives a 2-D layer.
    name : str, optional
        Name of the layer; the image's own by default.

    Returns
    -------
    tuple
        Data, keyword arguments and type of a napari layer.
    """
    data: Any = image.data
    scale, units = [1.0], ["dimensionless"]
    if image.frame_axis == "t" and image.frame_interval_s:
        scale, units = [float(image.frame_interval_s)], ["s"]
    elif image.frame_axis == "y" and "slice_spacing_mm" in image.metadata:
        scale, units = [float(image.metadata["slice_spacing_mm"])], ["mm"]
    labels = [image.frame_axis, "z", "x"]
    scale += image.spacing_mm
    translate = [0.0, *image.origin_mm]
    units += ["mm", "mm"]
    if data.shape[0] == 1:
        data = data[0]
        scale, units, labels = scale[1:], units[1:], labels[1:]
        translate = translate[1:]
    usual = {"db": DISPLAY_RANGE_DB, "display": _GREY_RANGE}.get(image.values)
    contrast = image.metadata.get("value_range") or usual
    if contrast is None:
        contrast = (0.0, float(np.nanmax(np.asarray(image.data[-1]))) or 1.0)
    note = {**image.metadata, "values": image.values}
    if note.pop("question", None):
        # The Denoise window asks, as it does of any layer.
        del note["values"]
        note.pop("value_range", None)
    kwargs = {
        "name": name or str(image.metadata.get("name", "ultrasound image")),
        "scale": scale,
        "translate": translate,
        "units": units,
        "axis_labels": labels,
        "contrast_limits": contrast,
        "colormap": "gray",
        "metadata": {"usflow": note},
    }
    return data, kwargs, "image"


def open_demo(layers: Sequence[LayerData], *, side_by_side: bool = True) -> Viewer:
    """Open a viewer with layers in place, for comparing them.

    Parameters
    ----------
    layers : sequence of (data, keyword arguments, layer type)
        As :func:`layer_data` makes them, the input first.
    side_by_side : bool
        Show them in napari's grid, where cameras and sliders move together.

    Returns
    -------
    napari.Viewer
        Shown; the caller runs the event loop (:func:`napari.run`).
    """
    import napari

    viewer = napari.Viewer(title="napari-usflow")
    for data, kwargs, kind in layers:
        getattr(viewer, f"add_{kind}")(data, **kwargs)
    images = [layer for layer in viewer.layers if type(layer).__name__ == "Image"]
    if side_by_side and len(images) > 1:
        # napari 0.9 moved the grid from the viewer to its canvas.
        getattr(viewer, "canvas", viewer).grid.enabled = True
        viewer.layers.link_layers(images, ("contrast_limits", "gamma"))
    viewer.reset_view()
    return viewer


def grey_stack(layer: Image) -> ArrayLike:
    """Return a layer's data as (frames, axial, lateral), or say why that cannot be."""
    kind = type(layer).__name__
    if kind != "Image":
        raise LayerError(
            f"layer {layer.name!r} is a {kind} layer; choose an image layer"
        )
    if layer.rgb and not is_grey_in_colour(layer):
        raise LayerError(
            f"layer {layer.name!r} is a colour image; convert it to grey first "
            "(Split RGB in the layer's context menu)"
        )
    data = grey_array(layer)
    if data.dtype.kind not in "uifc":
        raise LayerError(
            f"layer {layer.name!r} holds {data.dtype} values; "
            "a grey image of integers or floats is expected"
        )
    if len(data.shape) not in (2, 3):
        raise LayerError(
            f"layer {layer.name!r} has {len(data.shape)} axes; expected two (axial, "
            "lateral) or three with the frames first"
        )
    if min(data.shape) < 1:
        raise LayerError(f"layer {layer.name!r} is empty (shape {tuple(data.shape)})")
    if len(data.shape) == 3:
        return cast(ArrayLike, data)
    return cast(ArrayLike, (data if is_lazy(data) else np.asarray(data))[np.newaxis])


def _frame(stack: ArrayLike, index: int) -> npt.NDArray[Any]:
    """Return a frame of a stack; what is not in memory is read in a thread."""
    if isinstance(stack, np.ndarray | FrameArray):
        return np.asarray(stack[index])
    try:
        return called_in_thread(lambda: np.asarray(stack[index]))
    except OSError as error:
        raise LayerError(f"frame {index} cannot be read: {error}") from error


def _shown(stack: ArrayLike, signal: str) -> Any:
    """Return what is denoised: of RF the decibels of its envelope, frame by frame."""
    if not signal:
        return stack
    import dask.array as da

    lazy = (
        stack
        if hasattr(stack, "__dask_graph__")
        else da.from_array(stack, chunks=(1, *stack.shape[1:]))
    )
    return shown_stack(lazy, signal)


def _display_range(
    layer: Image, sample: npt.NDArray[Any]
) -> tuple[float, float] | None:
    """Black and white of a layer that the user calls display grey."""
    if sample.dtype == np.uint8:
        return None
    if sample.dtype.kind == "f" and np.nanmin(sample) >= 0 and np.nanmax(sample) <= 1:
        return (0.0, 1.0)
    return _pair(layer.contrast_limits)


def spacing_mm(layer: Image) -> tuple[float, float] | None:
    """Length of a step along the last two axes, by all of the layer's transforms.

    None when the layer's units are not lengths.
    """
    corners = np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)[-2:]])
    origin, *steps = (np.asarray(layer.data_to_world(p)) for p in corners)
    sizes = []
    for step, unit in zip(steps, layer.units[-2:], strict=True):
        if not unit.is_compatible_with("mm"):
            return None
        length = float(np.linalg.norm((step - origin)[-2:]))
        sizes.append(length * float((1.0 * unit).to("mm").magnitude))
    return _pair(sizes)


def _pair(numbers: Sequence[float]) -> tuple[float, float]:
    first, second = numbers
    return float(first), float(second)
