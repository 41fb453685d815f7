"""The Train prior widget in a real window, with a stand-in for the engine."""

from __future__ import annotations

import gc
import json
import weakref
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QMessageBox

from napari_usflow._napari.denoise.widget import DenoiseWidget
from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.train.widget import TrainWidget
from napari_usflow.training.flow.configs import CONFIGS, TrainConfig
from napari_usflow.training.network.configs import NetworkConfig
from napari_usflow.training.run_folder import RunFolder

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("documents")]

SAMPLES, DENOISED = "Train: real | generated", "Train: noisy | denoised"


@pytest.fixture
def documents(monkeypatch, tmp_path) -> Path:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_documents_path", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def errors(monkeypatch) -> list[str]:
    import napari.utils.notifications as notifications

    seen: list[str] = []
    monkeypatch.setattr(notifications, "show_error", seen.append)
    return seen


@pytest.fixture
def viewer(make_napari_viewer) -> Any:
    viewer = make_napari_viewer()
    yield viewer
    # Nothing may still be running when the window is checked for leaks.
    assert not Job.busy()


def dock(viewer, folder: Path | None = None, *, steps: int = 10**5) -> TrainWidget:
    widget = TrainWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Train prior")
    if folder is not None:
        widget.form.run_folder.set_paths([folder])
    widget.form.files.set_paths([Path("knees.h5")])
    widget.form.config_form.show_config(TrainConfig(likelihood_steps=steps))
    return widget


def wait_for_end(qtbot, widget: TrainWidget) -> None:
    qtbot.waitUntil(lambda: not widget.running, timeout=20_000)


def drawn(plot_item) -> np.ndarray:
    """What a curve shows: (steps, values)."""
    x, y = plot_item.getData()
    return np.array([[], []]) if x is None else np.array([x, y])


def test_start_watch_stop_resume_and_use(qtbot, viewer, engine, errors, tmp_path):
    folder = tmp_path / "knees"
    knee = viewer.add_image(np.ones((4, 40, 40)), units="mm", name="knee")
    widget = dock(viewer, folder)
    denoise = DenoiseWidget(viewer)
    viewer.window.add_dock_widget(denoise, name="Denoise")
    assert widget.controls.button.text() == "Start"
    assert widget.form.run_note.text() == "A new run."

    widget.controls.button.click()
    assert widget.controls.button.text() == "Stop and save"
    assert not widget.form.isEnabled()
    assert widget.tabs.currentWidget() is widget.plots
    qtbot.waitUntil(lambda: len(widget.plots.validations) >= 3, timeout=20_000)
    widget.plots.redraw()
    before = drawn(widget.plots._smooth).shape[1]
    assert before > 20
    qtbot.waitUntil(
        lambda: drawn(widget.plots._smooth).shape[1] > before, timeout=20_000
    )
    assert drawn(widget.plots._bits).shape[1] >= 3
    assert sorted(widget.plots._levels) == [0.1, 0.2, 0.3, 0.4]
    assert "patches/s" in widget.controls.progress_label.text()
    assert widget.controls.bar.isVisibleTo(widget)
    assert SAMPLES in viewer.layers
    assert DENOISED in viewer.layers
    assert viewer.layers.selection.active is knee
    assert widget.checkpoints.tree.topLevelItemCount() >= 2
    assert not widget.checkpoints.resume_button.isEnabled()
    assert widget.checkpoints.use_button.isEnabled()

    widget.controls.button.click()
    assert widget.controls.button.text() == "Saving …"
    assert not widget.controls.button.isEnabled()
    wait_for_end(qtbot, widget)
    stopped_at = RunFolder(folder).checkpoints()[0].step
    assert f"Saved at step {stopped_at} in {folder}" in widget.controls.status.text()
    assert widget.controls.button.text() == "Resume"
    assert widget.form.isEnabled()
    assert not widget.controls.bar.isVisibleTo(widget)
    assert f"at step {stopped_at}" in widget.form.run_note.text()
    assert engine.calls[0]["resume"] is False

    widget.controls.button.click()
    qtbot.waitUntil(lambda: len(widget.plots.loss) > stopped_at + 20, timeout=20_000)
    steps = widget.plots.loss.raw()[0]
    assert steps[0] == 1
    assert (np.diff(steps) >= 0).all()
    assert engine.calls[1]["resume"] is True
    widget.stop()
    wait_for_end(qtbot, widget)

    chosen = widget.checkpoints.chosen()
    widget.checkpoints.use_button.click()
    name = f"knees-step-{chosen.step}"
    kept = folder / "kept" / f"{name}.safetensors"
    methods = denoise.form.method_combo
    assert denoise.form.request().weights == ""  # of the default method, a network
    methods.setCurrentIndex(methods.findData("flow"))
    assert denoise.form.request().weights == str(kept)
    assert denoise.form.prior_combo.currentText() == name
    assert f"“{name}” for its flow methods" in widget.controls.status.text()
    later = DenoiseWidget(viewer)
    qtbot.addWidget(later)
    methods = later.form.method_combo
    methods.setCurrentIndex(methods.findData("flow"))
    assert later.form.request().weights == str(kept)
    later.form.layer_combo.let_go()
    assert errors == []


