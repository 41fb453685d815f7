"""The layer that holds a result: where it lies, what it is called, where it came from.

Nothing here needs a window: a :class:`napari.components.ViewerModel` will do.
"""

from __future__ import annotations

import platform
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import napari_usflow
from napari_usflow._napari.layers.content import usflow_metadata
from napari_usflow._napari.layers.frame_array import FrameArray

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_usflow.ultrasound.data import ArrayLike

__all__ = [
    "PartialStack",
    "add_result_layer",
    "current_frame",
    "denoised_name",
    "layer_kwargs_like",
    "link_contrast",
    "provenance",
    "shows_frame",
    "source_of",
    "versions",
]

_INHERITED = (
    "scale",
    "translate",
    "rotate",
    "shear",
    "affine",
    "units",
    "axis_labels",
    "contrast_limits",
    "colormap",
    "gamma",
    "interpolation2d",
)

_COMPUTED_WITH = ("numpy", "torch", "onnxruntime", "napari")

_SOURCES: weakref.WeakKeyDictionary[Layer, weakref.ref[Image]] = (
    weakref.WeakKeyDictionary()
)
"""The input of each result of this session."""

_TRIALS: weakref.WeakKeyDictionary[Layer, str] = weakref.WeakKeyDictionary()
"""Results of a single frame, with the name that they were given."""


class PartialStack(FrameArray):
    """A stack in the making: finished frames, and the input where none is yet.

    The input is read a frame at a time and only when
    it is looked at, so that starting on a large stack costs nothing.

    Parameters
    ----------
    source : array, shape (T, Z, X) or (Z, X)
        The input.
    """

    def __init__(self, source: ArrayLike) -> None:
        super().__init__(source.shape)
        self._source = source
        self._flat = self.ndim == 2
        self._finished = np.zeros(self.shape, np.float32)
        frames = 1 if self._flat else self.shape[0]
        self.done = np.zeros(frames, bool)

    def write(self, index: int, frame: npt.NDArray[np.float32]) -> None:
        """Store a finished frame."""
        self._finished[... if self._flat else index] = frame
        self.done[index] = True

    def settled(self) -> npt.NDArray[np.float32]:
        """Return the finished stack as a plain array, once every frame is done."""
        if not self.done.all():
            raise ValueError("some frames are not finished")
        return self._finished

    def __getitem__(self, key: Any) -> npt.NDArray[np.float32]:
        return self._finished[key] if self.done.all() else super().__getitem__(key)

    def _shown(self, index: int) -> npt.NDArray[np.float32]:
        if self.done[index]:
            frame: npt.NDArray[np.float32] = self._finished[index]
            return frame
        return np.asarray(self._source[... if self._flat else index], np.float32)


def layer_kwargs_like(layer: Image) -> dict[str, Any]:
    """Return the keyword arguments that put a new layer exactly onto another one."""
    return {name: getattr(layer, name) for name in _INHERITED}


def denoised_name(
    layer: Image, method: str, *, sigma_db: float | None = None, strength: float = 1.0
) -> str:
    """Name a result after its input and how it was made."""
    noise = "" if sigma_db is None else f" σ={sigma_db:.3g} dB"
    share = "" if strength == 1 else f" strength {strength:g}"
    return f"{layer.name} [{method}{noise}{share}]"


def provenance(
    layer: Image, made_by: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the provenance of a result.

    Parameters
    ----------
    layer : napari.layers.Image
        The input.
    made_by : mapping
        What the denoiser says of itself.
    settings : mapping
        What was asked for beside the method's own parameters.

    Returns
    -------
    dict
        For ``metadata["usflow"]`` of the result.
    """
    before = usflow_metadata(layer)
    note = {
        **made_by,
        "settings": dict(settings),
        "source_layer": layer.name,
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if before:
        note["source"] = dict(before)
    return note


def versions() -> dict[str, str]:
    """Return the versions of what a result is computed with, as far as installed."""
    numbers = {
        "napari-usflow": napari_usflow.__version__,
        "python": platform.python_version(),
    }
    for name in _COMPUTED_WITH:
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            continue
    return numbers


def add_result_layer(
    viewer: ViewerModel,
    source: Image,
    data: Any,
    *,
    name: str,
    note: Mapping[str, Any],
    look: Mapping[str, Any] | None = None,
    select: bool = True,
    trial: bool = False,
    covers: bool = True,
) -> Image:
    """Add a result above its input and earlier results, in the same place and look.

    Shapes, points and other layers above them stay above. A result that covers the
    earlier ones hides them; a visible trial of the same name is replaced.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the result.
    source : napari.layers.Image
        The input.
    data : array
        Of the input's shape.
    name : str
        Of the new layer.
    note : mapping
        How it was made, for ``metadata["usflow"]``.
    look : mapping, optional
        Keyword arguments of the layer that are not the input's.
    select : bool
        Make it the active layer; the selection stays as it is otherwise.
    trial : bool
        Whether only one frame of a stack is computed, to try the settings.
    covers : bool
        Hide earlier results of the same input.
    """
    from napari.layers import Image

    result = Image(
        data,
        name=name,
        metadata={"usflow": dict(note)},
        **{**layer_kwargs_like(source), **(look or {})},
    )
    layers = viewer.layers
    selected, active = set(layers.selection), layers.selection.active
    earlier = [layer for layer in layers if source_of(layer) == source]
    for layer in [layer for layer in earlier if _TRIALS.get(layer) == name]:
        # napari with a software renderer crashes where a hidden layer is removed.
        if layer.visible:
            layers.remove(layer)
            earlier.remove(layer)
    below = [layers.index(layer) for layer in (source, *earlier) if layer in layers]
    # Whoever hears of the new layer may ask where it comes from.
    # A plugin's viewer hands out wrappers of its layers, which do not last.
    _SOURCES[result] = weakref.ref(getattr(source, "__wrapped__", source))
    if trial:
        _TRIALS[result] = name
    layers.insert(max(below) + 1 if below else len(layers), result)
    for layer in earlier if covers else ():
        layer.visible = False
    if select:
        layers.selection.active = result
    else:
        layers.selection = selected
        layers.selection.active = active
    return result


def source_of(layer: Layer | None) -> Image | None:
    """Return the input of a result made in this session; None for other layers."""
    source = None if layer is None else _SOURCES.get(layer)
    return None if source is None else source()


def link_contrast(viewer: ViewerModel, first: Image, second: Image) -> None:
    """Make two layers share contrast limits and gamma from now on."""
    viewer.layers.link_layers([first, second], ("contrast_limits", "gamma"))


def current_frame(viewer: ViewerModel, layer: Image) -> int:
    """Return the frame of a layer that the slider shows (0 for a single image)."""
    if layer.ndim < 3:
        return 0
    point = layer.world_to_data(viewer.dims.point[-layer.ndim :])
    return int(np.clip(np.rint(point[0]), 0, layer.data.shape[0] - 1))


def shows_frame(viewer: ViewerModel, layer: Image, index: int) -> bool:
    """Return whether a frame is on the screen."""
    if not layer.visible:
        return False
    axis = viewer.dims.ndim - layer.ndim
    if layer.ndim == 3 and axis in viewer.dims.displayed:
        return True
    return current_frame(viewer, layer) == index
