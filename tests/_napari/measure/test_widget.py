"""The Measure widget in a real window."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication

from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.layers.results import add_result_layer
from napari_usflow._napari.measure.command import measure_layers
from napari_usflow._napari.measure.roles import set_roles
from napari_usflow._napari.measure.widget import MeasureWidget
from napari_usflow.evaluate.quantities import quantities
from napari_usflow.evaluate.regions import ROLE_COLORS

pytestmark = pytest.mark.gui

MANIFEST = Path(__file__).parents[3] / "src" / "napari_usflow" / "napari.yaml"
FRAMES, SHAPE = 4, (150, 120)
PIXEL = (0.2, 0.25)
PATIENCE_MS = 30_000
UPDATE_S = 0.1


def speckle() -> np.ndarray:
    rng = np.random.default_rng(0)
    clip = 10 * np.log10(rng.exponential(size=(FRAMES, *SHAPE))) - 30
    z, x = np.arange(SHAPE[0])[:, None] * 0.2, np.arange(SHAPE[1]) * 0.25
    # Frame i is i dB brighter.
    clip += np.arange(FRAMES)[:, None, None]
    clip[:, np.hypot(z - 15, x - 15) < 4] -= 20
    return clip.astype(np.float32)


@pytest.fixture
def viewer(make_napari_viewer) -> Any:
    viewer = make_napari_viewer()
    viewer.add_image(
        speckle(),
        name="clip",
        scale=(0.1, *PIXEL),
        units=("s", "mm", "mm"),
        axis_labels=("t", "z", "x"),
        contrast_limits=(-60, 0),
        metadata={"usflow": {"values": "db"}},
    )
    add_result_layer(
        viewer,
        viewer.layers["clip"],
        speckle() / 2 - 15,
        name="clip [best]",
        note={"source_layer": "clip", "values": "db"},
    )
    viewer.dims.set_current_step(0, 0)
    yield viewer
    assert not Job.busy()


@pytest.fixture
def widget(viewer) -> Any:
    widget = MeasureWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Measure")
    widget.update_numbers()
    return widget


def cells(widget) -> dict[tuple[str, str], list[str]]:
    """What the table shows: by region and number, the texts of the columns."""
    table, region, found = widget.table, "", {}
    for row in range(table.rowCount()):
        if table.columnSpan(row, 0) > 1:
            region = table.item(row, 0).text()
            continue
        texts = [table.item(row, c).text() for c in range(table.columnCount())]
        found[region, texts[0]] = texts[1:]
    return found


def header(widget) -> list[str]:
    table = widget.table
    return [table.horizontalHeaderItem(c).text() for c in range(table.columnCount())]


def test_a_first_look_needs_no_drawing(viewer, widget) -> None:
    assert "Suggest" in widget.status.text()
    widget.form.suggest.click()

    assert header(widget) == ["Number", "Before", "After", "Change"]
    found = cells(widget)
    before, after, change = found["speckle 1", "Speckle SNR"]
    assert float(after) > 1.5 * float(before)
    assert float(change) == pytest.approx(float(after) - float(before), abs=0.011)
    assert float(found["target 1", "CNR"][0]) > 1.5
    assert 1.7 < float(found["speckle 1", "Speckle SNR"][0]) < 2.1
    regions = viewer.layers["clip regions"]
    assert list(regions.features["role"]) == ["speckle", "target"]
    assert viewer.layers.selection.active is regions
    # A second click does not start another layer.
    widget.form.suggest.click()
    assert len(regions.data) == 4


def test_numbers_follow_a_region_that_is_dragged(viewer, widget, qtbot) -> None:
    widget.suggest()
    regions = viewer.layers["clip regions"]
    before = cells(widget)["target 1", "Mean (dB)"]

    moved = [np.array(shape) for shape in regions.data]
    moved[1] = moved[1] + [0.0, 6.0]
    regions.data = moved

    qtbot.waitUntil(
        lambda: cells(widget)["target 1", "Mean (dB)"] != before, timeout=PATIENCE_MS
    )
    assert list(regions.features["role"]) == ["speckle", "target"]


def test_numbers_follow_the_slider_and_new_data(viewer, widget, qtbot) -> None:
    widget.suggest()
    (first, *_) = cells(widget)["speckle 1", "Mean (dB)"]

    viewer.dims.set_current_step(0, 3)
    qtbot.waitUntil(
        lambda: cells(widget)["speckle 1", "Mean (dB)"][0] != first,
        timeout=PATIENCE_MS,
    )
    value = float(cells(widget)["speckle 1", "Mean (dB)"][0].replace("−", "-"))
    assert value - float(first.replace("−", "-")) == pytest.approx(3, abs=0.6)

    viewer.layers["clip [best]"].data = np.full_like(speckle(), -7.0)
    qtbot.waitUntil(
        lambda: cells(widget)["speckle 1", "Mean (dB)"][1] == "−7.00",
        timeout=PATIENCE_MS,
    )


def test_roles_are_chosen_for_what_is_selected_and_drawn_next(viewer, widget, qtbot):
    form = widget.form
    form.role.setCurrentIndex(form.role.findData("speckle"))
    form.region.click()
    layer = viewer.layers.selection.active
    assert layer.mode == "add_ellipse"
    corners = np.array([[10.0, 5.0], [10.0, 9.0], [14.0, 9.0], [14.0, 5.0]])
    layer.add_ellipses(corners)
    qtbot.waitUntil(lambda: ("speckle 1", "ENL") in cells(widget), timeout=PATIENCE_MS)
    layer.mode = "select"
    layer.selected_data = {0}

    form.role.setCurrentIndex(form.role.findData("background"))
    form.role.activated.emit(form.role.currentIndex())

    qtbot.waitUntil(
        lambda: ("background 1", "ENL") in cells(widget), timeout=PATIENCE_MS
    )
    shade = "#" + "".join(f"{round(255 * c):02x}" for c in layer.edge_color[0][:3])
    assert shade == ROLE_COLORS["background"]
    for role, color in ROLE_COLORS.items():
        assert role in form.legend.text() and color in form.legend.text()


def test_selecting_a_region_shows_its_role(viewer, widget, qtbot) -> None:
    widget.suggest()
    regions = viewer.layers["clip regions"]
    regions.selected_data = {1}
    qtbot.waitUntil(
        lambda: widget.form.role.currentData() == "target", timeout=PATIENCE_MS
    )
    regions.selected_data = {0}
    qtbot.waitUntil(
        lambda: widget.form.role.currentData() == "speckle", timeout=PATIENCE_MS
    )


def test_every_number_has_a_tooltip_that_warns(viewer, widget) -> None:
    widget.suggest()
    table = widget.table
    tips = {
        table.item(row, 0).text(): " ".join(table.item(row, 0).toolTip().split())
        for row in range(table.rowCount())
        if table.columnSpan(row, 0) == 1
    }
    assert "rises with any smoothing" in tips["gCNR"]
    assert "Against: speckle 1" in tips["CNR"]
    for quantity in quantities():
        if quantity.title in tips:
            assert quantity.help in tips[quantity.title]


def test_table_is_copied_and_goes_into_the_features(viewer, widget) -> None:
    widget.suggest()

    markdown = widget.copy(markdown=True)
    assert QGuiApplication.clipboard().text() == markdown
    assert "| target 1 | target | CNR | speckle 1 |" in markdown
    csv = widget.copy(markdown=False)
    assert csv.startswith("region,role,number,against,clip,clip [best],change")
    widget.into_features()
    features = viewer.layers["clip regions"].features
    assert {"cnr [clip]", "cnr [clip [best]]"} <= set(features.columns)


def test_a_line_shows_its_length_and_both_profiles(viewer, widget, qtbot) -> None:
    widget.form.line.click()
    layer = viewer.layers.selection.active
    assert layer.mode == "add_line"

    layer.add_lines(np.array([[5.0, 10.0], [25.0, 10.0]]))
    qtbot.waitUntil(lambda: len(widget.profile.curves()) == 2, timeout=PATIENCE_MS)

    distance, values = widget.profile.curves()["clip"]
    assert distance[-1] == pytest.approx(20)
    assert np.isfinite(values).all()
    assert list(layer.text.values) == ["20.00 mm"]
    # A line for lengths is no region.
    assert cells(widget) == {}


def test_a_clicked_point_has_its_widths(viewer, widget, qtbot) -> None:
    z, x = np.arange(SHAPE[0])[:, None] * 0.2, np.arange(SHAPE[1]) * 0.25
    blob = 2.0 ** -((2 * (z - 10) / 1.0) ** 2 + (2 * (x - 20) / 1.5) ** 2)
    point = np.broadcast_to(20 * np.log10(1e-3 + blob), (FRAMES, *SHAPE))
    viewer.layers["clip"].data = point.astype(np.float32)
    widget.form.point.click()
    layer = viewer.layers.selection.active
    assert layer.mode == "add"

    layer.add([10.2, 20.3])

    qtbot.waitUntil(
        lambda: ("point 1", "FWHM axial (mm)") in cells(widget), timeout=PATIENCE_MS
    )
    found = cells(widget)
    assert float(found["point 1", "FWHM axial (mm)"][0]) == pytest.approx(1, abs=0.1)
    lateral = float(found["point 1", "FWHM lateral (mm)"][0])
    assert lateral == pytest.approx(1.5, abs=0.1)


def test_a_clip_is_measured_frame_by_frame(viewer, widget, qtbot) -> None:
    widget.suggest()
    widget.tabs.setCurrentWidget(widget.clip)
    widget.clip.button.click()
    qtbot.waitUntil(lambda: widget._run.now is None, timeout=PATIENCE_MS)

    frames, values = widget.clip.plot.curves()["clip"]
    np.testing.assert_array_equal(frames, np.arange(FRAMES))
    np.testing.assert_allclose(np.diff(values), 1.0, atol=0.6)
    assert "4 of 4 frames" in widget.status.text()
    widget.clip.quantity.setCurrentIndex(widget.clip.quantity.findData("speckle_snr"))
    _, values = widget.clip.plot.curves()["clip [best]"]
    # Half the decibels are the root of the amplitude: a narrower distribution.
    assert (values > 3).all()


def test_several_results_have_a_column_each(viewer, widget, qtbot) -> None:
    add_result_layer(
        viewer,
        viewer.layers["clip"],
        speckle() / 4 - 22,
        name="clip [nlm]",
        note={"source_layer": "clip", "values": "db"},
    )
    widget.suggest()

    assert header(widget) == ["Number", "Before", "best", "Change", "nlm", "Change"]
    widget.form.after.choose(viewer.layers["clip [nlm]"])
    qtbot.waitUntil(
        lambda: header(widget) == ["Number", "Before", "After", "Change"],
        timeout=PATIENCE_MS,
    )


def test_layers_may_go_change_name_and_order(viewer, widget, qtbot) -> None:
    widget.suggest()
    viewer.layers["clip [best]"].name = "other"
    viewer.layers.move(0, 2)
    widget.update_numbers()
    assert ("target 1", "CNR") in cells(widget)

    viewer.layers.remove(viewer.layers["other"])
    widget.update_numbers()
    assert header(widget) == ["Number", "Before"]
    viewer.layers.remove(viewer.layers["clip regions"])
    widget.update_numbers()
    assert cells(widget) == {}
    viewer.layers.remove(viewer.layers["clip"])
    widget.update_numbers()
    assert "image layer" in widget.status.text()


def test_two_viewers_are_measured_apart(viewer, widget, make_napari_viewer) -> None:
    other = make_napari_viewer()
    other.add_image(speckle()[0], name="other", scale=PIXEL, units=("mm", "mm"))
    second = MeasureWidget(other)
    other.window.add_dock_widget(second, name="Measure")
    widget.suggest()
    second.suggest()
    theirs = cells(second)

    viewer.layers.remove(viewer.layers["clip regions"])
    for each in (widget, second):
        each.update_numbers()

    assert cells(widget) == {}
    assert theirs and cells(second) == theirs


def test_regions_that_say_nothing_are_named(viewer, widget) -> None:
    corners = np.array([[500.0, 0.0], [500.0, 4.0], [504.0, 4.0], [504.0, 0.0]])
    layer = viewer.add_shapes(
        [corners, corners - [490, -4]], shape_type="rectangle", units=("mm", "mm")
    )
    set_roles(layer, {0: "speckle"})
    widget.update_numbers()

    assert "1 shapes have no role" in widget.status.text()
    assert "Outside of the image: speckle 1" in widget.status.text()


def test_display_grey_asks_for_its_dynamic_range(make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    grey = np.random.default_rng(0).integers(60, 200, SHAPE).astype(np.uint8)
    viewer.add_image(grey, name="grey", scale=PIXEL, units=("mm", "mm"))
    widget = MeasureWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Measure")
    widget.suggest()
    assert not widget.form.dynamic_range.isHidden()

    (before,) = cells(widget)["speckle 1", "Mean (dB)"]
    widget.form.dynamic_range.setValue(30)
    widget.update_numbers()
    (after,) = cells(widget)["speckle 1", "Mean (dB)"]
    halved = float(before.replace("−", "-")) / 2
    assert float(after.replace("−", "-")) == pytest.approx(halved, abs=0.011)


def test_nothing_is_left_when_the_dock_is_closed(viewer, qtbot) -> None:
    def callbacks() -> int:
        layers = viewer.layers
        emitters = [layers.events.inserted, layers.events.removed]
        emitters += [layers.events.renamed, layers.selection.events.active]
        emitters += [viewer.dims.events.current_step, viewer.events.theme]
        for layer in layers:
            emitters += [layer.events[name] for name in ("data", "set_data", "scale")]
        return sum(len(emitter.callbacks) for emitter in emitters)

    before = callbacks()
    widget = MeasureWidget(viewer)
    dock = viewer.window.add_dock_widget(widget, name="Measure")
    widget.suggest()
    viewer.layers.remove(viewer.layers["clip regions"])
    qtbot.wait(50)
    viewer.window.remove_dock_widget(dock)
    gone = weakref.ref(widget)
    assert not widget._due.isActive()
    widget.deleteLater()
    del widget, dock
    qtbot.wait(50)
    gc.collect()

    assert callbacks() == before
    assert gone() is None


def test_menu_opens_the_widget_once(viewer, npe2pm) -> None:
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        measure_layers()
        measure_layers()
        _, widget = viewer.window.add_plugin_dock_widget("napari-usflow", "Measure")
    assert isinstance(widget, MeasureWidget)


def test_table_of_three_large_images_is_filled_in_a_moment(make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    rng = np.random.default_rng(0)
    for name in ("clip", "a", "b"):
        viewer.add_image(
            rng.normal(-30, 5, (2, 768, 1024)).astype(np.float32),
            name=name,
            scale=(0.1, 0.05, 0.05),
            units=("s", "mm", "mm"),
            metadata={"usflow": {"values": "db"}},
        )
    widget = MeasureWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Measure")
    widget.form.before.choose(viewer.layers["clip"])
    widget.suggest()
    assert header(widget) == ["Number", "Before", "a", "Change", "b", "Change"]
    regions = viewer.layers["clip regions"]
    times = []
    for _ in range(6):
        regions.data = [np.add(shape, [0.0, 0.1]) for shape in regions.data]
        # Processor time of the window's thread: another program cannot hold that up.
        start = time.thread_time()
        widget.update_numbers()
        times.append(time.thread_time() - start)

    assert np.median(times) < UPDATE_S


def test_empty_window_says_what_to_do_without_alarm(make_napari_viewer):
    viewer = make_napari_viewer()
    widget = MeasureWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Measure")
    widget.update_numbers()

    assert widget.status.text() == "Open or choose an image layer first."
    assert widget.status.styleSheet() == ""

    viewer.add_image(speckle()[0], name="exported")
    widget.form.before.choose(viewer.layers["exported"])
    widget.update_numbers()
    assert widget.status.text().startswith("Suggest draws two regions")
    assert "calibrate the layer by a line" in widget.status.text()
