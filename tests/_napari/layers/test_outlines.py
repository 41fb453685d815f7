"""The outline of a sector, corrected by its corners."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari.layers.outlines import add_outline, outline_of
from napari_usflow.ultrasound.sectors.geometry import Sector

FAN = Sector((-20.0, 64.0), (-0.5, 0.5), (30.0, 130.0), (15.0, 110.0, -np.inf, np.inf))


@pytest.fixture
def viewer() -> ViewerModel:
    model = ViewerModel()
    model.add_image(
        np.zeros((4, 120, 130), np.uint8),
        scale=(1, 0.3, 0.2),
        translate=(0, 5, -13),
        units=("s", "mm", "mm"),
        axis_labels=("t", "z", "x"),
    )
    return model


def test_the_outline_lies_over_the_layer_and_gives_the_sector_back(viewer) -> None:
    image = viewer.layers[0]

    shapes = add_outline(viewer, image, FAN)

    assert outline_of(viewer, image) == FAN
    np.testing.assert_allclose(shapes.scale, (0.3, 0.2))
    np.testing.assert_allclose(shapes.translate, (5, -13))
    assert shapes.units == image.units[1:]


def test_a_moved_corner_changes_sector_and_outline(viewer) -> None:
    image = viewer.layers[0]
    shapes = add_outline(viewer, image, FAN)
    wider = Sector(FAN.apex, (-0.6, 0.5), FAN.radii, FAN.box)

    shapes.data = [wider.corners, shapes.data[1]]

    sector = outline_of(viewer, image)
    np.testing.assert_allclose(sector.angles, wider.angles, atol=1e-6)
    np.testing.assert_allclose(shapes.data[1], wider.outline(), atol=1e-3)


def test_a_new_outline_takes_the_place_of_the_old_one(viewer) -> None:
    image = viewer.layers[0]
    add_outline(viewer, image, FAN)

    add_outline(viewer, image, Sector.linear((10, 90), (20, 100)))

    assert len(viewer.layers) == 2 and outline_of(viewer, image).is_linear


def test_corners_that_cross_are_refused(viewer) -> None:
    image = viewer.layers[0]
    shapes = add_outline(viewer, image, FAN)
    shapes.data = [FAN.corners[[3, 1, 2, 0]], shapes.data[1]]

    with pytest.raises(ValueError, match="make no sector"):
        outline_of(viewer, image)


def test_without_an_outline_there_is_no_sector(viewer) -> None:
    assert outline_of(viewer, viewer.layers[0]) is None
