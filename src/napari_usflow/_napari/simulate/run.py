"""Simulating speckle over a layer: what is asked for, and the run that does it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.jobs.frame_order import FrameOrder
from napari_usflow._napari.jobs.stack_run import StackRun
from napari_usflow._napari.layers import results
from napari_usflow._napari.layers.content import LayerError, grey_stack, spacing_mm
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.ultrasound.simulate.speckle import (
    SpeckleParams,
    simulate_stack_events,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow.ultrasound.data import ArrayLike

__all__ = [
    "SpeckleRequest",
    "SpeckleRun",
    "describe_picture",
    "empty_stack",
    "simulation",
    "speckle_look",
    "speckle_note",
    "speckle_request",
]


@dataclass(frozen=True)
class SpeckleRequest:
    """Request for a simulation.

    Attributes
    ----------
    params : SpeckleParams
        How, with the layer's pixel size.
    black, white : float
        Values of the layer that become 0 and 1: its contrast limits.
    """

    params: SpeckleParams
    black: float
    white: float


def speckle_request(
    layer: Image, values: Mapping[str, Any], pixel_size_mm: tuple[float, float]
) -> SpeckleRequest:
    """Make a request for a layer as it is now.

    Parameters
    ----------
    layer : napari.layers.Image
        2-D, or 3-D with the frames first.
    values : mapping
        Parameters of the simulation.
    pixel_size_mm : (float, float)
        Distance between pixels where the layer has no lengths.

    Raises
    ------
    LayerError
        When there is nothing to simulate on.
    ValueError
        When a parameter is out of its limits.
    """
    grey_stack(layer)
    pixel = spacing_mm(layer) or pixel_size_mm
    black, white = (float(limit) for limit in layer.contrast_limits)
    if not (np.isfinite([black, white]).all() and black < white):
        raise LayerError(
            f"layer {layer.name!r} has the contrast limits {black:g} and {white:g}; "
            "set them to what is to be black and white"
        )
    return SpeckleRequest(SpeckleParams(**values, pixel_size_mm=pixel), black, white)


def describe_picture(layer: Image) -> str:
    """Return one line on what a layer is taken for.

    Raises
    ------
    LayerError
        When there is nothing to simulate on.
    """
    frames, axial, lateral = (int(n) for n in grey_stack(layer).shape)
    black, white = layer.contrast_limits
    size, text = spacing_mm(layer), f"{axial} × {lateral} px"
    if size is not None:
        text += " of {:.3g} × {:.3g} mm".format(*size)
    if frames > 1:
        text += f", {frames} frames"
    return f"{text}; black {black:.4g}, white {white:.4g} (its contrast limits)"


def simulation(
    layer: Image, request: SpeckleRequest, order: Collection[int]
) -> Callable[[CancelToken], Generator[Event, None, None]]:
    """Return the job that simulates some frames of a layer."""
    frames, name = grey_stack(layer), f"layer {layer.name!r}"
    return lambda token: simulate_stack_events(
        frames,
        request.params,
        black=request.black,
        white=request.white,
        order=order,
        name=name,
        token=token,
    )


def speckle_look(params: SpeckleParams) -> dict[str, Any]:
    """Return what a B-mode layer has of its own, whatever its input looks like."""
    return {
        "contrast_limits": (-params.dynamic_range_db, 0.0),
        "colormap": "gray",
        "gamma": 1.0,
    }


def speckle_note(layer: Image, request: SpeckleRequest) -> dict[str, Any]:
    """Return the provenance of a B-mode layer."""
    made_by = {"method": "simulate-speckle", "parameters": asdict(request.params)}
    settings = {"black": request.black, "white": request.white}
    return {**results.provenance(layer, made_by, settings), "values": "db"}


def empty_stack(layer: Image, request: SpeckleRequest) -> results.PartialStack:
    """Make a stack for a layer's frames, which shows them without speckle at first."""
    data = layer.data[0] if layer.multiscale else layer.data
    return results.PartialStack(_WithoutSpeckle(data, request))


class _WithoutSpeckle:
    """A picture in decibels, as its B-mode image is; computed when it is looked at."""

    dtype = np.dtype(np.float32)

    def __init__(self, data: ArrayLike, request: SpeckleRequest) -> None:
        self._data, self._request = data, request
        self.shape = tuple(data.shape)

    def __getitem__(self, key: Any) -> npt.NDArray[np.float32]:
        request = self._request
        grey = np.asarray(self._data[key], np.float32) - request.black
        unit = np.clip(grey / (request.white - request.black), 0.0, 1.0)
        range_db = request.params.dynamic_range_db
        if request.params.reading == "display":
            return np.asarray(range_db * (unit - 1), np.float32)
        faintest = 10 ** (-range_db / 20)
        return np.asarray(20 * np.log10(np.maximum(unit, faintest)), np.float32)


class SpeckleRun(StackRun):
    """One simulation over all frames of one layer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the result.
    layer : napari.layers.Image
        The picture; it is not changed.
    request : SpeckleRequest
        What is to be simulated.
    **callbacks
        ``on_progress``, ``on_note`` and ``on_end``, see :class:`StackRun`.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image,
        request: SpeckleRequest,
        **callbacks: Callable[..., None],
    ) -> None:
        self._request = request
        stack = empty_stack(layer, request)
        order = FrameOrder.of_layer(viewer, layer, len(stack.done), only_current=False)
        super().__init__(
            viewer,
            layer,
            stack,
            order=order,
            source=simulation(layer, request, order),
            **callbacks,
        )

    def _name(self) -> str:
        return f"{self._layer.name} [speckle, seed {self._request.params.seed}]"

    def _note(self) -> dict[str, Any]:
        note = speckle_note(self._layer, self._request)
        return {**note, "frames": dict(sorted(self._frames.items()))}

    def _look(self) -> dict[str, Any]:
        return speckle_look(self._request.params)
