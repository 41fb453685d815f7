"""The Annotate widget in a real window."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_usflow._napari.annotate.command import annotate_layers
from napari_usflow._napari.annotate.form import KEYS
from napari_usflow._napari.annotate.mark_layers import layer_marks, marks_in
from napari_usflow._napari.annotate.widget import AnnotateWidget
from napari_usflow._napari.measure.bench import Bench

pytestmark = pytest.mark.gui

MANIFEST = Path(__file__).parents[3] / "src" / "napari_usflow" / "napari.yaml"
FRAMES, SHAPE = 6, (40, 50)


@pytest.fixture
def viewer(make_napari_viewer) -> Any:
    viewer = make_napari_viewer()
    rng = np.random.default_rng(0)
    viewer.add_image(
        rng.normal(-30, 5, (FRAMES, *SHAPE)).astype(np.float32),
        name="clip",
        scale=(0.04, 0.2, 0.25),
        translate=(0, 5, -6),
        units=("s", "mm", "mm"),
        axis_labels=("t", "z", "x"),
        contrast_limits=(-60, 0),
        metadata={"usflow": {"values": "db", "source": "/secret/patient.dcm"}},
    )
    viewer.dims.set_current_step(0, 2)
    return viewer


@pytest.fixture
def widget(viewer) -> Any:
    widget = AnnotateWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Annotate")
    widget.form.reader.setText("Ada")
    return widget


def box_on(widget, frame: int, text: str) -> None:
    """Draw a box of 2 by 1 mm, as napari's tool does."""
    widget.form.text.setText(text)
    widget.draw("add_rectangle")
    layer = widget._viewer.layers["clip marks"]
    corners = [[frame, 8, -2], [frame, 8, 0], [frame, 9, 0], [frame, 9, -2]]
    layer.add_rectangles([corners])
    widget.update_list()


def texts(widget) -> list[str]:
    table = widget.form.table
    return [table.item(row, 3).text() for row in range(table.rowCount())]


def test_marks_carry_text_reader_and_frame(viewer, widget) -> None:
    box_on(widget, 2, "cyst")

    layer = viewer.layers["clip marks"]
    assert layer.units == viewer.layers["clip"].units
    assert layer.mode == "add_rectangle"
    (mark,) = marks_in(viewer)
    assert (mark.kind, mark.text, mark.reader, mark.frame) == ("box", "cyst", "Ada", 2)
    assert mark.area_mm2 == pytest.approx(2.0)
    assert mark.created
    assert texts(widget) == ["cyst"]
    assert layer.features["label"].tolist() == ["cyst"]


def test_every_tool_makes_its_kind_of_mark(viewer, widget) -> None:
    box_on(widget, 1, "a box")
    shapes = viewer.layers["clip marks"]
    for tool, text in (("add_polygon", "an outline"), ("add_line", "a line")):
        widget.form.text.setText(text)
        widget.draw(tool)
        assert shapes.mode == tool
        ends = [[3, 7, -3], [3, 7, 1], [3, 9, 1]]
        if tool == "add_line":
            shapes.add_lines([ends[:2]])
        else:
            shapes.add_polygons([ends])
    widget.form.text.setText("a point")
    widget.draw("point")
    points = viewer.layers["clip marked points"]
    assert points.mode == "add"
    points.add([[4, 10, 2]])
    widget.form.text.setText("a frame")
    widget.draw("frame")
    widget.update_list()

    kinds = {found.mark.text: found.mark for found in widget.marks}
    assert {text: mark.kind for text, mark in kinds.items()} == {
        "a box": "box",
        "an outline": "polygon",
        "a line": "line",
        "a point": "point",
        "a frame": "frame",
    }
    assert kinds["a line"].length_mm == pytest.approx(4.0)
    assert kinds["a frame"].frame == 2
    assert "a line 4.00 mm" in shapes.features["label"].tolist()


def test_keys_go_from_mark_to_mark_and_tick_off(viewer, widget) -> None:
    for frame, text in ((4, "late"), (1, "early"), (3, "middle")):
        box_on(widget, frame, text)
    keys = {str(key): action for key, action in viewer.keymap.items()}

    def pressed(name: str) -> None:
        keys[KEYS[name].replace("-", "+")](viewer)

    assert texts(widget) == ["early", "middle", "late"]
    pressed("next")
    assert viewer.dims.current_step[0] == 1
    pressed("next")
    assert viewer.dims.current_step[0] == 3
    pressed("previous")
    pressed("tick")
    assert [found.mark.done for found in widget.marks] == [True, False, False]
    assert widget.form.table.item(0, 0).text() == "✓"
    assert layer_marks(viewer.layers["clip marks"])[1].mark.done
    pressed("tick")
    assert not any(found.mark.done for found in widget.marks)


def test_a_chosen_mark_is_shown_with_its_whole_text(viewer, widget) -> None:
    widget.form.text.setText("a calcification, perhaps")
    widget.draw("add_rectangle")
    layer = viewer.layers["clip marks"]
    # At the right edge of the clip, where its text is longer than what is left.
    corners = [[2, 8, 5], [2, 8, 6], [2, 9, 6], [2, 9, 5]]
    layer.add_rectangles([corners])
    widget.update_list()
    camera = viewer.scene.camera
    before = camera.center

    widget.go_to(0)

    moved = np.subtract(camera.center, before)[-2:]
    text = 11 * len("a calcification, perhaps")
    right = camera.center[-1] + viewer.canvas.size[1] / 2 / camera.zoom
    assert moved[0] == 0
    assert right == pytest.approx(5 + text / camera.zoom)
    widget.go_to(0)
    assert camera.center[-1] == pytest.approx(before[-1] + moved[1])


