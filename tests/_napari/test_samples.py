"""The sample under File > Open Sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from napari.components import ViewerModel

import napari_usflow.ultrasound.phantom
from napari_usflow.jobs import Progress

MANIFEST = Path(__file__).parents[2] / "src" / "napari_usflow" / "napari.yaml"


def test_sample_is_simulated_beamformed_and_opened_with_its_targets(
    npe2pm, monkeypatch, picmus_image, phantom_file
):
    def sample_files():
        yield Progress(1, 1)
        return picmus_image, phantom_file

    monkeypatch.setattr(napari_usflow.ultrasound.phantom, "sample_files", sample_files)
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        viewer.open_sample("napari-usflow", "plane-wave")
    image, regions, points = viewer.layers
    assert image.metadata["usflow"]["values"] == "db"
    assert list(regions.features["kind"]) == ["cyst", "cyst", "speckle"]
    assert len(points.data) == 3
    # A cyst must lie on the image, not beside it.
    low, high = image.extent.world[:, -2:]
    for cyst in regions.data:
        center = cyst[:, -2:].mean(axis=0)
        assert np.all((low < center) & (center < high + 8))
    assert viewer.layers.extent.units is not None
