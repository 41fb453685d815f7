"""The Baselines widget in a real window."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from napari_usflow._napari.denoise.baselines_widget import BaselinesWidget
from napari_usflow._napari.jobs.worker import Job
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.algorithms.nlm import NonLocalMeans

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("halving")]

# Half a second is promised; a busy machine is given twice that.
CONTROL_BACK_S = 1.0


@pytest.fixture
def viewer(make_napari_viewer) -> Any:
    viewer = make_napari_viewer()
    z, x = np.mgrid[:48, :40]
    clean = np.where(np.hypot(z - 24, x - 20) < 10, 0.8, 0.4).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.1, clean.shape)
    place: dict[str, Any] = {"scale": (0.4375, 0.4375), "units": ("mm", "mm")}
    grey = {"usflow": {"values": "display", "value_range": (0.0, 1.0)}}
    viewer.add_image(clean, name="clean", metadata=grey, **place)
    viewer.add_image(60 * (clean + noise - 1), name="noisy", **place)
    yield viewer
    assert not Job.busy()


@pytest.fixture
def widget(viewer) -> BaselinesWidget:
    widget = BaselinesWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Baselines")
    widget.form.automatic_noise.setChecked(False)
    widget.form.noise.setValue(6.0)
    return widget


def choose(widget: BaselinesWidget, method: str) -> None:
    combo = widget.form.method_combo
    combo.setCurrentIndex(combo.findData(method))


def wait_for_end(qtbot, widget: BaselinesWidget) -> None:
    qtbot.waitUntil(lambda: not widget.running, timeout=20_000)


def test_methods_without_a_prior_are_offered_with_their_parameters(widget):
    combo = widget.form.method_combo
    offered = [combo.itemData(i) for i in range(combo.count())]

    assert {"nlm", "obnlm", "srad", "tv"} <= set(offered)
    assert not [name for name in offered if name.startswith("flow")]
    for method in ("nlm", "obnlm", "srad", "tv"):
        choose(widget, method)
        editor = widget.form.method_form.editor(list(method_class(method).grid)[-1])
        assert editor.isVisibleTo(widget)
        assert widget.tune_button.isEnabled()
    choose(widget, "halving")
    assert not widget.tune_button.isEnabled()


def test_no_reference_is_chosen_until_the_user_chooses_one(viewer, widget):
    combo = widget.reference_combo
    assert combo.layer() is None
    assert [combo.itemText(i) for i in range(combo.count())] == [
        "None, by the residual",
        "clean",
        "noisy",
    ]

    combo.choose(viewer.layers["clean"])
    viewer.add_image(np.zeros((4, 4)), name="later")
    assert combo.layer() is viewer.layers["clean"]
    viewer.layers.remove("clean")
    assert combo.layer() is None


def test_preset_fills_in_the_form_and_is_named_while_it_holds(widget):
    choose(widget, "nlm")
    preset = widget.form.preset_combo
    preset.setCurrentIndex(preset.findText("Paper"))
    preset.activated.emit(preset.currentIndex())

    assert widget.form.method_form.values() == vars(NonLocalMeans.presets["paper"])
    assert preset.currentText() == "Paper"
    widget.form.method_form.editor("h").setValue(0.33)
    assert preset.currentText() == ""
    choose(widget, "tv")
    assert not preset.isVisibleTo(widget)


def test_tune_fills_in_the_best_and_denoise_uses_it(qtbot, viewer, widget, monkeypatch):
    monkeypatch.setattr(method_class("tv"), "grid", {"weight": (0.02, 1.25, 40.0)})
    choose(widget, "tv")
    widget.reference_combo.choose(viewer.layers["clean"])

    widget.tune_button.click()
    assert widget.run_button.text() == "Cancel"
    assert not widget.tune_button.isEnabled() and not widget.form.isEnabled()
    wait_for_end(qtbot, widget)

    assert widget.status.text().startswith("Best of 3 settings: weight 1.25 (PSNR ")
    assert widget.form.method_form.values()["weight"] == 1.25
    assert widget.plot.isVisibleTo(widget)
    assert widget.tune_button.isEnabled() and widget.form.isEnabled()
    widget.run_button.click()
    wait_for_end(qtbot, widget)
    note = viewer.layers["noisy [tv σ=6 dB]"].metadata["usflow"]
    assert note["parameters"]["weight"] == 1.25
    assert note["source"]["tuned"]["tv"]["setting"] == {"weight": 1.25}


def test_setting_that_was_found_comes_back_with_its_layer_and_method(
    qtbot, viewer, widget, monkeypatch
):
    monkeypatch.setattr(method_class("tv"), "grid", {"weight": (0.02, 1.25)})
    choose(widget, "tv")
    widget.tune()
    wait_for_end(qtbot, widget)

    choose(widget, "nlm")
    choose(widget, "tv")
    assert widget.form.method_form.values()["weight"] == 1.25
    later = BaselinesWidget(viewer)
    viewer.window.add_dock_widget(later, name="again")
    choose(later, "tv")
    later.form.layer_combo.choose(viewer.layers["noisy"])
    assert later.form.method_form.values()["weight"] == 1.25


def test_cancel_during_a_search_keeps_what_was_tried(
    qtbot, viewer, widget, monkeypatch
):
    slow = tuple(0.1 + 0.001 * i for i in range(30))
    monkeypatch.setattr(method_class("halving"), "grid", {"seconds": slow})
    choose(widget, "halving")
    widget.tune_button.click()
    qtbot.waitUntil(lambda: "2/30" in widget.progress_label.text(), timeout=20_000)

    start = time.monotonic()
    widget.run_button.click()
    assert widget.run_button.text() == "Cancelling …"
    wait_for_end(qtbot, widget)

    assert time.monotonic() - start < CONTROL_BACK_S
    assert widget.status.text().startswith("Cancelled after ")
    assert "of 30 settings; the best of them: seconds 0.1" in widget.status.text()
    tried = viewer.layers["noisy"].metadata["usflow"]["tuned"]["halving"]["tried"]
    assert 2 <= tried < 30
    assert widget.run_button.text() == "Denoise" and widget.tune_button.isEnabled()


def test_reference_that_does_not_fit_is_told(viewer, widget):
    other = viewer.add_image(np.zeros((9, 9), np.float32), name="other")
    choose(widget, "tv")
    widget.form.layer_combo.choose(viewer.layers["noisy"])
    widget.reference_combo.choose(other)

    widget.tune_button.click()

    assert "'other' has 1 frame(s) of 9 × 9 px" in widget.status.text()
    assert not widget.running


@pytest.mark.parametrize("how", ["dock", "window"])
def test_closing_during_a_search_is_silent(qtbot, viewer, monkeypatch, how):
    widget = BaselinesWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Baselines")
    monkeypatch.setattr(method_class("halving"), "grid", {"seconds": (0.5, 0.6)})
    choose(widget, "halving")
    widget.tune()
    qtbot.wait(200)
    with qtbot.captureExceptions() as exceptions:
        if how == "dock":
            viewer.window.remove_dock_widget(widget)
        else:
            viewer.window.close()
        del widget
        qtbot.wait(800)

    assert exceptions == []
    assert not Job.busy()


def test_nothing_can_be_tuned_without_a_layer(qtbot, viewer, widget):
    assert widget.tune_button.isEnabled()
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not widget.tune_button.isEnabled())


def test_no_plot_is_shown_before_the_search_has_one(qtbot, viewer, widget):
    choose(widget, "nlm")
    widget.tune_button.click()
    assert widget.plot.isHidden()
    qtbot.waitUntil(lambda: not widget.plot.isHidden(), timeout=20_000)
    widget.cancel()
    wait_for_end(qtbot, widget)
