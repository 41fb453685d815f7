"""A project saved from a viewer, and opened in another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari.annotate.mark_layers import mark_layer, write_feature
from napari_usflow._napari.layers.meaning import input_of
from napari_usflow._napari.layers.results import add_result_layer
from napari_usflow._napari.measure.bench import Bench
from napari_usflow._napari.measure.lines import new_calipers, new_regions
from napari_usflow._napari.measure.roles import roles_of, set_roles
from napari_usflow._napari.project.capture import project_of
from napari_usflow._napari.project.saving import free_path, save_project
from napari_usflow._napari.readers import get_reader
from napari_usflow.evaluate.project.store import read_project

FRAMES, SHAPE = 3, (60, 50)


def speckle() -> np.ndarray:
    rng = np.random.default_rng(1)
    return (10 * np.log10(rng.exponential(size=(FRAMES, *SHAPE))) - 30).astype("f4")


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    clip = viewer.add_image(
        speckle(),
        name="clip",
        scale=(0.04, 0.2, 0.25),
        translate=(0, 5, -6),
        units=("s", "mm", "mm"),
        axis_labels=("t", "z", "x"),
        contrast_limits=(-60, 0),
        gamma=0.9,
        metadata={"usflow": {"values": "db"}},
    )
    add_result_layer(
        viewer,
        clip,
        da.from_array(speckle() / 2 - 15, chunks=(1, -1, -1)),
        name="clip [best]",
        note={
            "source_layer": "clip",
            "values": "db",
            "method": "best",
            "frames": {0: {"sigma_db": 5.5}},
        },
    )
    regions = new_regions(viewer, clip, "speckle")
    regions.add_rectangles([[[7, -5], [7, -1], [12, -1], [12, -5]]])
    regions.add_ellipses([[[8, 1], [8, 4], [11, 4], [11, 1]]])
    set_roles(regions, {0: "speckle", 1: "target"})
    painted = viewer.add_labels(
        np.zeros(SHAPE, int),
        name="painted",
        scale=(0.2, 0.25),
        translate=(5, -6),
        units=("mm", "mm"),
    )
    painted.data[40:50, 10:20] = 2
    set_roles(painted, {2: "background"})
    calipers = new_calipers(viewer, clip)
    calipers.add_lines([[[8, -3], [8, 1]]])
    marks = mark_layer(viewer, clip, points=False)
    marks.add_rectangles([[[1, 8, -2], [1, 8, 2], [1, 9, 2], [1, 9, -2]]])
    write_feature(marks, [0], {"text": "wall", "reader": "Ada", "done": True})
    viewer.dims.set_current_step(0, 1)
    camera = getattr(viewer, "scene", viewer).camera
    camera.center, camera.zoom = (0.0, 11.0, 0.5), 17.0
    return viewer


def reopened(path: Path, viewer: ViewerModel | None = None) -> ViewerModel:
    viewer = viewer or ViewerModel()
    reader = get_reader(path)
    assert reader is not None
    for data, kwargs, kind in reader(path):
        getattr(viewer, f"add_{kind}")(data, **kwargs)
    return viewer


def state(layer: Any) -> dict[str, Any]:
    names = ["name", "ndim", "units", "axis_labels", "opacity", "visible", "blending"]
    kinds = {
        "Image": ["contrast_limits", "gamma", "interpolation2d"],
        "Shapes": ["edge_color", "face_color", "edge_width", "shape_type"],
        "Points": ["border_color", "face_color", "size"],
        "Labels": [],
    }
    found = {name: getattr(layer, name) for name in names}
    found |= {
        name: np.asarray(getattr(layer, name)).tolist()
        for name in kinds[type(layer).__name__]
    }
    corners = np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)])
    found["place"] = [np.round(layer.data_to_world(c), 9).tolist() for c in corners]
    if type(layer).__name__ == "Image":
        found["colormap"] = layer.colormap.name
    else:
        found["features"] = layer.features.to_dict("list")
    return found


def test_reopened_it_is_the_same(viewer, tmp_path) -> None:
    path = tmp_path / "heart.usflow"
    save_project(viewer, path)

    again = reopened(path)

    assert [layer.name for layer in again.layers] == [x.name for x in viewer.layers]
    for layer, original in zip(again.layers, viewer.layers, strict=True):
        assert state(layer) == state(original)
        if isinstance(original.data, list):
            for shape, other in zip(layer.data, original.data, strict=True):
                np.testing.assert_array_equal(shape, other)
        else:
            np.testing.assert_array_equal(layer.data, np.asarray(original.data))
    assert again.layers["clip [best]"].metadata == viewer.layers["clip [best]"].metadata
    assert input_of(again, again.layers["clip [best]"]) is again.layers["clip"]
    for name in ("clip regions", "painted"):
        assert roles_of(again.layers[name]) == roles_of(viewer.layers[name])
    assert again.layers["clip calipers"].text.string.format == "{length:.2f} mm"


def test_its_numbers_are_those_of_the_window(viewer, tmp_path) -> None:
    path = tmp_path / "heart.usflow"
    bench = Bench(viewer)
    bench.choose_images(viewer.layers["clip"], None, 60.0)
    bench.choose_drawn(None)
    _, measured = bench.measure()

    save_project(viewer, path)
    stored = read_project(path)

    np.testing.assert_equal(
        [[row.known() for row in rows] for rows in stored.numbers],
        [[row.known() for row in rows] for rows in measured],
    )
    for again, kept in zip(stored.measured(), stored.numbers, strict=True):
        for row, original in zip(again, kept, strict=True):
            assert row.known() == pytest.approx(original.known())
    assert stored.frame == 1
    assert [mark.text for mark in stored.marks] == ["wall"]


def test_camera_and_slider_are_taken_up_in_the_current_viewer(
    viewer, tmp_path, monkeypatch
) -> None:
    path = tmp_path / "heart.usflow"
    save_project(viewer, path)
    again = ViewerModel()
    monkeypatch.setattr("napari_usflow._napari.project.restore._viewer", lambda: again)

    reopened(path, again)

    camera = getattr(again, "scene", again).camera
    assert camera.zoom == 17.0
    assert tuple(camera.center) == (0.0, 11.0, 0.5)
    assert again.dims.current_step[0] == 1


def test_opened_beside_itself_results_find_their_own_input(
    viewer, tmp_path, monkeypatch
) -> None:
    path = tmp_path / "heart.usflow"
    save_project(viewer, path)
    monkeypatch.setattr("napari_usflow._napari.project.restore._viewer", lambda: viewer)

    reopened(path, viewer)

    second = viewer.layers["clip [best] [1]"]
    assert input_of(viewer, second) is viewer.layers["clip [1]"]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"rotate": 30, "scale": (0.2, 0.25)},
        {"shear": [0.2], "scale": (0.2, 0.25)},
        {"affine": [[0.2, 0.05, 3], [0, 0.3, -2], [0, 0, 1]]},
    ],
)
def test_a_turned_layer_comes_back_in_its_place(tmp_path, kwargs) -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(speckle()[0], units=("mm", "mm"), name="turned", **kwargs)
    regions = new_regions(viewer, layer, "speckle")
    middle = layer.data_to_world((30, 25))
    box = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) + middle + 0.0137
    regions.add_rectangles([box])
    set_roles(regions, {0: "speckle"})
    bench = Bench(viewer)
    bench.choose_images(layer, None, 60.0)
    bench.choose_drawn(None)
    ((row,),) = bench.measure()[1]

    save_project(viewer, tmp_path / "turned.usflow")

    again = reopened(tmp_path / "turned.usflow").layers["turned"]
    for corner in ((0, 0), (1, 0), (0, 1)):
        np.testing.assert_allclose(
            again.data_to_world(corner), layer.data_to_world(corner), atol=1e-9
        )
    ((stored,),) = read_project(tmp_path / "turned.usflow").measured()
    assert stored.known() == pytest.approx(row.known())


def test_colour_and_volumes_are_kept_and_not_measured(tmp_path) -> None:
    viewer = ViewerModel()
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 255, (20, 30, 3)).astype(np.uint8)
    volume = rng.normal(size=(2, 3, 8, 9)).astype(np.float32)
    viewer.add_image(colour, rgb=True, name="colour")
    viewer.add_image(volume, name="volume")

    save_project(viewer, tmp_path / "odd.usflow")

    again = reopened(tmp_path / "odd.usflow")
    assert again.layers["colour"].rgb
    np.testing.assert_array_equal(again.layers["colour"].data, colour)
    np.testing.assert_array_equal(again.layers["volume"].data, volume)
    assert all(image.grid is None for image in project_of(viewer).images)


def test_an_empty_viewer_is_saved_and_opens_as_nothing(tmp_path) -> None:
    save_project(ViewerModel(), tmp_path / "empty.usflow")

    assert not reopened(tmp_path / "empty.usflow").layers


def test_empty_layers_are_kept(tmp_path) -> None:
    viewer = ViewerModel()
    clip = viewer.add_image(speckle(), name="clip", units=("s", "mm", "mm"))
    new_regions(viewer, clip, "target")
    mark_layer(viewer, clip, points=True)

    save_project(viewer, tmp_path / "new.usflow")

    again = reopened(tmp_path / "new.usflow")
    assert [type(layer).__name__ for layer in again.layers] == [
        "Image",
        "Shapes",
        "Points",
    ]
    assert again.layers[2].ndim == 3


def test_what_is_damaged_is_told_and_the_rest_is_opened(
    viewer, tmp_path, monkeypatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_warning", told.append)
    path = tmp_path / "heart.usflow"
    save_project(viewer, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    again = reopened(path)

    assert any("cut off" in text for text in told)
    assert "clip" in again.layers
    assert "clip regions" in again.layers


def test_images_stay_in_their_files_where_they_are_asked_to(tmp_path) -> None:
    np.save(tmp_path / "clip.npy", speckle())
    viewer = ViewerModel()
    for name, data in (("clip", speckle()), ("edited", speckle() + 1)):
        viewer.add_image(
            data,
            name=name,
            units=("s", "mm", "mm"),
            metadata={"usflow": {"values": "db", "source": str(tmp_path / "clip.npy")}},
        )
    path = tmp_path / "linked.usflow"

    save_project(viewer, path, link=True)

    stored = read_project(path)
    assert stored.images[0].link is not None
    assert stored.images[1].link is None
    np.testing.assert_array_equal(stored.images[0].data, speckle())
    assert len(stored.images[0].provenance["source_sha256"]) == 64


def test_reports_overwrite_nothing(tmp_path) -> None:
    first = free_path(tmp_path, "a/b: c", ".html")
    first.write_text("mine")

    assert first.name == "a_b_ c.html"
    assert free_path(tmp_path, "a/b: c", ".html").name == "a_b_ c 2.html"
