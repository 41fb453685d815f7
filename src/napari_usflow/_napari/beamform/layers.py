"""The layers of a beamformed acquisition, whatever its transmits were."""

from __future__ import annotations

import numpy as np

from napari_usflow._napari.beamform.on_demand import OnDemandStack
from napari_usflow._napari.layers.content import LayerData, layer_data
from napari_usflow._napari.layers.sectors import sector_layers
from napari_usflow.ultrasound.data import PolarGrid, UltrasoundImage

__all__ = ["layers_of"]


def layers_of(
    image: UltrasoundImage, *, dynamic_range_db: float | None = None
) -> list[LayerData]:
    """Return the layers that show an image.

    Parameters
    ----------
    image : UltrasoundImage
        A sector gives two layers, its picture and its lines. Of a stack whose frames
        are beamformed on demand the data are an
        :class:`~napari_usflow._napari.beamform.on_demand.OnDemandStack`.
    dynamic_range_db : float, optional
        Shown below 0 dB; the usual range when omitted.
    """
    if isinstance(image.grid, PolarGrid):
        layers = sector_layers(image)
    elif "reference_frame" in image.metadata and image.data.shape[0] > 1:
        stack = OnDemandStack(image.data, np.asarray(image.data[0]))
        layers = [layer_data(image.with_data(stack))]
    else:
        layers = [layer_data(image)]
    for _, kwargs, _ in layers:
        if dynamic_range_db is not None:
            kwargs["contrast_limits"] = (-dynamic_range_db, 0.0)
        if image.metadata.get("pixel_size_known") is False:
            kwargs.pop("units", None)  # A layer without units is in pixels.
    return layers