def test_resuming_from_an_earlier_checkpoint_asks_and_drops_the_later(
    qtbot, viewer, engine, tmp_path, monkeypatch
):
    widget = dock(viewer, tmp_path / "run", steps=100)
    widget.start()
    wait_for_end(qtbot, widget)
    assert widget.controls.status.text().startswith("Done after ")
    tree = widget.checkpoints.tree
    tree.setCurrentItem(tree.topLevelItem(3))
    early = widget.checkpoints.chosen()
    assert early.step == 40

    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    widget.checkpoints.resume_button.click()
    assert not widget.running
    widget.checkpoints.resume_button.click()
    assert widget.running
    # The curves go back to where the run goes on.
    assert len(widget.plots.loss) == 40
    assert widget.plots.validations[-1].step == 40
    wait_for_end(qtbot, widget)
    assert engine.calls[1]["resume"] == early.path


def test_run_folder_of_an_earlier_run_shows_it(qtbot, viewer, engine, tmp_path):
    folder = RunFolder(tmp_path / "earlier")
    config = replace(CONFIGS["best"], batch_size=64)
    engine(None, out=folder.path, config=config, token=None)
    folder.path.mkdir()
    folder.config.write_text(json.dumps(asdict(config)))
    for step in range(1, 31):
        folder.append({"step": step, "loss": 1.0 / step})
    folder.append({"step": 30, "bits_per_dim": 4.5, "psnr_db": {"0.2": 31.0}})
    engine._save(folder, 30)

    widget = dock(viewer)
    assert widget.controls.button.text() == "Start"
    widget.form.run_folder.set_paths([folder.path])
    assert "Holds a run at step 30" in widget.form.run_note.text()
    assert widget.form.config_form.config() == config
    assert len(widget.plots.loss) == 30
    item = widget.checkpoints.tree.topLevelItem(0)
    assert [item.text(i) for i in (0, 2, 3)] == ["30", "4.500", "31.00"]
    assert widget.controls.button.text() == "Resume"

    widget.form.run_folder.set_paths([tmp_path / "other"])
    assert len(widget.plots.loss) == 0
    assert widget.checkpoints.chosen() is None
    assert widget.controls.button.text() == "Start"


def test_network_is_trained_from_a_shipped_one_and_its_folder_shows_it(
    qtbot, viewer, engine, network_engine, errors, tmp_path
):
    folder, config = tmp_path / "net", NetworkConfig(steps=60)
    widget = dock(viewer, folder)
    form = widget.form
    form.config_form.show_config(config)
    assert not form.start_combos["flow"].isVisibleTo(widget)
    start = form.start_combos["network"]
    assert start.isVisibleTo(widget)
    start.setCurrentIndex(start.findData("realtime"))

    widget.controls.button.click()
    wait_for_end(qtbot, widget)
    (call,) = network_engine.calls
    assert (call["config"], call["start"]) == (config, "realtime")
    assert engine.calls == []
    assert SAMPLES not in viewer.layers
    assert DENOISED in viewer.layers

    later = dock(viewer)
    assert later.form.config_form.kind() == "flow"
    later.form.run_folder.set_paths([folder])
    assert later.form.config_form.config() == config
    assert not start.isEnabled()
    tree = later.checkpoints.tree
    headings = [tree.headerItem().text(i) for i in (2, 3)]
    assert headings == ["Speckle (dB)", "White (dB)"]
    assert tree.topLevelItem(0).text(2) == "22.06"
    assert [v.speckle_psnr_db for v in later.plots.validations] == [22.02, 22.04, 22.06]
    # What the run goes on with are its own weights.
    widget.start()
    wait_for_end(qtbot, widget)
    assert (network_engine.calls[1]["resume"], network_engine.calls[1]["start"]) == (
        True,
        None,
    )
    assert errors == []


def test_layers_are_data_and_asked_for_their_pixel_size(
    qtbot, viewer, engine, errors, tmp_path
):
    knee = viewer.add_image(
        np.ones((4, 40, 40)), scale=(4, 0.5, 0.5), units="mm", name="knee"
    )
    photo = viewer.add_image(np.ones((40, 40)), name="photo")
    widget = dock(viewer, tmp_path / "run", steps=20)
    form = widget.form
    form.source_combo.setCurrentIndex(1)
    assert form.layers.isVisibleTo(widget)
    assert not form.files.isVisibleTo(widget)
    widget.start()
    assert widget.controls.status.text() == "Tick the layers to train on."
    form.layers.choose([knee])
    assert not form._pixel.isVisibleTo(widget)
    form.layers.choose([knee, photo])
    assert form._pixel.isVisibleTo(widget)
    widget.start()
    assert "'photo' has no pixel size" in widget.controls.status.text()
    assert "color" in widget.controls.status.styleSheet()
    assert errors[-1] == widget.controls.status.text()
    form.pixel_row.setValue(0.7)
    form.pixel_column.setValue(0.6)
    widget.start()
    wait_for_end(qtbot, widget)
    stacks = engine.calls[0]["data"]
    assert [s.name for s in stacks] == ["knee", "photo"]
    assert [s.pixel_size_mm for s in stacks] == [(0.5, 0.5), (0.7, 0.6)]
    # The pictures of the run are nothing to train on.
    assert SAMPLES in viewer.layers
    assert form.layers.chosen() == [knee, photo]
    assert form.layers.count() == 2


