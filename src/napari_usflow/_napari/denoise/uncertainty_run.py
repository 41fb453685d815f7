"""Uncertainty of a method for each pixel, as a layer of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow._napari.denoise.run import (
    MethodReady,
    Request,
    needs_millimetres,
    settings_for,
)
from napari_usflow._napari.jobs.frame_order import FrameOrder
from napari_usflow._napari.jobs.stack_run import StackRun
from napari_usflow._napari.jobs.worker import one_core_left_to_the_window
from napari_usflow._napari.layers import results
from napari_usflow._napari.layers.content import (
    image_from_layer,
    inspect_layer,
    usflow_metadata,
)
from napari_usflow._napari.layers.luma import grey_array
from napari_usflow.denoising.uncertainty import QUANTITIES
from napari_usflow.denoising.uncertainty.network_disagreement import strong_sentence
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow.denoising.array_types import UncertaintyKind
    from napari_usflow.denoising.settings import Settings
    from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["TITLES", "UncertaintyRun"]

TITLES: dict[UncertaintyKind, str] = {
    "std": "standard deviation",
    "disagreement": "difference from the flow",
    "spread": "spread over mirrored images",
}


def _uncertainty(
    image: UltrasoundImage,
    request: Request,
    kind: UncertaintyKind,
    settings: Settings,
    order: Collection[int],
    token: CancelToken,
) -> Generator[Event, None, None]:
    """Load the method and probe it; all of this in the job's thread."""
    from napari_usflow.denoising.uncertainty import (
        uncertainty_events,
        uncertainty_measure,
    )

    yield Note(f"Computing the {TITLES[kind]} …")
    measure = uncertainty_measure(
        request.method,
        kind,
        weights=request.weights or None,
        device=request.device,
        **request.params,
    )
    yield MethodReady(measure.provenance())
    with one_core_left_to_the_window():
        yield from uncertainty_events(
            image,
            settings,
            measure,
            decibels=True,
            order=order,
            token=token,
        )


class UncertaintyRun(StackRun):
    """One search for one kind of uncertainty of one layer, in decibels.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the result, below the denoised layer where that was added before.
    layer : napari.layers.Image
        The noisy input; it is not changed.
    request : Request
        As for denoising; its method has this kind of uncertainty.
    kind : {"std", "disagreement", "spread"}
        See :func:`napari_usflow.uncertainty`.
    **callbacks
        ``on_progress``, ``on_note`` and ``on_end``, see :class:`StackRun`.

    Raises
    ------
    LayerError
        When the layer cannot be denoised.
    """

    unfinished = "are empty"

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image,
        request: Request,
        kind: UncertaintyKind,
        **callbacks: Callable[..., None],
    ) -> None:
        self._kind, self._method = kind, request.method
        content = inspect_layer(layer, values=request.values)
        image = image_from_layer(
            layer,
            pixel_size_mm=request.pixel_size_mm,
            values=request.values,
            needs_millimetres=needs_millimetres(replace(request, uncertainty=True)),
            content=content,
        )
        settings = self._settings = settings_for(content, request)
        self._made_by: dict[str, Any] = {}
        self._largest_db = 0.0
        shape = grey_array(layer).shape
        stack = results.PartialStack(np.broadcast_to(np.float32(0), shape))
        order = FrameOrder.of_layer(
            viewer, layer, len(stack.done), only_current=request.only_current
        )
        super().__init__(
            viewer,
            layer,
            stack,
            order=order,
            source=lambda token: _uncertainty(
                image, request, kind, settings, order, token
            ),
            **callbacks,
        )

    def _receive(self, event: Event) -> None:
        if isinstance(event, MethodReady):
            self._made_by = event.made_by
            self._began = time.monotonic()
        else:
            super()._receive(event)

    def _take(self, event: FrameDone) -> None:
        # Where it is known what is much, that is half-way up the scale: what is less
        # is not to glow. Else the largest is the top.
        if "strong" in event.info:
            self._largest_db = 2 * float(event.info["strong"]["above_db"])
        else:
            self._largest_db = max(self._largest_db, float(event.data.max()))
        super()._take(event)

    def _name(self) -> str:
        return f"{self._layer.name} [{self._method} {TITLES[self._kind]}, dB]"

    def _note(self) -> dict[str, Any]:
        note = results.provenance(self._layer, self._made_by, asdict(self._settings))
        note["values"] = QUANTITIES[self._kind]
        note["frames"] = dict(sorted(self._frames.items()))
        return note

    def _remark(self) -> str:
        """Describe the share of pixels beyond the threshold."""
        strong = strong_sentence(self._frames.values())
        return f"; {strong}" if strong else ""

    def _look(self) -> dict[str, Any]:
        return {
            "contrast_limits": (0.0, self._largest_db or 1.0),
            "colormap": "inferno",
            "gamma": 1.0,
        }

    def _add_layer(self) -> Image:
        # One map and one colour bar at a time.
        for layer in self._viewer.layers:
            is_map = usflow_metadata(layer).get("values") in QUANTITIES.values()
            if is_map and results.source_of(layer) == self._layer:
                layer.visible = False
        result = results.add_result_layer(
            self._viewer,
            self._layer,
            self._stack,
            name=self._name(),
            note=self._note(),
            look=self._look(),
            select=False,
            covers=False,
        )
        colorbar = getattr(result, "colorbar", None)  # napari before 0.7 has none
        if colorbar is not None:
            colorbar.visible = True
        return result
