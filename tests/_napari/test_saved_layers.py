"""Layers that are saved in one napari and dropped on the window of another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Points, Shapes

pytestmark = pytest.mark.gui

MANIFEST = Path(__file__).parents[2] / "src" / "napari_usflow" / "napari.yaml"
DB = -np.random.default_rng(2).uniform(0, 60, (4, 24, 20)).astype(np.float32)


@pytest.fixture
def plugins(npe2pm):
    with npe2pm.tmp_plugin(package="napari"), npe2pm.tmp_plugin(manifest=MANIFEST):
        yield


@pytest.fixture
def fresh_readers():
    """No ending is given to a reader."""
    from napari.settings import get_settings

    plugins = get_settings().plugins
    before, plugins.extension2reader = plugins.extension2reader, {}
    yield
    plugins.extension2reader = before


@pytest.fixture
def note() -> dict:
    return {
        "values": "db",
        "method": "flow",
        "parameters": {"steps": 12},
        "settings": {"strength": 0.8},
        "source_layer": "carotid",
        "versions": {"torch": "2.9"},
        "date": "2026-11-29T10:00:00+00:00",
        "frames": {n: {"sigma_db": 5.1} for n in range(4)},
    }


def result(note: dict, values: np.ndarray = DB) -> Image:
    return Image(
        values,
        name="carotid [flow]",
        scale=(0.02, 0.1, 0.2),
        translate=(0, 5.0, -2.0),
        units=("s", "mm", "mm"),
        axis_labels=("t", "z", "x"),
        contrast_limits=(-55, -5),
        colormap="magma",
        gamma=0.9,
        metadata={"usflow": note},
    )


def drop(viewer, path: Path) -> None:
    """Let go of a file over the canvas."""
    from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
    from qtpy.QtGui import QDropEvent

    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(10, 10),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    viewer.window._qt_viewer.dropEvent(event)


@pytest.mark.parametrize("ending", [".ome.tif", ".zarr"])
def test_result_comes_back_as_it_was_saved(
    make_napari_viewer, plugins, fresh_readers, note, tmp_path, ending
):
    if ending == ".zarr":
        pytest.importorskip("zarr")
    saving = make_napari_viewer()
    saved = saving.add_layer(result(note))
    (path,) = saved.save(str(tmp_path / f"clean{ending}"), plugin="napari-usflow")
    saving.close()

    viewer = make_napari_viewer()
    drop(viewer, Path(path))

    (layer,) = viewer.layers
    np.testing.assert_array_equal(np.asarray(layer.data), DB)
    assert layer.name == "carotid [flow]"
    np.testing.assert_allclose(layer.scale, (0.02, 0.1, 0.2), rtol=1e-6)
    np.testing.assert_allclose(layer.translate, (0, 5.0, -2.0), rtol=1e-6)
    assert [str(u) for u in layer.units] == ["second", "millimeter", "millimeter"]
    assert layer.axis_labels == ("t", "z", "x")
    assert layer.contrast_limits == [-55, -5]
    assert (layer.colormap.name, layer.gamma) == ("magma", pytest.approx(0.9))
    kept = layer.metadata["usflow"]
    assert {name: kept[name] for name in note} == note


def test_uncertainty_comes_back_with_its_quantity(
    make_napari_viewer, plugins, fresh_readers, note, tmp_path
):
    quantity = "standard deviation, dB"
    layer = result({**note, "values": quantity}, np.abs(DB) / 10)
    layer.contrast_limits = (0, 5)
    saved = make_napari_viewer().add_layer(layer)
    (path,) = saved.save(str(tmp_path / "u.ome.tif"), plugin="napari-usflow")

    viewer = make_napari_viewer()
    drop(viewer, Path(path))

    (back,) = viewer.layers
    np.testing.assert_array_equal(back.data, np.abs(DB) / 10)
    assert back.metadata["usflow"]["values"] == quantity
    assert back.contrast_limits == [0, 5]


def test_imagej_tiff_of_the_command_line_comes_back_in_millimetres(
    make_napari_viewer, plugins, fresh_readers, tmp_path
):
    import napari_usflow as usf
    from napari_usflow._napari.settings import associate_files

    associate_files()
    grid = usf.PixelGrid((24, 20), (0.1, 0.2), (0.0, 0.0))
    usf.write(tmp_path / "clean.tif", usf.UltrasoundImage(DB, "db", grid))

    viewer = make_napari_viewer()
    drop(viewer, tmp_path / "clean.tif")

    (layer,) = viewer.layers
    np.testing.assert_array_equal(layer.data, DB)
    np.testing.assert_allclose(layer.scale[1:], (0.1, 0.2), rtol=1e-5)
    assert [str(u) for u in layer.units[1:]] == ["millimeter"] * 2


def test_shapes_and_points_come_back_in_millimetres(
    make_napari_viewer, plugins, fresh_readers, tmp_path
):
    box = np.array([[0, 1, 2], [0, 1, 6], [0, 4, 6], [0, 4, 2]], float)
    place = {
        "scale": (0.02, 0.1, 0.2),
        "translate": (0, 5.0, -2.0),
        "units": ("s", "mm", "mm"),
        "axis_labels": ("t", "z", "x"),
    }
    shapes = Shapes(
        [box, box + 1, box[:2]],
        shape_type=["rectangle", "ellipse", "line"],
        features={"role": ["tissue", "target", "line"]},
        edge_color=["red", "lime", "blue"],
        name="vessel",
        **place,
    )
    points = Points([[0, 3, 4], [1, 5, 6]], name="wires", size=2, **place)
    saving = make_napari_viewer()
    for layer in (shapes, points):
        path = str(tmp_path / f"{layer.name}.geojson")
        assert saving.add_layer(layer).save(path, plugin="napari-usflow") == [path]

    viewer = make_napari_viewer()
    for name in ("vessel", "wires"):
        drop(viewer, tmp_path / f"{name}.geojson")

    for before, after in zip((shapes, points), viewer.layers, strict=True):
        assert type(after).__name__ == type(before).__name__
        assert after.name == before.name
        for mine, other in zip(before.data, after.data, strict=True):
            np.testing.assert_allclose(other, mine)
        np.testing.assert_allclose(after.scale, before.scale)
        np.testing.assert_allclose(after.translate, before.translate)
        assert after.units == before.units
        assert after.axis_labels == before.axis_labels
    back = viewer.layers["vessel"]
    assert list(back.shape_type) == list(shapes.shape_type)
    assert list(back.features["role"]) == ["tissue", "target", "line"]
    np.testing.assert_allclose(back.edge_color, shapes.edge_color)
    text = json.loads((tmp_path / "vessel.geojson").read_text())
    first = text["features"][0]["geometry"]["coordinates"][0][0]
    np.testing.assert_allclose(first, (-2.0 + 2 * 0.2, 5.0 + 1 * 0.1))


def test_damaged_shapes_are_refused(tmp_path):
    from napari_usflow._napari.layers.shape_files import read_shapes, write_shapes
    from napari_usflow.errors import FileFormatError

    path = tmp_path / "a.geojson"
    write_shapes(path, Shapes([np.eye(2)], shape_type="line"))
    content = json.loads(path.read_text())
    content["features"][0]["properties"]["corners"] = [[0, "x"]]
    path.write_text(json.dumps(content))

    with pytest.raises(FileFormatError, match=r"a\.geojson is damaged"):
        read_shapes(path)


def test_reason_of_a_writer_reaches_the_user(make_napari_viewer, plugins, tmp_path):
    from napari_usflow.errors import UsflowError

    layer = make_napari_viewer().add_image(DB[0], name="photo")

    # No plugin is named, as in the dialog: napari drops a ValueError there.
    with pytest.raises(UsflowError, match="'photo' has no pixel size in mm"):
        layer.save(str(tmp_path / "a.zea.hdf5"))
