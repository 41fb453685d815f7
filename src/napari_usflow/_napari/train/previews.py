"""Samples of a flow in training, as image layers that are updated in place.

Nothing here needs a window: a :class:`napari.components.ViewerModel` will do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.layers.content import usflow_metadata
from napari_usflow.training.events import Previewed
from napari_usflow.training.montage import montage

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["PreviewLayers", "is_preview", "side_by_side"]

_MOST_PATCHES = 36
_BETWEEN = 8
_GAP_VALUE = 0.0
_KEY = "train_preview"
_SAMPLES, _DENOISED = "Train: real | generated", "Train: noisy | denoised"

Float = npt.NDArray[np.float32]


def side_by_side(left: Float, right: Float) -> Float:
    """Lay two sets of patches (N, S, S) out as two grids beside each other."""
    count = min(len(left), len(right), _MOST_PATCHES)
    first, second = (
        montage(patches[:count], gap=2, filling=_GAP_VALUE) for patches in (left, right)
    )
    between = np.full((len(first), _BETWEEN), _GAP_VALUE, np.float32)
    return np.hstack([first, between, second])


def is_preview(layer: Any) -> bool:
    """Return whether a layer is a preview of training."""
    return _KEY in usflow_metadata(layer)


class PreviewLayers:
    """The two layers of a training run; what a network does not generate has none.

    They lie to the right of what was there and are updated in place; the selection
    and the camera stay the user's, but for the first picture in an empty viewer. A
    layer that the user removes stays away until the next run.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    run : Path
        The run folder, for the layers' metadata.
    pixel_mm : float
        Pixel size of the prior.
    """

    def __init__(self, viewer: ViewerModel, run: Path, pixel_mm: float) -> None:
        self._viewer = viewer
        self._run = run
        self._pixel_mm = pixel_mm
        self._layers: dict[str, Image] = {}

    def show(self, event: Previewed) -> bool:
        """Show the pictures of a step.

        Returns
        -------
        bool
            Whether they are new and lie beside other layers, perhaps out of sight.
        """
        known = len(self._layers)
        was_empty = not self._viewer.layers
        pictures = {}
        if len(event.generated):
            pictures[_SAMPLES] = side_by_side(event.real, event.generated)
        notes: dict[str, dict[str, Any]] = {_SAMPLES: {}, _DENOISED: {}}
        if len(event.denoised):
            pictures[_DENOISED] = side_by_side(event.noisy, event.denoised)
            notes[_DENOISED]["sigma"] = event.sigma
        for kind, picture in pictures.items():
            note = {
                _KEY: kind,
                "values": "display",
                "value_range": (0.0, 1.0),
                "run": str(self._run),
                "step": event.step,
                **notes[kind],
            }
            self._update(kind, picture, note)
        if was_empty:
            self._viewer.reset_view()
        return len(self._layers) > known and not was_empty

    def _update(self, kind: str, picture: Float, note: dict[str, Any]) -> None:
        layer = self._layers.get(kind) or self._of_an_earlier_run(kind)
        if layer is None:
            layer = self._add(kind, picture)
        elif layer in self._viewer.layers:
            layer.data = picture
        layer.metadata["usflow"] = note
        self._layers[kind] = layer

    def _of_an_earlier_run(self, kind: str) -> Image | None:
        layers = (
            layer
            for layer in self._viewer.layers
            if usflow_metadata(layer).get(_KEY) == kind
        )
        return next(layers, None)

    def _add(self, kind: str, picture: Float) -> Image:
        from napari.layers import Image

        layers = self._viewer.layers
        selected, active = set(layers.selection), layers.selection.active
        in_mm = all(
            unit.is_compatible_with("mm")
            for layer in layers
            for unit in layer.units[-2:]
        )
        pixel = self._pixel_mm if in_mm else 1.0
        layer = Image(
            picture,
            name=kind,
            scale=(pixel, pixel),
            # One layer in other units, and napari would ignore the units of all.
            units=("mm", "mm") if in_mm else ("pixel", "pixel"),
            axis_labels=("z", "x"),
            translate=self._free_place(pixel),
            contrast_limits=(0.0, 1.0),
            colormap="gray",
            interpolation2d="nearest",
            # Known from the start: the lists of layers to train on look at it.
            metadata={"usflow": {_KEY: kind}},
        )
        layers.append(layer)
        if selected:
            layers.selection = selected
            layers.selection.active = active
        return layer

    def _free_place(self, pixel: float) -> tuple[float, float]:
        """Return the top left corner of a picture, in world units."""
        below = self._layers.get(_SAMPLES)
        layers = self._viewer.layers
        if below is not None and below in layers:
            top = below.translate[-2] + (below.data.shape[0] + 2 * _BETWEEN) * pixel
            return float(top), float(below.translate[-1])
        if not layers:
            return 0.0, 0.0
        extent = np.asarray(layers.extent.world)[:, -2:]
        return float(extent[0, 0]), float(extent[1, 1] + _BETWEEN * pixel)
