"""Sample data: made on first use, nothing is downloaded."""

from __future__ import annotations

from napari_usflow._napari.layers import LayerData
from napari_usflow._napari.readers import read_layers
from napari_usflow._napari.settings import associate_files
from napari_usflow._napari.waiting import wait_for

__all__ = ["plane_wave_acquisition"]

_NAMES = {
    "image": "in-silico B-mode",
    "shapes": "in-silico regions",
    "points": "in-silico points",
}


def plane_wave_acquisition() -> list[LayerData]:
    """Simulate a plane-wave acquisition (or take the one made before) and open it.

    Returns
    -------
    list of layer data
        The beamformed image, and the phantom's regions and points over it.
    """
    from napari_usflow.ultrasound.phantom import sample_files

    associate_files()
    dataset, phantom = wait_for(sample_files(), "Simulating an acquisition")
    layers = [*read_layers(dataset), *read_layers(phantom)]
    return [(data, {**kw, "name": _NAMES[kind]}, kind) for data, kw, kind in layers]
