"""The Acquisition widget in a real window."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from napari_usflow._napari.beamform import form as acquisition_form
from napari_usflow._napari.beamform import preview as acquisition_preview
from napari_usflow._napari.beamform import run as acquisition_run
from napari_usflow._napari.beamform.on_demand import OnDemandStack
from napari_usflow._napari.beamform.widget import AcquisitionWidget
from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.settings import Preferences
from napari_usflow.io import read_channel_data
from napari_usflow.ultrasound.beamform import beamform
from napari_usflow.ultrasound.beamform.params import BeamformParams
from napari_usflow.ultrasound.data import PixelGrid

pytestmark = pytest.mark.gui

FS_HZ, FC_HZ, PITCH_M, START_S = 20e6, 5e6, 0.3e-3, 6e-6
# Half a second is promised; a busy machine is given twice that.
CONTROL_BACK_S = 1.0


def param(**changes) -> dict[str, Any]:
    return {
        "fs": FS_HZ,
        "fc": FC_HZ,
        "pitch": PITCH_M,
        "c": 1540.0,
        "t0": START_S,
        **changes,
    }


def write(folder: Path, *, transmits: int = 3, frames: int = 1) -> Path:
    """Write noise on eight elements, as the MUST toolbox keeps it."""
    rng = np.random.default_rng(0)
    x_m = PITCH_M * (np.arange(8) - 3.5)
    angles = np.linspace(-0.1, 0.1, transmits) if transmits > 1 else np.zeros(1)
    count = frames if transmits == 1 else transmits
    path = folder / f"noise-{transmits}-{frames}.mat"
    samples = rng.normal(size=(250, 8, count))
    delays = np.sin(angles)[:, None] * x_m / 1540
    savemat(path, {"RF": samples, "param": param(TXdelay=delays)})
    return path


@pytest.fixture
def viewer(make_napari_viewer) -> Any:
    viewer = make_napari_viewer()
    yield viewer
    # Nothing may still be running when the window is checked for leaks.
    assert not Job.busy()


@pytest.fixture
def widget(viewer, tmp_path) -> AcquisitionWidget:
    return opened(viewer, write(tmp_path))


def opened(viewer, path: Path) -> AcquisitionWidget:
    widget = AcquisitionWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Acquisition")
    widget.form.path_line.setText(str(path))
    widget.open_file()
    return widget


def settled(qtbot, widget) -> None:
    qtbot.waitUntil(
        lambda: widget.preview.layer is not None and not widget.preview.at_work,
        timeout=20_000,
    )


def test_the_form_shows_what_the_file_says(widget):
    form = widget.form
    assert "RF: 1 frame of 3 transmits, 8 channels" in form.content_label.text()
    assert form.plane_waves.maximum() == form.plane_waves.value() == 3
    assert form.boxes["sound_speed_m_s"].value() == 1540
    # Pixels of a quarter and a third of the wavelength of 0.308 mm, from 5 mm on.
    assert form.boxes["depth_from_mm"].value() == 5
    assert form.boxes["pixel_axial_mm"].value() == pytest.approx(0.077)
    assert form.boxes["pixel_lateral_mm"].value() == pytest.approx(0.1027)


def test_what_is_not_touched_is_what_the_file_says_to_the_last_digit(widget):
    path = widget.form.path()
    usual = read_channel_data(path)
    params = widget.form.request().params

    grid = params.grid(usual, None)

    assert grid == BeamformParams().grid(usual, None)


def test_defaults_come_from_the_preferences(viewer, tmp_path, monkeypatch):
    chosen = BeamformParams(plane_waves=1, f_number=1.2, dynamic_range_db=50.0)
    wish = Preferences(beamform=chosen)
    monkeypatch.setattr(acquisition_form, "preferences", lambda: wish)

    form = opened(viewer, write(tmp_path)).form

    assert form.plane_waves.value() == 1
    assert form.boxes["f_number"].value() == 1.2
    assert form.boxes["dynamic_range_db"].value() == 50


def test_the_preview_follows_every_setting(qtbot, viewer, widget):
    widget.form.live.setChecked(True)
    settled(qtbot, widget)
    layer = widget.preview.layer
    before = np.array(layer.data)

    widget.form.plane_waves.setValue(1)
    settled(qtbot, widget)
    one_wave = np.array(layer.data)
    widget.form.boxes["depth_to_mm"].setValue(8.0)
    widget.form.boxes["pixel_axial_mm"].setValue(0.2)
    settled(qtbot, widget)

    assert list(viewer.layers) == [layer]
    assert not np.array_equal(before, one_wave)
    assert layer.data.shape[0] == 16  # 5 to 8 mm, every 0.2 mm
    np.testing.assert_allclose(layer.scale[0], 0.2)
    data = read_channel_data(widget.form.path())
    lateral = 1e3 * 1540 / FC_HZ / 3
    grid = PixelGrid((16, layer.data.shape[1]), (0.2, lateral), (5.0, -1.05))
    expected = beamform(data, grid=grid, angles=1).data[0]
    np.testing.assert_allclose(layer.data, expected, atol=0.01)


def test_a_coarse_draft_is_seen_before_the_preview(qtbot, widget, monkeypatch):
    monkeypatch.setattr(acquisition_preview, "_DRAFT_PIXELS", 1)
    widget.form.live.setChecked(True)
    settled(qtbot, widget)
    layer = widget.preview.layer
    shape, far = layer.data.shape, layer.extent.world[1]
    seen = []
    layer.events.data.connect(lambda event: seen.append(layer.data.shape))

    widget.form.boxes["f_number"].setValue(2.0)
    settled(qtbot, widget)

    assert [len(rows) for rows in seen] == [2, 2]
    assert seen[1] == shape
    np.testing.assert_allclose(seen[0], np.divide(shape, 3), atol=1)
    np.testing.assert_allclose(layer.extent.world[1], far)


def test_the_dynamic_range_is_shown_without_beamforming(qtbot, widget, monkeypatch):
    widget.form.live.setChecked(True)
    settled(qtbot, widget)
    data = widget.preview.layer.data

    widget.form.boxes["dynamic_range_db"].setValue(35.0)
    settled(qtbot, widget)

    assert widget.preview.layer.contrast_limits == [-35, 0]
    assert widget.preview.layer.data is data


def test_an_impossible_grid_is_told_and_the_preview_stays(qtbot, widget):
    widget.form.live.setChecked(True)
    settled(qtbot, widget)

    widget.form.boxes["depth_to_mm"].setValue(1.0)
    qtbot.waitUntil(lambda: "let the last depth" in widget.controls.status.text())

    assert widget.preview.layer is not None


def test_taking_the_preview_away_ends_it(qtbot, viewer, widget):
    widget.form.live.setChecked(True)
    settled(qtbot, widget)

    viewer.layers.clear()

    assert not widget.form.live.isChecked()
    assert not widget.preview.on


def test_a_run_leaves_a_layer_with_its_provenance(qtbot, viewer, widget):
    widget.form.boxes["f_number"].setValue(2.5)
    widget.form.boxes["bandwidth"].setValue(0.0)
    widget.controls.button.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=20_000)

    (layer,) = viewer.layers
    assert widget.controls.status.text().startswith("Done")
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 2
    noted = layer.metadata["usflow"]
    assert (noted["f_number"], noted["plane_waves"]) == (2.5, 3)
    assert noted["beamformed"]["f_number"] == 2.5
    assert noted["bandwidth"] is None
    assert noted["values"] == "db"


def test_a_run_can_be_cancelled(qtbot, viewer, widget, monkeypatch):
    real = acquisition_run.beamforming

    def slow(request):
        def events(token):
            for event in real(request)(token):
                end = time.monotonic() + 20
                while time.monotonic() < end:
                    token.raise_if_cancelled()
                    time.sleep(0.005)
                yield event

        return events

    monkeypatch.setattr(acquisition_run, "beamforming", slow)
    # A preview that is in work would be taken over.
    widget.form.live.setChecked(False)
    widget.controls.button.click()
    qtbot.wait(50)
    start = time.monotonic()
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.running)

    assert time.monotonic() - start < CONTROL_BACK_S
    assert len(viewer.layers) == 0
    assert "Cancelled" in widget.controls.status.text()


def test_of_a_stack_the_frame_that_is_looked_at_is_made(qtbot, viewer, tmp_path):
    path = write(tmp_path, transmits=1, frames=6)
    widget = opened(viewer, path)
    widget.form.live.setChecked(True)
    settled(qtbot, widget)
    layer = widget.preview.layer
    assert isinstance(layer.data, OnDemandStack)
    qtbot.waitUntil(lambda: layer.data.knows(int(viewer.dims.current_step[0])))
    made = [index for index in range(6) if layer.data.knows(index)]

    viewer.dims.set_current_step(0, 5)
    qtbot.waitUntil(lambda: layer.data.knows(5), timeout=20_000)

    assert 5 not in made
    assert len(made) <= 2


def test_names_of_a_matlab_file_are_asked_for_and_used(qtbot, viewer, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "own.mat"
    setup = {"rate_MHz": 20.0, "pitch_mm": 0.3}
    savemat(path, {"echoes": rng.normal(size=(8, 250)), "setup": setup})
    widget = opened(viewer, path)
    form = widget.form
    assert form.names_box.isVisibleTo(form)
    assert "echoes (8×250)" in form.content_label.text()
    assert not form.live.isEnabled()

    for name, text in {
        "samples": "echoes",
        "samples_axes": "cs",
        "sampling_frequency_hz": "setup.rate_MHz * 1e6",
        "center_frequency_hz": "5e6",
        "pitch_m": "setup.pitch_mm / 1000",
        "start_time_s": "6e-6",
    }.items():
        form.names_form.editor(name).setText(text)
    form.names_button.click()

    assert "RF: 1 frame of 1 transmit, 8 channels, 250 samples" in (
        form.content_label.text()
    )
    form.live.setChecked(True)
    settled(qtbot, widget)


def test_an_image_by_its_name_becomes_a_layer(viewer, tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (4, 30, 20)).astype(np.uint8)
    path = tmp_path / "own.mat"
    savemat(path, {"a": frames, "b": rng.normal(size=(30, 40, 5)), "c": np.eye(40)})
    widget = opened(viewer, path)
    for name, text in {
        "image": "a",
        "image_axes": "fzx",
        "z_axis_m": "1e-4",
        "x_axis_m": "2e-4",
        "frame_rate_hz": "20",
    }.items():
        widget.form.names_form.editor(name).setText(text)
    widget.form.names_button.click()

    (layer,) = viewer.layers
    np.testing.assert_array_equal(np.asarray(layer.data), frames)
    np.testing.assert_allclose(layer.scale, (0.05, 0.1, 0.2))
    assert [str(u) for u in layer.units] == ["second"] + ["millimeter"] * 2


def test_names_are_hidden_for_other_files(viewer, widget, tmp_path):
    other = tmp_path / "other.hdf5"
    other.write_bytes(b"nothing")
    assert widget.form.names_box.isVisibleTo(widget.form)

    widget.form.path_line.setText(str(other))
    widget.open_file()

    assert not widget.form.names_box.isVisibleTo(widget.form)
    assert "not of a known format" in widget.controls.status.text()


def test_the_file_of_the_active_layer_is_offered(viewer, tmp_path):
    path = write(tmp_path)
    note = {"usflow": {"source": str(path), "values": "db", "f_number": 1.75}}
    viewer.add_image(np.zeros((8, 9)), metadata=note)

    widget = AcquisitionWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Acquisition")

    assert widget.form.path() == path
    opened = widget.form.request().opened
    assert opened.channel_data.metadata["source"] == str(path)


def test_closing_the_dock_stops_the_preview(qtbot, viewer, widget):
    widget.form.live.setChecked(True)
    settled(qtbot, widget)

    viewer.window.remove_dock_widget(widget)

    assert not widget.preview.on
    assert len(viewer.layers) == 0


def test_beamform_takes_over_the_preview_that_is_in_work(
    qtbot, viewer, widget, monkeypatch
):
    begun = []
    real = acquisition_preview.beamforming

    def counted(request):
        begun.append(request.params.f_number)
        return real(request)

    monkeypatch.setattr(acquisition_preview, "beamforming", counted)
    monkeypatch.setattr(acquisition_run, "beamforming", counted)
    settled(qtbot, widget)
    begun.clear()

    # The preview waits for further changes when the button is pressed.
    widget.form.boxes["f_number"].setValue(1.25)
    widget.controls.button.click()
    assert widget.running and widget.controls.button.text() == "Cancel"
    # The canvas does not go blank meanwhile.
    assert len(viewer.layers) == 1
    qtbot.waitUntil(lambda: not widget.running, timeout=20_000)

    assert begun == [1.25]
    (layer,) = viewer.layers
    assert not layer.name.endswith("[preview]")
    assert layer.metadata["usflow"]["beamformed"]["f_number"] == 1.25
    assert widget.controls.status.text().startswith("Done in ")
    assert not widget.preview.on and widget.form.isEnabled()


def test_cancel_stops_the_preview_that_was_taken_over(
    qtbot, viewer, widget, monkeypatch
):
    settled(qtbot, widget)
    real = acquisition_preview.beamforming

    def slow(request):
        def events(token):
            for event in real(request)(token):
                for _ in range(4000):
                    token.raise_if_cancelled()
                    time.sleep(0.005)
                yield event

        return events

    monkeypatch.setattr(acquisition_preview, "beamforming", slow)
    widget.form.boxes["f_number"].setValue(1.25)
    widget.controls.button.click()
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.preview.at_work, timeout=20_000)

    assert not widget.running and len(viewer.layers) == 0
    assert widget.controls.status.text() == "Cancelled; no layer was added."


def test_bad_settings_end_the_preview_that_was_taken_over(qtbot, viewer, widget):
    settled(qtbot, widget)
    widget.form.boxes["depth_to_mm"].setValue(1.0)
    widget.controls.button.click()

    qtbot.waitUntil(lambda: not widget.running, timeout=20_000)

    assert "let the last depth" in widget.controls.status.text()


def test_a_file_that_cannot_be_opened_leaves_no_word_of_the_one_before(
    widget, tmp_path
):
    damaged = tmp_path / "damaged.hdf5"
    damaged.write_text("nothing")
    widget.form.path_line.setText(str(damaged))
    widget.open_file()

    assert widget.form.content_label.text() == "Open a file of channel data."