def test_missing_or_unfitting_settings_are_one_clear_line(
    qtbot, viewer, engine, errors, tmp_path
):
    widget = dock(viewer, tmp_path / "run")
    widget.form.files.set_paths([])
    widget.start()
    assert "Choose MRI volumes" in errors[-1]
    widget.form.files.set_paths([Path("knees.h5")])
    widget.form.config_form.sections["flow"].editor("steps").setText("4, 4")
    widget.start()
    assert "need one entry a level" in errors[-1]
    widget.form.config_form.show_config(CONFIGS["cpu"])
    widget.form.run_folder.set_paths([])
    widget.start()
    assert "Choose one folder" in errors[-1]
    assert engine.calls == []


def test_failure_is_red_and_the_run_can_be_resumed(
    qtbot, viewer, engine, errors, tmp_path
):
    engine.fail_at = 50
    widget = dock(viewer, tmp_path / "run")
    widget.start()
    wait_for_end(qtbot, widget)
    assert "CUDA out of memory" in widget.controls.status.text()
    assert "Saved at step 40" in widget.controls.status.text()
    assert "color" in widget.controls.status.styleSheet()
    assert errors == [widget.controls.status.text()]
    assert widget.controls.button.text() == "Resume"
    assert widget.form.isEnabled()


def test_second_job_is_refused(qtbot, viewer, engine, errors, tmp_path):
    first = dock(viewer, tmp_path / "a")
    second = dock(viewer, tmp_path / "b")
    first.start()
    second.start()
    assert not second.running
    assert "another job is running" in errors[-1]
    first.stop()
    wait_for_end(qtbot, first)


@pytest.mark.parametrize("how", ["dock", "window", "viewer"])
def test_closing_saves_the_run_and_leaves_nothing(
    qtbot, viewer, engine, errors, tmp_path, how, capsys
):
    engine.save_s = 0.5
    held = [dock(viewer, tmp_path / "run")]
    held[0].start()
    qtbot.waitUntil(lambda: bool(held[0].plots.validations), timeout=20_000)
    plots, curve = weakref.ref(held[0].plots), weakref.ref(held[0].plots._raw)
    last = len(held[0].plots.loss)
    with qtbot.captureExceptions() as exceptions:
        if how == "dock":
            viewer.window.remove_dock_widget(held[0])
            assert not held[0].running
            held[0].deleteLater()
        elif how == "window":
            viewer.window.close()
        else:
            viewer.close()
        assert Job.busy()
        held.clear()
        qtbot.waitUntil(lambda: not Job.busy(), timeout=20_000)
        qtbot.wait(50)
    assert exceptions == []
    assert errors == []
    assert "deleted" not in capsys.readouterr().err
    assert RunFolder(tmp_path / "run").checkpoints()[0].step >= last

    def freed() -> bool:
        gc.collect()
        return plots() is None and curve() is None and engine.ballast[0]() is None

    qtbot.waitUntil(freed, timeout=5000)


def test_closing_the_window_saves_though_somebody_holds_the_widget(
    qtbot, viewer, engine, tmp_path
):
    widget = dock(viewer, tmp_path / "run")
    widget.start()
    qtbot.waitUntil(lambda: bool(widget.plots.validations), timeout=20_000)
    viewer.window.close()
    qtbot.waitUntil(lambda: not Job.busy(), timeout=20_000)
    assert engine.calls[0]["out"] == tmp_path / "run"
    assert RunFolder(tmp_path / "run").checkpoints()


def test_new_run_folder_is_free(viewer, documents):
    (documents / "usflow priors").mkdir()
    first = dock(viewer).form.folder().path
    first.mkdir()
    second = dock(viewer).form.folder().path
    assert second != first
    assert not second.exists()
    assert second.parent == documents / "usflow priors"


def test_refusal_goes_once_volumes_are_chosen(viewer, engine, errors, tmp_path):
    widget = dock(viewer)
    widget.form.files.set_paths([])
    widget.start()
    assert "Choose MRI volumes" in widget.controls.status.text()

    widget.form.files.set_paths([tmp_path])
    assert widget.controls.status.text() == ""
