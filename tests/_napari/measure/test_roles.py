"""Roles in the features of layers, and their colours."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels, Points, Shapes

from napari_usflow._napari.layers.views import view_metadata
from napari_usflow._napari.measure.roles import (
    ROLE_COLORS,
    can_hold_regions,
    color_by_role,
    draw_next,
    roles_of,
    selected_regions,
    set_roles,
)
from napari_usflow.evaluate.regions import ROLES

BOX = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 4.0], [4.0, 0.0]])


def shapes(count: int = 2, **kwargs) -> Shapes:
    boxes = [BOX + 5 * i for i in range(count)]
    return Shapes(boxes, shape_type="rectangle", **kwargs)


def hex_of(color) -> str:
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in color[:3])


def test_every_role_has_a_colour_of_its_own() -> None:
    assert tuple(ROLE_COLORS) == ROLES
    assert len(set(ROLE_COLORS.values())) == len(ROLES)


def test_a_shape_has_the_role_and_colour_it_was_given() -> None:
    layer = shapes()
    assert roles_of(layer) == {}

    set_roles(layer, {1: "speckle"})

    assert roles_of(layer) == {1: "speckle"}
    assert hex_of(layer.edge_color[1]) == ROLE_COLORS["speckle"]
    set_roles(layer, {0: "target"})
    assert roles_of(layer) == {0: "target", 1: "speckle"}
    assert list(layer.features["role"]) == ["target", "speckle"]


def test_what_is_drawn_next_has_the_role_that_was_chosen() -> None:
    layer = shapes()
    set_roles(layer, {0: "target"})

    draw_next(layer, "background")
    layer.add_rectangles(BOX + 20)
    color_by_role(layer)

    assert roles_of(layer) == {0: "target", 2: "background"}
    assert hex_of(layer.edge_color[2]) == ROLE_COLORS["background"]
    assert hex_of(layer.edge_color[0]) == ROLE_COLORS["target"]
    layer.selected_data = {2}
    assert selected_regions(layer) == [2]


def test_targets_of_a_phantom_have_roles_from_the_start() -> None:
    layer = shapes(3, features={"kind": ["cyst", "speckle", "other"]})

    assert roles_of(layer) == {0: "target", 1: "speckle"}
    set_roles(layer, {2: "background"})
    assert roles_of(layer) == {0: "target", 1: "speckle", 2: "background"}
    assert "kind" in layer.features


def test_points_are_points_and_labels_have_the_role_of_their_value() -> None:
    points = Points([[1.0, 2.0], [3.0, 4.0]])
    assert roles_of(points) == {0: "point", 1: "point"}

    labels = Labels(np.array([[0, 3], [7, 7]]))
    assert roles_of(labels) == {}
    labels.selected_label = 7
    assert selected_regions(labels) == [7]
    set_roles(labels, {7: "target", 3: "wall"})
    assert roles_of(labels) == {3: "wall", 7: "target"}
    assert hex_of(labels.get_color(7)) == ROLE_COLORS["target"]


def test_a_role_that_is_none_does_not_count() -> None:
    layer = shapes(3, features={"role": ["lesion", None, "wall"]})

    assert roles_of(layer) == {2: "wall"}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (shapes(), True),
        (Labels(np.zeros((4, 4), int)), True),
        (Points(ndim=2), True),
        (Image(np.zeros((4, 4))), False),
        (shapes(metadata=view_metadata()), False),
    ],
)
def test_regions_are_on_what_can_be_drawn_on(layer, expected: bool) -> None:
    assert can_hold_regions(layer) is expected
