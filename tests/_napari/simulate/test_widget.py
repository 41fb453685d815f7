"""The Simulate speckle widget in a real window."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.simulate.preview import is_speckle_preview
from napari_usflow._napari.simulate.widget import SimulateWidget

pytestmark = pytest.mark.gui

# Half a second is promised; a busy machine is given twice that.
CONTROL_BACK_S = 1.0
MANIFEST = Path(__file__).parents[3] / "src" / "napari_usflow" / "napari.yaml"


@pytest.fixture
def viewer(make_napari_viewer, grey_stack, layer_kwargs) -> Any:
    viewer = make_napari_viewer()
    viewer.add_image(grey_stack, **layer_kwargs)
    viewer.dims.set_current_step(0, 0)
    yield viewer
    # Nothing may still be running when the window is checked for leaks.
    assert not Job.busy()


def dock(viewer) -> SimulateWidget:
    widget = SimulateWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Simulate speckle")
    return widget


def wait_for_end(qtbot, widget: SimulateWidget) -> None:
    qtbot.waitUntil(lambda: not widget.running, timeout=20_000)


def wait_for_preview(qtbot, widget: SimulateWidget) -> None:
    qtbot.waitUntil(
        lambda: widget.controls.status.text().startswith("Preview"), timeout=20_000
    )


def previews(viewer) -> list[Any]:
    return [layer for layer in viewer.layers if is_speckle_preview(layer)]


def is_idle(widget: SimulateWidget) -> bool:
    return (
        widget.controls.button.text() == "Simulate"
        and widget.controls.button.isEnabled()
        and widget.form.isEnabled()
        and widget.controls.bar.isHidden()
    )


def test_every_parameter_is_asked_for_with_its_unit(viewer):
    form = dock(viewer).form

    assert set(form.params_form.names()) == {
        "sound_speed_m_s",
        "sigma_axial_mm",
        "sigma_lateral_mm",
        "dynamic_range_db",
        "reading",
        "downscale",
        "scatterers",
        "seed",
    }
    assert form.carrier.text() == "7.00 MHz"
    assert form.params_form.editor("sigma_axial_mm").text() == "0.25 mm"
    assert form.params_form.editor("dynamic_range_db").suffix() == " dB"
    form.carrier.setValue(5.5)
    form.params_form.editor("seed").setValue(8)
    form.params_form.editor("reading").setCurrentIndex(1)
    params = form.request().params
    assert (params.f0_hz, params.seed, params.reading) == (5.5e6, 8, "amplitude")
    assert params.pixel_size_mm == pytest.approx((0.5, 0.25))


def test_click_through_preview_and_simulate(qtbot, viewer):
    widget = dock(viewer)
    source = viewer.layers["clip"]
    assert "24 × 20 px" in widget.form.content_label.text()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        widget.form.live.setChecked(True)
        wait_for_preview(qtbot, widget)
        (preview,) = previews(viewer)
        before = np.array(preview.data[0])
        widget.form.params_form.editor("seed").setValue(3)
        qtbot.waitUntil(lambda: bool(np.any(preview.data[0] != before)), timeout=20_000)
        expected = np.array(preview.data[0])
        # The preview is no picture to simulate on.
        assert widget.form.layer_combo.count() == 1

        widget.controls.button.click()
        assert widget.controls.button.text() == "Cancel"
        assert not widget.form.isEnabled()
        assert previews(viewer) == []
        wait_for_end(qtbot, widget)
    assert is_idle(widget)
    assert widget.controls.status.text().startswith("Done: 5/5 frames")
    result = viewer.layers.selection.active
    assert result.name == "clip [speckle, seed 3]"
    np.testing.assert_array_equal(result.data[0], expected)
    assert result.units == source.units
    assert viewer.layers.extent.units is not None
    viewer.window.screenshot(canvas_only=True, flash=False)


def test_cancel_gives_the_control_back(qtbot, viewer):
    large = viewer.add_image(
        np.zeros((40, 160, 160), np.uint8), name="large", contrast_limits=(0, 255)
    )
    widget = dock(viewer)
    widget.form.layer_combo.choose(large)
    widget.controls.button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=20_000)
    assert "/40 frames" in widget.controls.progress_label.text()

    start = time.monotonic()
    widget.cancel()
    assert widget.controls.button.text() == "Cancelling …"
    wait_for_end(qtbot, widget)

    assert time.monotonic() - start < CONTROL_BACK_S
    assert is_idle(widget)
    assert widget.controls.status.text().startswith("Cancelled after ")


def test_layer_without_lengths_is_asked_for_its_pixel_size(qtbot, viewer):
    widget = dock(viewer)
    assert not widget.form.pixel_axial.isVisibleTo(widget)
    bare = viewer.add_image(np.full((24, 20), 0.5), name="bare")
    bare.contrast_limits = (0, 1)
    widget.form.layer_combo.choose(bare)
    assert widget.form.pixel_axial.isVisibleTo(widget)
    assert widget.form.request().params.pixel_size_mm == (0.4375, 0.4375)
    widget.form.pixel_lateral.setValue(0.2)
    assert widget.form.request().params.pixel_size_mm == (0.4375, 0.2)

    colours = np.full((24, 20, 3), [200, 0, 0], np.uint8)
    photo = viewer.add_image(colours, rgb=True, name="photo")
    widget.form.layer_combo.choose(photo)
    assert "colour image" in widget.form.content_label.text()
    widget.controls.button.click()
    assert "'photo' is a colour image" in widget.controls.status.text()
    assert is_idle(widget)


def test_without_a_layer_it_says_so(qtbot, viewer):
    viewer.layers.clear()
    widget = dock(viewer)
    widget.controls.button.click()
    assert widget.controls.status.text() == "Open or choose an image layer first."
    widget.form.live.setChecked(True)
    assert widget.controls.status.text() == "Open or choose an image layer first."
    viewer.add_image(np.full((24, 20), 100, np.uint8), name="late")
    wait_for_preview(qtbot, widget)
    widget.form.live.setChecked(False)


def test_removing_the_preview_unticks_it(qtbot, viewer):
    widget = dock(viewer)
    widget.form.live.setChecked(True)
    wait_for_preview(qtbot, widget)
    viewer.layers.remove(previews(viewer)[0])
    assert not widget.form.live.isChecked()


@pytest.mark.parametrize("how", ["dock", "window", "viewer"])
def test_closing_during_run_and_preview_is_silent(qtbot, viewer, how, capsys):
    large = viewer.add_image(
        np.zeros((40, 160, 160), np.uint8), name="large", contrast_limits=(0, 255)
    )
    widget = dock(viewer)
    widget.form.layer_combo.choose(large)
    widget.form.live.setChecked(True)
    wait_for_preview(qtbot, widget)
    widget.run()
    widget.form.live.setChecked(True)
    with qtbot.captureExceptions() as exceptions:
        if how == "dock":
            viewer.window.remove_dock_widget(widget)
            assert not widget.running
            assert previews(viewer) == []
        elif how == "window":
            viewer.window.close()
        else:
            viewer.close()
        del widget
        qtbot.wait(600)
    assert exceptions == []
    assert not Job.busy()
    assert "deleted" not in capsys.readouterr().err
