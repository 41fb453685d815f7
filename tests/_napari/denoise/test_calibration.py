"""The pixel size by a line of known length."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari.denoise.calibration import Calibration, calibrate
from napari_usflow._napari.layers.content import spacing_mm
from napari_usflow._napari.layers.results import add_result_layer


def test_line_of_known_length_gives_the_pixel_size(qtbot, monkeypatch):
    viewer, said = ViewerModel(), []
    layer = viewer.add_image(np.zeros((2, 40, 50), np.uint8), name="photo")
    monkeypatch.setattr(Calibration, "length_mm", lambda self: 10.0)
    calibration = Calibration(viewer, layer, said.append)

    calibration.lines.add_lines(np.array([[0, 5, 5], [0, 29, 37]]))

    qtbot.waitUntil(lambda: bool(said))
    assert spacing_mm(layer) == pytest.approx((0.25, 0.25))
    assert said == ["Pixel size: 0.25 mm, by a line of 10 mm."]
    assert list(viewer.layers) == [layer]


def test_results_move_along_and_the_picture_stays_in_view(qtbot, monkeypatch):
    viewer, said = ViewerModel(), []
    layer = viewer.add_image(np.zeros((2, 40, 50), np.uint8), name="photo")
    result = add_result_layer(viewer, layer, layer.data, name="clean", note={})
    monkeypatch.setattr(Calibration, "length_mm", lambda self: 10.0)
    calibration = Calibration(viewer, layer, said.append)

    calibration.lines.add_lines(np.array([[0, 5, 5], [0, 29, 37]]))

    qtbot.waitUntil(lambda: bool(said))
    np.testing.assert_allclose(result.extent.world, layer.extent.world)
    assert spacing_mm(result) == pytest.approx((0.25, 0.25))
    camera = getattr(viewer, "scene", viewer).camera
    middle = layer.extent.world[:, -2:].mean(axis=0)
    np.testing.assert_allclose(camera.center[-2:], middle)


def test_click_is_no_line():
    layer = ViewerModel().add_image(np.zeros((40, 50)))

    with pytest.raises(ValueError, match=r"1\.0 pixels long"):
        calibrate(layer, [[0, 0], [0, 1]], 10.0)
    assert spacing_mm(layer) is None
