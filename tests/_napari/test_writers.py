"""Saving layers: where they are, in their units, with what was done to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from PIL import Image as Picture

import napari_usflow as usf
from napari_usflow._napari import writers
from napari_usflow._napari.layers.content import layer_data
from napari_usflow.errors import UsflowError

MANIFEST = Path(__file__).parents[2] / "src" / "napari_usflow" / "napari.yaml"
DB = -np.random.default_rng(2).uniform(0, 60, (4, 24, 20)).astype(np.float32)


@pytest.fixture
def plugin(npe2pm):
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        yield


@pytest.fixture
def layer() -> Image:
    """A denoised stack, as its layer is."""
    return Image(
        DB,
        name="carotid [flow]",
        scale=(0.02, 0.1, 0.2),
        translate=(0, 5.0, -2.0),
        units=("s", "mm", "mm"),
        axis_labels=("t", "z", "x"),
        contrast_limits=(-50, 0),
        metadata={"usflow": {"values": "db", "method": "flow", "seed": 3}},
    )


@pytest.mark.parametrize("suffix", [".ome.tif", ".hdf5", ".zea.hdf5"])
def test_a_layer_comes_back_in_place_and_units(plugin, layer, tmp_path, suffix) -> None:
    (path,) = layer.save(str(tmp_path / f"a{suffix}"), plugin="napari-usflow")

    (image,) = usf.read(path)
    data, kwargs, _ = layer_data(image)

    np.testing.assert_allclose(data, DB, atol=2e-5)
    np.testing.assert_allclose(kwargs["scale"], layer.scale, rtol=1e-5)
    np.testing.assert_allclose(kwargs["translate"], layer.translate, rtol=1e-5)
    assert [str(unit) for unit in kwargs["units"]] == ["s", "mm", "mm"]
    assert tuple(kwargs["axis_labels"]) == layer.axis_labels
    provenance = image.metadata["provenance"]
    assert (provenance["method"], provenance["seed"]) == ("flow", 3)
    assert provenance["layer"] == "carotid [flow]"


def test_our_ome_tiff_is_opened_by_us_and_others_by_napari(layer, tmp_path) -> None:
    import tifffile

    from napari_usflow._napari.readers import get_reader

    data, attributes, _ = layer.as_layer_data_tuple()
    writers.write_ome_tiff(str(tmp_path / "ours.ome.tif"), data, attributes)
    tifffile.imwrite(tmp_path / "theirs.ome.tif", DB, ome=True)

    ours, theirs = (
        get_reader(tmp_path / name)(tmp_path / name)[0]
        for name in ("ours.ome.tif", "theirs.ome.tif")
    )
    assert ours[1]["metadata"]["usflow"]["method"] == "flow"
    assert len(theirs) == 1 or "metadata" not in theirs[1]
    np.testing.assert_array_equal(theirs[0], DB)


def test_the_ending_alone_chooses_the_writer(plugin, layer, tmp_path) -> None:
    layer.save(str(tmp_path / "a.zea.hdf5"))

    assert usf.read(tmp_path / "a.zea.hdf5")[0].metadata["format"] == "zea-image"


def test_plane_wave_counts_stay_what_they_are(plugin, tmp_path) -> None:
    layer = Image(
        DB[:3],
        scale=(1, 0.1, 0.2),
        units=("dimensionless", "mm", "mm"),
        axis_labels=("plane_waves", "z", "x"),
        metadata={"usflow": {"values": "db", "plane_waves": [1, 11, 75]}},
    )

    layer.save(str(tmp_path / "a.hdf5"), plugin="napari-usflow")
    (image,) = usf.read(tmp_path / "a.hdf5")

    assert image.frame_axis == "plane_waves"
    assert image.metadata["plane_waves"] == [1, 11, 75]


def test_the_visible_frame_is_saved_within_the_contrast_limits(
    layer, tmp_path, monkeypatch
) -> None:
    import napari

    viewer = ViewerModel()
    viewer.add_layer(layer)
    viewer.dims.set_current_step(0, 2)
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    data, attributes, _ = layer.as_layer_data_tuple()

    writers.write_picture(str(tmp_path / "a.png"), data, attributes)

    with Picture.open(tmp_path / "a.png") as picture:
        grey = np.asarray(picture, float)
    expected = 255 * np.clip((DB[2] + 50) / 50, 0, 1)
    np.testing.assert_allclose(grey, expected, atol=0.51)


def test_a_movie_has_the_rate_of_the_layer(plugin, layer, tmp_path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")

    layer.save(str(tmp_path / "a.mp4"), plugin="napari-usflow")

    frames, seconds = ffmpeg.count_frames_and_secs(str(tmp_path / "a.mp4"))
    assert (frames, seconds) == (4, pytest.approx(4 * 0.02))


def test_a_layer_in_pixels_is_saved_in_pixels_or_not_at_all(plugin, tmp_path) -> None:
    layer = Image(DB[0], name="photo")

    layer.save(str(tmp_path / "a.ome.tif"), plugin="napari-usflow")

    (image,) = usf.read(tmp_path / "a.ome.tif")
    assert image.metadata["pixel_size_known"] is False
    np.testing.assert_array_equal(image.data[0], DB[0])
    data, attributes, _ = layer.as_layer_data_tuple()
    with pytest.raises(UsflowError, match=r"'photo' has no pixel size in mm"):
        writers.write_picmus(str(tmp_path / "a.hdf5"), data, attributes)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.tif"]


def test_labels_are_left_to_napari(plugin, tmp_path, npe2pm) -> None:
    from npe2 import PluginManager

    labels = Labels(np.zeros((4, 5), int))
    kinds = [labels._type_string]
    writers_ = PluginManager.instance().iter_compatible_writers(kinds)

    assert not [w for w in writers_ if w.command.startswith("napari-usflow")]


def test_napari_s_own_writers_keep_their_endings() -> None:
    """Ours are further choices in the dialog, not what a bare PNG or TIFF goes to."""
    from npe2 import PluginManager, PluginManifest

    manager = PluginManager()
    manager.discover()
    if "napari" not in manager:
        manager.register(PluginManifest.from_distribution("napari"))
    if "napari-usflow" not in manager:
        manager.register(PluginManifest.from_file(MANIFEST))
    for name in ("a.png", "a.tif"):
        writer, _ = manager.get_writer(name, ["image"])
        assert not writer.command.startswith("napari-usflow")


@pytest.mark.gui
def test_saving_shows_a_dialog_that_cancels(qtbot, layer, tmp_path) -> None:
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication, QProgressDialog

    from napari_usflow._napari.jobs.modal_wait import wait_for
    from napari_usflow.errors import Cancelled
    from napari_usflow.jobs import CancelToken, Progress

    token, seen = CancelToken(), []

    def work():
        for step in range(10_000):
            token.raise_if_cancelled()
            yield Progress(step, 10_000, "writing")
            import time

            time.sleep(0.01)

    def press() -> None:
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, QProgressDialog) and widget.isVisible():
                seen.append(widget.labelText())
                widget.canceled.emit()

    QTimer.singleShot(900, press)
    with pytest.raises(Cancelled):
        wait_for(work(), "Saving a.hdf5", token=token)

    assert seen == ["Saving a.hdf5\nwriting"]
