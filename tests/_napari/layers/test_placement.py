"""Where the pixels of a layer lie."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_usflow._napari.layers.placement import (
    has_lengths,
    placement_of,
    world_factors,
)


def image(**kwargs) -> Image:
    return Image(np.zeros((3, 20, 10)), units=("s", "mm", "mm"), **kwargs)


def test_positions_are_in_millimetres_whatever_the_unit() -> None:
    layer = Image(
        np.zeros((20, 10)), scale=(100, 200), translate=(5000, 0), units=("um", "um")
    )

    place = placement_of(layer)

    assert has_lengths(layer)
    np.testing.assert_allclose(place.positions([10, 5]), [5 + 1.0, 1.0])
    np.testing.assert_allclose(place.pixels([6.0, 1.0]), [10, 5])


def test_a_layer_in_pixels_keeps_its_own_numbers() -> None:
    place = placement_of(Image(np.zeros((20, 10)), scale=(2, 3)))

    np.testing.assert_allclose(place.positions([1, 1]), [2, 3])


def test_a_turned_layer_is_turned() -> None:
    place = placement_of(
        Image(np.zeros((20, 10)), rotate=90, scale=(2, 1), units=("mm", "mm"))
    )

    # A row down is two millimetres along the second axis.
    np.testing.assert_allclose(place.matrix @ [1, 0], [0, 2], atol=1e-9)


def test_corners_are_the_outer_edges_of_the_pixels() -> None:
    place = placement_of(image(scale=(1, 0.5, 0.25)))

    np.testing.assert_allclose(
        place.corners(),
        [[-0.25, -0.125], [-0.25, 2.375], [9.75, 2.375], [9.75, -0.125]],
    )


def test_grids_are_the_same_to_a_thousandth_of_a_pixel() -> None:
    place = placement_of(image(scale=(1, 0.5, 0.25)))

    assert place.equals(placement_of(image(scale=(2, 0.5, 0.25 + 1e-6))))
    assert not place.equals(placement_of(image(scale=(1, 0.5, 0.26))))
    assert not place.equals(placement_of(image(translate=(0, 0.1, 0))))


def test_pixels_of_one_grid_are_found_in_another() -> None:
    coarse = placement_of(image(scale=(1, 0.5, 0.25), translate=(0, 3, -1)))
    fine = placement_of(image(scale=(1, 0.1, 0.1), translate=(0, 2, -2)))

    matrix, offset = coarse.onto(fine)

    np.testing.assert_allclose(matrix, np.diag([5, 2.5]), atol=1e-9)
    np.testing.assert_allclose(offset, [10, 10], atol=1e-9)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("um", 1e-3)])
def test_the_world_of_a_viewer_has_a_unit(unit: str, factor: float) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((20, 10)), units=(unit, unit))

    np.testing.assert_allclose(world_factors(viewer, lengths=True), factor)
    np.testing.assert_allclose(world_factors(viewer, lengths=False), 1.0)
