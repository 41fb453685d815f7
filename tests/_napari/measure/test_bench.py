"""Numbers of image layers in the regions of other layers, without a window."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari.measure.bench import Bench
from napari_usflow._napari.measure.lines import (
    new_calipers,
    new_regions,
    profile_line,
    write_lengths,
)
from napari_usflow._napari.measure.roles import set_roles
from napari_usflow.evaluate.measure import Measurement, measure
from napari_usflow.evaluate.measure_table import comparison_lines
from napari_usflow.evaluate.regions import Region
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

FRAMES, SHAPE = 3, (120, 100)
PIXEL, ORIGIN = (0.2, 0.25), (5.0, -12.0)
GRID = PixelGrid(SHAPE, PIXEL, ORIGIN)
UPDATE_S = 0.1


def speckle(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    clip = 10 * np.log10(rng.exponential(size=(FRAMES, *SHAPE))) - 30
    z, x = GRID.axes_mm()
    clip[:, np.hypot(z[:, None] - 15, x[None]) < 4] -= 20
    return clip.astype(np.float32)


def place(**changes: Any) -> dict[str, Any]:
    return {
        "scale": (0.1, *PIXEL),
        "translate": (0.0, *ORIGIN),
        "units": ("s", "mm", "mm"),
        "contrast_limits": (-60, 0),
        "metadata": {"usflow": {"values": "db"}},
        **changes,
    }


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(speckle(), name="clip", **place())
    note = {"usflow": {"values": "db", "source_layer": "clip"}}
    viewer.add_image(speckle() / 2 - 15, name="clip [best]", **place(metadata=note))
    viewer.dims.set_current_step(0, 0)
    return viewer


def box(z: float, x: float, half: float) -> np.ndarray:
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], float)
    return np.array([z, x]) + half * corners


def drawn(viewer: ViewerModel, **kwargs: Any) -> Any:
    layer = viewer.add_shapes(
        [box(15, 0, 2.5), box(15, 8, 3.0)],
        shape_type="rectangle",
        name="regions",
        units=("mm", "mm"),
        **kwargs,
    )
    set_roles(layer, {0: "target", 1: "background"})
    return layer


def same(rows: list[Measurement], others: list[Measurement]) -> bool:
    """Tell whether measurements are equal but for rounding."""
    return len(rows) == len(others) and all(
        (row.region, row.role, row.frame, row.against)
        == (other.region, other.role, other.frame, other.against)
        and row.known() == pytest.approx(other.known())
        for row, other in zip(rows, others, strict=True)
    )


def bench(viewer: ViewerModel, after: Any = None) -> Bench:
    made = Bench(viewer)
    made.choose_images(viewer.layers["clip"], after, 60.0)
    made.choose_drawn(None)
    return made


EXPECTED = [
    Region("target", "polygon", box(15, 0, 2.5), "target 1"),
    Region("background", "polygon", box(15, 8, 3.0), "background 1"),
]


def test_numbers_are_those_of_the_function(viewer) -> None:
    drawn(viewer)

    _, (before, after) = bench(viewer).measure()

    image = UltrasoundImage(speckle(), "db", GRID)
    assert same(before, measure(image, EXPECTED))
    assert same(after, measure(image.with_data(speckle() / 2 - 15), EXPECTED))


def test_another_frame_has_other_numbers(viewer) -> None:
    drawn(viewer)
    viewer.dims.set_current_step(0, 2)

    _, (before, _) = bench(viewer).measure()

    image = UltrasoundImage(speckle(), "db", GRID)
    assert same(before, measure(image, EXPECTED, frame=2))


def test_a_turned_image_is_measured_along_its_own_axes(viewer) -> None:
    drawn(viewer)
    straight = bench(viewer).measure()[1][0]
    turn = np.deg2rad(30)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    affine = np.eye(3)
    affine[:2, :2] = matrix
    for layer in viewer.layers:
        full = np.eye(layer.ndim + 1)
        full[-3:, -3:] = affine
        layer.affine = full

    turned = bench(viewer).measure()[1][0]

    for row, same in zip(straight, turned, strict=True):
        for name, value in row.known().items():
            assert getattr(same, name) == pytest.approx(value, rel=0.02, abs=0.05)


def test_regions_in_other_units_of_length_are_the_same(viewer) -> None:
    layer = viewer.add_shapes(
        [1000 * box(15, 0, 2.5), 1000 * box(15, 8, 3.0)],
        shape_type="rectangle",
        units=("um", "um"),
    )
    set_roles(layer, {0: "target", 1: "background"})

    _, (before, _) = bench(viewer).measure()

    wanted = measure(UltrasoundImage(speckle(), "db", GRID), EXPECTED)
    assert before[0].mean_db == pytest.approx(wanted[0].mean_db)
    assert before[0].area_mm2 == pytest.approx(wanted[0].area_mm2)


def test_painted_regions_are_measured_on_any_grid(viewer) -> None:
    painted = np.zeros((60, 50), int)
    fine = np.zeros(SHAPE, int)
    z, x = GRID.axes_mm()
    inside = (abs(z[:, None] - 15) < 2.5) & (abs(x[None]) < 2.5)
    fine[inside] = 4
    painted[inside[::2, ::2]] = 4
    same_grid = viewer.add_labels(
        fine, name="fine", scale=PIXEL, translate=ORIGIN, units=("mm", "mm")
    )
    set_roles(same_grid, {4: "target"})
    exact = bench(viewer).measure()[1][0][0]
    viewer.layers.remove(same_grid)
    coarse = viewer.add_labels(
        painted,
        name="coarse",
        scale=np.multiply(PIXEL, 2),
        translate=ORIGIN,
        units=("mm", "mm"),
    )
    set_roles(coarse, {4: "target"})

    (row,) = bench(viewer).measure()[1][0]

    frame = speckle()[0]
    assert exact.mean_db == pytest.approx(frame[inside].mean(dtype=float), abs=1e-6)
    assert exact.area_mm2 == pytest.approx(inside.sum() * 0.05)
    assert row.area_mm2 == pytest.approx(exact.area_mm2, rel=0.1)
    assert row.mean_db == pytest.approx(exact.mean_db, abs=0.5)


def test_labels_of_a_stack_count_on_their_frame(viewer) -> None:
    painted = np.zeros((FRAMES, *SHAPE), int)
    painted[1, 40:60, 40:60] = 1
    labels = viewer.add_labels(
        painted,
        scale=(0.1, *PIXEL),
        translate=(0, *ORIGIN),
        units=("s", "mm", "mm"),
    )
    set_roles(labels, {1: "target"})
    made = bench(viewer)

    assert made.measure()[1][0][0].area_mm2 == 0
    viewer.dims.set_current_step(0, 1)
    assert made.measure()[1][0][0].area_mm2 == pytest.approx(400 * 0.05)


def test_shapes_of_a_stack_count_on_the_frame_they_were_drawn_on(viewer) -> None:
    corners = np.column_stack([np.full(4, 0.2), box(15, 0, 2.5)])
    layer = viewer.add_shapes(
        [corners], shape_type="rectangle", units=("s", "mm", "mm")
    )
    set_roles(layer, {0: "target"})
    made = bench(viewer)

    assert made.measure()[1][0] == []
    viewer.dims.set_current_step(0, 2)
    (row,) = made.measure()[1][0]
    assert row.area_mm2 == pytest.approx(25, rel=0.05)


def test_points_have_their_widths(viewer) -> None:
    z, x = GRID.axes_mm()
    amplitude = 1e-4 + 2.0 ** -(
        (2 * (z[:, None] - 15) / 0.8) ** 2 + (2 * (x[None] - 1) / 1.2) ** 2
    )
    viewer.layers["clip"].data = np.broadcast_to(
        20 * np.log10(amplitude), (FRAMES, *SHAPE)
    )
    viewer.add_points([[15.3, 1.4]], units=("mm", "mm"))

    (row,) = bench(viewer).measure()[1][0]

    assert row.fwhm_axial_mm == pytest.approx(0.8, abs=0.08)
    assert row.fwhm_lateral_mm == pytest.approx(1.2, abs=0.08)


def test_a_wall_is_measured_across(viewer) -> None:
    z, _ = GRID.axes_mm()
    ramp = np.clip((z - 15) / 1.5 + 0.5, 0, 1) * 40 - 50
    viewer.layers["clip"].data = np.broadcast_to(
        ramp[None, :, None], (FRAMES, *SHAPE)
    ).astype(np.float32)
    layer = viewer.add_shapes(
        [np.array([[11.0, 0.0], [19.0, 0.0]])], shape_type="line", units=("mm", "mm")
    )
    set_roles(layer, {0: "wall"})

    (row,) = bench(viewer).measure()[1][0]

    assert row.edge_mm == pytest.approx(1.2, rel=0.08)


def test_region_off_one_of_the_images_has_numbers_on_the_other(viewer) -> None:
    drawn(viewer)
    viewer.add_image(
        speckle()[:, :30], name="upper part", **place(metadata=place()["metadata"])
    )
    made = bench(viewer, viewer.layers["upper part"])

    _, (before, after) = made.measure()

    assert before[0].area_mm2 > 0 and after[0].area_mm2 == 0
    lines = comparison_lines([before, after])
    mean = next(line for line in lines if line.quantity.name == "mean_db")
    assert np.isfinite(mean.values[0]) and np.isnan(mean.values[1])


def test_results_come_before_other_images_and_nonsense_is_left_out(viewer) -> None:
    viewer.add_image(speckle(), name="other", **place())
    colours = np.zeros((9, 9, 3), np.uint8)
    colours[..., 0] = 200
    viewer.add_image(colours, rgb=True, name="colour")
    made = bench(viewer)
    assert made.names == ["clip", "clip [best]"]

    viewer.layers.remove(viewer.layers["clip [best]"])
    made.choose_images(viewer.layers["clip"], None, 60.0)
    assert made.names == ["clip", "other"]
    made.choose_images(viewer.layers["colour"], None, 60.0)
    assert "colour image" in made.problem and made.images == []
    assert made.measure() == ([], [])
    viewer.add_image(np.zeros((2, 2, *SHAPE)), name="volume")
    made.choose_images(viewer.layers["volume"], None, 60.0)
    assert "4 axes" in made.problem and made.images == []
    made.choose_images(None, None, 60.0)
    assert "image layer" in made.problem


def test_an_empty_region_has_no_numbers_and_stops_no_other(viewer) -> None:
    layer = drawn(viewer)
    before = bench(viewer).measure()[1][0]
    layer.add_rectangles(np.tile([20.0, 0.0], (4, 1)))
    set_roles(layer, {len(layer.data) - 1: "speckle"})

    *others, empty = bench(viewer).measure()[1][0]

    assert [row.mean_db for row in others] == [row.mean_db for row in before]
    assert empty.area_mm2 == 0


def test_hidden_layers_do_not_count_unless_they_are_chosen(viewer) -> None:
    layer = drawn(viewer)
    layer.visible = False
    made = bench(viewer)
    assert made.measure()[1][0] == []

    made.choose_drawn(layer)
    assert len(made.measure()[1][0]) == 2


def test_profiles_of_both_images_lie_along_one_line(viewer) -> None:
    z, x = GRID.axes_mm()
    plane = 2 * z[:, None] - 3 * x[None] - 60
    for name, factor in (("clip", 1.0), ("clip [best]", 0.5)):
        viewer.layers[name].data = np.broadcast_to(
            factor * plane, (FRAMES, *SHAPE)
        ).copy()
    layer = new_calipers(viewer, viewer.layers["clip"])
    layer.add_lines(np.array([[10.0, -5.0], [20.0, -5.0]]))

    (first, distance, values), (second, _, halves) = bench(viewer).profiles()

    assert (first, second) == ("clip", "clip [best]")
    assert distance[-1] == pytest.approx(10)
    np.testing.assert_allclose(values, 2 * (10 + distance) + 15 - 60, atol=1e-4)
    np.testing.assert_allclose(halves, values / 2, atol=1e-4)


def test_the_selected_line_goes_before_the_last(viewer) -> None:
    assert profile_line(viewer) is None
    layer = new_calipers(viewer, viewer.layers["clip"])
    lines = [np.array([[10.0, 0.0], [20.0, float(i)]]) for i in range(3)]
    layer.add_lines(lines)
    layer.selected_data = {1}
    np.testing.assert_allclose(profile_line(viewer)[1], lines[1])
    layer.selected_data = set()
    np.testing.assert_allclose(profile_line(viewer)[1], lines[2])


def test_calipers_say_their_length_in_millimetres(viewer) -> None:
    layer = new_calipers(viewer, viewer.layers["clip"])
    layer.add_lines(np.array([[10.0, 0.0], [13.0, 4.0]]))

    write_lengths(layer)

    np.testing.assert_allclose(layer.features["length"], [5.0])
    assert list(layer.text.values) == ["5.00 mm"]
    layer.data = [np.array([[10.0, 0.0], [10.0, 2.5]])]
    write_lengths(layer)
    assert list(layer.text.values) == ["2.50 mm"]


def test_new_regions_are_drawn_in_the_units_of_the_image(viewer) -> None:
    layer = new_regions(viewer, viewer.layers["clip"], "speckle")

    assert layer.units == viewer.layers["clip"].units[1:]
    assert viewer.layers.extent.units is not None
    layer.add_ellipses(box(15, 0, 2.0))
    assert list(layer.features["role"]) == ["speckle"]


def test_numbers_go_into_the_features(viewer) -> None:
    layer = drawn(viewer)
    made = bench(viewer)
    regions, measured = made.measure()

    made.features(regions, measured)

    features = layer.features
    assert features["cnr [clip]"][0] == pytest.approx(measured[0][0].cnr)
    assert np.isnan(features["cnr [clip]"][1])
    assert features["enl [clip [best]]"][1] == pytest.approx(measured[1][1].enl)
    assert list(features["role"]) == ["target", "background"]


def test_layers_in_pixels_are_measured_in_pixels() -> None:
    viewer = ViewerModel()
    viewer.add_image(speckle()[0], name="clip")
    layer = viewer.add_shapes([box(50, 50, 10)], shape_type="rectangle")
    set_roles(layer, {0: "speckle"})
    made = bench(viewer)

    (row,) = made.measure()[1][0]

    assert not made.in_mm
    assert row.area_mm2 == pytest.approx(400, rel=0.1)


def test_three_large_images_are_measured_in_a_moment() -> None:
    viewer = ViewerModel()
    rng = np.random.default_rng(0)
    for name in ("clip", "a", "b"):
        viewer.add_image(
            rng.normal(-30, 5, (3, 768, 1024)).astype(np.float32),
            name=name,
            scale=(0.1, 0.05, 0.05),
            units=("s", "mm", "mm"),
            metadata={"usflow": {"values": "db"}},
        )
    boxes = [box(15 + 3 * i, 20, 5.0) for i in range(4)]
    layer = viewer.add_shapes(boxes, shape_type="ellipse", units=("mm", "mm"))
    set_roles(layer, {0: "target", 1: "background", 2: "speckle", 3: "speckle"})
    made = bench(viewer)
    assert len(made.images) == 3
    times = []
    for _ in range(5):
        # Processor time of this thread: another program cannot hold that up.
        start = time.thread_time()
        made.measure()
        times.append(time.thread_time() - start)

    assert np.median(times) < UPDATE_S