def test_marks_of_another_reader_are_not_overwritten(viewer, widget) -> None:
    box_on(widget, 1, "cyst")
    widget.form.reader.setText("Grace")
    box_on(widget, 1, "artefact")
    layer = viewer.layers["clip marks"]
    layer.selected_data = {0, 1}
    widget.form.text.setText("tumour")

    widget.rename()

    assert sorted(texts(widget)) == ["cyst", "tumour"]
    assert "Ada" in widget.form.status.text()


def test_marks_are_not_measured_as_regions(viewer, widget) -> None:
    widget.draw("point")
    viewer.layers["clip marked points"].add([[2, 10, 2]])
    bench = Bench(viewer)
    bench.choose_images(viewer.layers["clip"], None, 60.0)
    bench.choose_drawn(None)

    assert bench.measure() == ([], [[]])


def test_export_writes_what_is_listed(viewer, widget, tmp_path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    box_on(widget, 2, "cyst")

    widget.export(tmp_path / "marks.csv")
    widget.export(tmp_path / "marks.geojson")
    widget.export(tmp_path / "clip")

    (row,) = csv.DictReader((tmp_path / "marks.csv").read_text().splitlines())
    assert (row["text"], row["reader"], row["frame"]) == ("cyst", "Ada", "2")
    features = json.loads((tmp_path / "marks.geojson").read_text())["features"]
    assert features[0]["geometry"]["coordinates"][0][0] == [-2, 8]
    data = coco.COCO(str(tmp_path / "clip" / "annotations.json"))
    (found,) = data.loadAnns(data.getAnnIds())
    assert found["image_id"] == 3
    # Row (8 - 5) / 0.2, column (-2 + 6) / 0.25, from the edge of the first pixel.
    np.testing.assert_allclose(found["bbox"], [16.5, 15.5, 8, 5])
    assert len(list((tmp_path / "clip").glob("*.png"))) == FRAMES
    for path in (tmp_path / "clip").iterdir():
        assert b"secret" not in path.read_bytes()
        assert b"patient" not in path.read_bytes()
    widget.export(tmp_path / "clip")
    assert "not empty" in widget.form.status.text()


def test_a_deleted_and_a_renamed_layer_are_followed(viewer, widget, qtbot) -> None:
    box_on(widget, 2, "cyst")
    viewer.layers["clip marks"].name = "my marks"
    widget.update_list()
    assert texts(widget) == ["cyst"]
    viewer.layers.reverse()
    viewer.layers.remove("my marks")
    qtbot.waitUntil(lambda: texts(widget) == [])
    widget.step(1)
    widget.tick()
    viewer.layers.clear()
    widget.draw("add_line")
    assert "image" in widget.form.status.text()


def test_marks_stay_with_an_image_that_is_renamed(viewer, widget) -> None:
    box_on(widget, 2, "cyst")
    viewer.layers["clip"].name = "carotid"
    widget.draw("add_line")
    assert [layer.name for layer in viewer.layers] == ["carotid", "clip marks"]


def test_images_of_other_kinds_are_marked_or_refused(viewer, widget, tmp_path) -> None:
    place = {"scale": (0.2, 0.25), "units": ("mm", "mm"), "rotate": 30}
    viewer.add_image(np.zeros(SHAPE), name="turned", **place)
    red = np.full((9, 9, 3), (200, 0, 0), np.uint8)
    viewer.add_image(red, rgb=True, name="colour")
    viewer.add_image(np.zeros((2, 2, *SHAPE)), name="volume")

    for name in ("turned", "colour"):
        widget.form.image.choose(viewer.layers[name])
        widget.draw("frame")
        widget.draw("add_line")
        # Half of it lies outside of the image.
        viewer.layers[f"{name} marks"].add_lines([[[1.0, 1.0], [1.0, 900.0]]])
    widget.update_list()
    assert [found.mark.kind for found in widget.marks] == ["frame", "line"] * 2
    assert [found.mark.length_mm for found in widget.marks[1::2]] == [899.0] * 2
    widget.go_to(3)
    widget.export(tmp_path / "colour")
    assert "colour image" in widget.form.status.text()

    widget.form.image.choose(viewer.layers["volume"])
    for tool in ("frame", "add_line", "point"):
        widget.draw(tool)
        assert "4 axes" in widget.form.status.text()
    assert "volume marks" not in viewer.layers


def test_two_viewers_are_annotated_apart(viewer, widget, make_napari_viewer) -> None:
    other = make_napari_viewer()
    other.add_image(np.zeros((FRAMES, *SHAPE)), name="clip")
    second = AnnotateWidget(other)
    other.window.add_dock_widget(second, name="Annotate")

    box_on(second, 1, "theirs")
    box_on(widget, 2, "mine")

    assert (texts(second), texts(widget)) == (["theirs"], ["mine"])
    viewer.layers.remove("clip marks")
    widget.update_list()
    assert (texts(second), texts(widget)) == (["theirs"], [])


def test_nothing_is_left_after_closing(viewer, qtbot) -> None:
    def counts() -> list[int]:
        viewer_events = viewer.layers.events
        return [
            len(viewer.keymap),
            len(viewer_events.inserted.callbacks),
            len(viewer_events.removed.callbacks),
            len(viewer_events.renamed.callbacks),
            len(viewer.layers.selection.events.active.callbacks),
        ]

    before = counts()
    widget = AnnotateWidget(viewer)
    dock = viewer.window.add_dock_widget(widget, name="Annotate")
    viewer.window.remove_dock_widget(dock)
    widget.deleteLater()
    del widget, dock
    qtbot.waitUntil(lambda: counts() == before)


def test_the_menu_opens_it_once(viewer, npe2pm) -> None:
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        annotate_layers()
        annotate_layers()
    docks = [name for name in viewer.window.dock_widgets if "Annotate" in name]
    assert len(docks) == 1
