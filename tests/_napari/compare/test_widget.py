"""The Compare widget in a real window."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_usflow._napari.compare.command import compare_layers, open_compare
from napari_usflow._napari.compare.widget import CompareWidget
from napari_usflow._napari.layers.results import add_result_layer
from napari_usflow._napari.layers.views import is_view
from napari_usflow._napari.shared.layer_combo import LayerCombo

pytestmark = pytest.mark.gui

MANIFEST = Path(__file__).parents[3] / "src" / "napari_usflow" / "napari.yaml"
FRAMES, SHAPE = 8, (60, 80)
PATIENCE_MS = 20_000


@pytest.fixture
def viewer(make_napari_viewer) -> Any:
    viewer = make_napari_viewer()
    rng = np.random.default_rng(0)
    clip = rng.normal(-30, 5, (FRAMES, *SHAPE)).astype(np.float32)
    viewer.add_image(
        clip,
        name="clip",
        scale=(0.1, 0.5, 0.25),
        units=("s", "mm", "mm"),
        axis_labels=("t", "z", "x"),
        contrast_limits=(-60, 0),
        metadata={"usflow": {"values": "db"}},
    )
    for factor, name in ((0.2, "best"), (0.6, "nlm")):
        note = {"source_layer": "clip", "values": "db"}
        data = factor * (clip + 30) - 30
        add_result_layer(
            viewer, viewer.layers["clip"], data, name=f"clip [{name}]", note=note
        )
    viewer.dims.set_current_step(0, 0)
    return viewer


@pytest.fixture
def widget(viewer) -> Any:
    widget = CompareWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Compare")
    yield widget
    widget.form.set_mode("off")


def views(viewer) -> list[str]:
    return [layer.name for layer in viewer.layers if is_view(layer)]


def test_opens_with_a_result_and_its_input_under_the_curtain(viewer, widget) -> None:
    form = widget.form

    assert form.mode() == "curtain"
    assert form.before.layer().name == "clip"
    # The result that is selected: the last one that was made.
    assert form.after.layer().name == "clip [nlm]"
    assert views(viewer) == ["Compare", "Compare (line)"]


def test_results_follow_each_other_by_key(viewer, widget) -> None:
    line = widget.comparison.picture.divider
    widget.form.place.setValue(300)
    moved = widget.comparison.picture.divider
    assert moved != line

    keys = {str(key): action for key, action in viewer.keymap.items()}
    assert {"K", "PageUp", "PageDown"} <= set(keys)
    seen = []
    for _ in range(3):
        keys = {str(key): action for key, action in viewer.keymap.items()}
        keys["PageDown"](viewer)
        seen.append(widget.form.after.layer().name)
    keys = {str(key): action for key, action in viewer.keymap.items()}
    keys["PageUp"](viewer)
    seen.append(widget.form.after.layer().name)

    assert seen == ["clip [best]", "clip [nlm]", "clip [best]", "clip [nlm]"]
    # The line stays where it was: the same place in another result.
    assert widget.comparison.picture.divider == moved
    assert len(views(viewer)) == 2


def test_flicker_swaps_the_sides_by_timer_and_by_key(viewer, widget, qtbot) -> None:
    widget.form.period.setValue(0.1)
    widget.form.set_mode("flicker")
    shown, comparison = [], widget.comparison
    comparison.layer.events.set_data.connect(
        lambda: shown.append(comparison.picture.mode)
    )
    qtbot.waitUntil(lambda: len(shown) >= 4, timeout=PATIENCE_MS)
    assert shown[:4] == ["after", "before", "after", "before"]

    widget.form.by_timer.setChecked(False)
    now = widget.comparison.picture.mode
    widget.swap()
    assert widget.comparison.picture.mode != now
    assert not widget._flicker.isActive()


def test_the_key_begins_to_flicker_from_any_view(viewer, widget) -> None:
    widget.form.set_mode("difference")
    widget.swap()

    assert widget.form.mode() == "flicker"


def test_difference_says_whether_it_is_white(viewer, widget, qtbot) -> None:
    widget.form.set_mode("difference")

    qtbot.waitUntil(lambda: "white" in widget.form.status.text(), timeout=PATIENCE_MS)
    # What is taken away of white noise is white: 0.4 of 5 dB.
    text = widget.form.status.text()
    assert "It is white" in text
    assert "2 dB" in text or "1.99 dB" in text or "2.01 dB" in text
    widget.form.set_mode("curtain")
    assert widget.form.status.text() == ""


def test_slider_and_boxes_move_the_line_and_follow_it(viewer, widget) -> None:
    form = widget.form
    form.place.setValue(250)
    z, x = widget.comparison.picture.divider.point
    # A quarter of the way across 80 pixels of 0.25 mm, from edge to edge.
    assert x == pytest.approx(-0.125 + 0.25 * 20, abs=1e-6)

    form.angle.setValue(90)
    assert widget.comparison.picture.divider.angle_deg == 90
    assert widget.comparison.picture.divider.point == pytest.approx((z, x))
    form.place.setValue(500)
    assert widget.comparison.picture.divider.point[0] == pytest.approx(14.75)


def test_dragging_on_the_canvas_moves_the_line_and_not_the_camera(
    viewer, widget, qtbot
) -> None:
    from vispy.app.canvas import MouseEvent

    viewer.window.resize(1000, 700)
    QApplication.processEvents()
    viewer.reset_view()
    canvas = viewer.window._qt_viewer.canvas
    center, zoom = viewer.scene.camera.center, viewer.scene.camera.zoom
    middle = np.array(viewer.canvas.size[::-1], float) / 2
    z, x = widget.comparison.picture.divider.point
    on_line = middle + zoom * np.array([x - center[2], z - center[1]])

    def send(kind: str, place: np.ndarray, press: Any = None) -> Any:
        event = MouseEvent(kind, pos=place, button=1, press_event=press)
        if press is not None:
            event._buttons = [1]
        getattr(canvas, f"_on_{kind}")(event)
        return event

    right = np.array([40.0, 0.0])
    press = send("mouse_press", on_line)
    send("mouse_move", on_line + right, press)
    send("mouse_release", on_line + right, press)

    assert press.handled
    moved = widget.comparison.picture.divider.point[1] - x
    assert moved == pytest.approx(40 / zoom, abs=1.5 / zoom)
    assert viewer.scene.camera.center == center

    away = send("mouse_press", on_line - 1.5 * right)
    send("mouse_release", on_line - 1.5 * right, away)
    assert not away.handled


def test_another_pair_can_be_chosen_and_nonsense_is_refused(viewer, widget) -> None:
    colours = np.zeros((30, 20, 3), np.uint8)
    colours[..., 0] = 200
    viewer.add_image(colours, rgb=True, name="colour")
    widget.form.after.choose(viewer.layers["colour"])

    assert "colour image" in widget.form.status.text()
    assert widget.form.mode() == "off"
    assert views(viewer) == []

    widget.compare(viewer.layers["clip"], viewer.layers["clip [best]"])
    assert widget.form.mode() == "curtain"
    assert widget.form.status.text() == ""


def test_removing_a_result_ends_it_and_says_so(viewer, widget) -> None:
    viewer.layers.remove(viewer.layers["clip [nlm]"])

    assert "was removed" in widget.form.status.text()
    assert widget.form.mode() == "off"
    assert views(viewer) == []
    assert [layer.name for layer in viewer.layers] == ["clip", "clip [best]"]


def test_side_by_side_has_two_canvases_that_move_together(viewer, widget, qtbot):
    viewer.add_shapes(
        [np.array([[5.0, 5.0], [10.0, 10.0]])],
        shape_type="rectangle",
        name="regions",
        units=("mm", "mm"),
    )
    widget.form.set_mode("side")
    second = widget.second
    qtbot.wait(50)

    camera, other = viewer.scene.camera, second.model.scene.camera
    camera.zoom, camera.center = 33.0, (0, 11.0, 7.0)
    assert other.zoom == 33.0
    assert other.center == camera.center
    other.zoom = 21.0
    assert camera.zoom == 21.0
    viewer.dims.set_current_step(0, 5)
    assert second.model.dims.current_step[0] == 5
    second.model.dims.set_current_step(0, 2)
    assert viewer.dims.current_step[0] == 2
    viewer.layers["clip"].contrast_limits = (-50, -5)
    assert second.layer.contrast_limits == [-50, -5]
    np.testing.assert_array_equal(
        np.asarray(second.layer.data[2]), viewer.layers["clip [nlm]"].data[2]
    )
    assert widget.comparison.picture.mode == "before"

    # What is drawn is seen on both.
    assert [layer.name for layer in second.model.layers] == ["clip [nlm]", "regions"]
    viewer.layers["regions"].add_rectangles(np.array([[1.0, 1.0], [2.0, 2.0]]))
    qtbot.waitUntil(
        lambda: len(second.model.layers["regions"].data) == 2, timeout=PATIENCE_MS
    )
    viewer.window.screenshot(canvas_only=False, flash=False)

    widget.form.set_mode("off")
    assert widget.second is None
    qtbot.wait(50)


def test_closing_the_second_canvas_goes_back_to_the_curtain(viewer, widget, qtbot):
    widget.form.set_mode("side")
    qtbot.wait(50)

    viewer.window.remove_dock_widget(widget.second._dock)

    assert widget.form.mode() == "curtain"
    assert widget.second is None
    assert views(viewer) == ["Compare", "Compare (line)"]
    qtbot.wait(50)


def _callbacks(viewer) -> int:
    layers = viewer.layers.events
    emitters = [layers.inserted, layers.removed, layers.reordered, layers.renamed]
    emitters += [viewer.dims.events[n] for n in ("ndisplay", "current_step", "point")]
    emitters += [viewer.scene.camera.events[n] for n in ("zoom", "center")]
    for layer in viewer.layers:
        emitters += [layer.events[n] for n in ("set_data", "data", "contrast_limits")]
    return sum(len(emitter.callbacks) for emitter in emitters)


@pytest.mark.parametrize("mode", ["curtain", "flicker", "difference", "side"])
def test_nothing_is_left_when_the_dock_is_closed(viewer, qtbot, mode: str) -> None:
    from napari.qt import QtViewer

    def timers() -> int:
        return sum(
            timer.isActive()
            for window in QApplication.topLevelWidgets()
            for timer in window.findChildren(QTimer)
            if timer.parent() is None or "Compare" in type(timer.parent()).__name__
        )

    layers, callbacks = list(viewer.layers), _callbacks(viewer)
    keys, drags = dict(viewer.keymap), list(viewer.mouse_drag_callbacks)
    widget = CompareWidget(viewer)
    dock = viewer.window.add_dock_widget(widget, name="Compare")
    widget.form.set_mode(mode)
    qtbot.wait(50)
    viewer.window.remove_dock_widget(dock)
    gone = weakref.ref(widget)
    widget.deleteLater()
    del widget, dock
    # Deleting Qt objects, and what only held each other.
    qtbot.wait(50)
    gc.collect()

    assert list(viewer.layers) == layers
    assert dict(viewer.keymap) == keys
    assert list(viewer.mouse_drag_callbacks) == drags
    assert _callbacks(viewer) == callbacks
    assert timers() == 0
    if mode != "side":
        # Qt keeps the wrapper of any dock beside which a canvas was docked.
        assert gone() is None
    assert len(QtViewer._instances) == 1


@pytest.mark.parametrize("mode", ["curtain", "flicker", "side"])
def test_closing_the_window_with_a_comparison_on_is_quiet(
    make_napari_viewer, qtbot, mode: str
) -> None:
    viewer = make_napari_viewer()
    for name in ("a", "b"):
        viewer.add_image(np.random.default_rng(0).normal(size=SHAPE), name=name)
    widget = CompareWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Compare")
    widget.form.set_mode(mode)
    qtbot.wait(50)

    viewer.close()
    qtbot.wait(50)


def test_two_viewers_compare_apart(viewer, widget, make_napari_viewer) -> None:
    other = make_napari_viewer()
    for name in ("a", "b"):
        other.add_image(np.zeros(SHAPE), name=name, contrast_limits=(0, 1))
    second = CompareWidget(other)
    other.window.add_dock_widget(second, name="Compare")

    second.form.place.setValue(100)
    widget.form.place.setValue(900)

    assert second.comparison.pair.before.name == "a"
    assert widget.comparison.pair.before.name == "clip"
    second.form.set_mode("off")
    assert views(other) == []
    assert len(views(viewer)) == 2


def test_a_clip_is_played_with_the_curtain_on(viewer, widget, qtbot) -> None:
    frames = []
    for step in range(FRAMES):
        viewer.dims.set_current_step(0, step)
        QApplication.processEvents()
        frames.append(widget.comparison.pair.last_frame)

    assert frames == list(range(FRAMES))


def test_layers_of_a_comparison_are_nobodys_input(viewer, widget, qtbot) -> None:
    combo = LayerCombo(viewer)
    qtbot.addWidget(combo)

    offered = [combo.itemText(i) for i in range(combo.count())]
    assert offered == ["clip", "clip [best]", "clip [nlm]"]
    combo.let_go()


def test_menu_compares_the_two_selected_layers(viewer, npe2pm) -> None:
    viewer.layers.selection = {viewer.layers["clip"], viewer.layers["clip [best]"]}
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        compare_layers()
        widget = open_compare(viewer)
        assert widget.form.after.layer().name == "clip [best]"
        open_compare(viewer, viewer.layers["clip"], viewer.layers["clip [nlm]"])
        assert widget.form.after.layer().name == "clip [nlm]"
        widget.form.set_mode("off")


def test_with_one_image_it_says_what_to_do(make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros(SHAPE), name="only")
    widget = CompareWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Compare")

    assert "two image layers" in widget.form.status.text()
    widget.form.set_mode("curtain")
    assert widget.form.mode() == "off"
    assert len(viewer.layers) == 1


def test_a_frame_is_drawn_in_a_moment(viewer, widget) -> None:
    start = time.thread_time()
    for step in range(FRAMES):
        viewer.dims.set_current_step(0, step)
        QApplication.processEvents()
    assert (time.thread_time() - start) / FRAMES < 0.1


def test_empty_window_offers_nothing_that_needs_a_layer(make_napari_viewer):
    viewer = make_napari_viewer()
    widget = CompareWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Compare")
    form = widget.form
    assert form.clip_row.isHidden() and not form.suggest.isEnabled()

    viewer.add_image(
        np.zeros((3, 20, 30)),
        name="clip",
        scale=(0.1, 0.5, 0.5),
        units=("s", "mm", "mm"),
    )
    form.before.choose(viewer.layers["clip"])

    assert not form.clip_row.isHidden() and form.suggest.isEnabled()


def test_side_by_side_halves_the_canvas_and_gives_the_width_back(
    qtbot, make_napari_viewer
):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    data = np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)
    first = viewer.add_image(data, name="before")
    add_result_layer(viewer, first, data // 2, name="after", note={})
    widget = CompareWidget(viewer)
    dock = viewer.window.add_dock_widget(widget, name="Compare")
    qtbot.wait(200)
    middle = dock.parentWidget().centralWidget()
    width = dock.width()

    widget.form.set_mode("side")
    qtbot.waitUntil(
        lambda: abs(middle.width() - widget.second.width()) <= 20, timeout=PATIENCE_MS
    )
    assert middle.width() > 250
    widget.form.set_mode("curtain")
    qtbot.waitUntil(lambda: dock.width() <= width + 20, timeout=PATIENCE_MS)

    widget.form.set_mode("off")
