"""Many files and layers, one setting, one table."""

from __future__ import annotations

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow._napari.batch.widget import BatchWidget

pytestmark = pytest.mark.gui

GRID = usf.PixelGrid((24, 20), (0.2, 0.25), (0.0, 0.0))
PATIENCE_MS = 60_000


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{name}.tif" for name in "ab"]
    for path in paths:
        frames = rng.normal(-30, 5, (2, 24, 20)).astype(np.float32)
        usf.write(path, usf.UltrasoundImage(frames, "db", GRID))
    return paths


@pytest.fixture
def widget(make_napari_viewer, halving):
    viewer = make_napari_viewer()
    widget = BatchWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Batch")
    form = widget.form
    form.method_combo.addItem(halving.title, halving.name)
    form.method_combo.setCurrentIndex(form.method_combo.count() - 1)
    form.automatic_noise.setChecked(False)
    return widget


def test_files_and_layers_are_denoised_alike_and_a_bad_file_stops_no_other(
    qtbot, widget, files, tmp_path
):
    viewer = widget._viewer
    bad = tmp_path / "bad.tif"
    bad.write_text("nothing")
    viewer.add_image(
        np.asarray(usf.read(files[0])[0].data),
        name="clip",
        scale=(1, 0.2, 0.25),
        units=("s", "mm", "mm"),
        metadata={"usflow": {"values": "db"}},
    )
    widget.add_files([files[0], bad, files[1]])
    widget.add_layers()
    widget.folder.set_paths([tmp_path / "clean"])

    widget.run()
    qtbot.waitUntil(lambda: not widget.running, timeout=PATIENCE_MS)

    assert widget.controls.status.text() == "Done: 3 of 4 denoised, 1 failed."
    names = [widget.table.item(n, 0).text() for n in range(4)]
    assert names == ["a.tif", "bad.tif", "b.tif", "clip"]
    results = [widget.table.item(n, 3).text() for n in range(4)]
    assert (results[0], results[3]) == ("a.ome.tif", "new layer")
    assert results[1] == "Failed"
    assert "bad.tif" in widget.table.item(1, 3).toolTip()
    assert widget.table.item(0, 3).toolTip() == str(tmp_path / "clean" / "a.ome.tif")
    assert widget.table.horizontalHeader().length() <= widget.table.viewport().width()
    written, source = (usf.read(p)[0] for p in (tmp_path / "clean/a.ome.tif", files[0]))
    # Half of what is above black: the method works on [0, 1] of -60 to 0 dB.
    expected = (np.asarray(source.data) + 60) / 2 - 60
    np.testing.assert_allclose(written.data, expected, atol=1e-3)
    assert written.metadata["provenance"]["method"] == "halving"
    np.testing.assert_allclose(viewer.layers[-1].data, expected, atol=1e-3)


def test_cancel_ends_the_batch(qtbot, widget, files, tmp_path):
    widget.form.method_form.editor("seconds").setValue(30.0)
    widget.add_files(files)
    widget.folder.set_paths([tmp_path / "clean"])

    widget.run()
    qtbot.waitUntil(lambda: "1/2 a.tif" in widget.controls.progress_label.text())
    widget.cancel()

    qtbot.waitUntil(lambda: not widget.running, timeout=PATIENCE_MS)
    assert widget.controls.status.text() == "Cancelled: 0 of 2 denoised."
    assert list((tmp_path / "clean").iterdir()) == []


def test_empty_list_is_told(widget):
    widget.run()
    assert widget.controls.status.text() == "Add files or layers first."


def test_what_is_of_one_layer_is_not_offered(widget):
    form = widget.form
    assert form.sector_panel.find_button.isHidden()
    assert form.pixel_axial.text() == "where none is stated"


def test_cancelled_layer_does_not_count_as_denoised(qtbot, widget):
    widget.form.method_form.editor("seconds").setValue(0.2)
    data = np.random.default_rng(0).normal(-30, 5, (30, 24, 20)).astype(np.float32)
    widget._viewer.add_image(data, name="clip", metadata={"usflow": {"values": "db"}})
    widget.add_layers()

    widget.run()
    qtbot.waitUntil(lambda: len(widget._viewer.layers) > 1, timeout=PATIENCE_MS)
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.running, timeout=PATIENCE_MS)

    assert widget.controls.status.text() == "Cancelled: 0 of 1 denoised."
    assert widget.table.item(0, 3).text().startswith("Cancelled after ")
