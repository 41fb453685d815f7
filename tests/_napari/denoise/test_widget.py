"""The Denoise widget and the menu command in a real window."""

from __future__ import annotations

import gc
import time
import warnings
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from npe2 import PluginManager

from napari_usflow._napari.denoise.command import denoise_active_layer
from napari_usflow._napari.denoise.uncertainty_run import UncertaintyRun
from napari_usflow._napari.denoise.widget import DenoiseWidget
from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.layers.results import source_of
from napari_usflow.denoising.settings import Settings
from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.networks.store import save_network
from napari_usflow.networks.unet import UNet

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("halving")]

# Half a second is promised; a busy machine is given twice that.
CONTROL_BACK_S = 1.0
MANIFEST = Path(__file__).parents[3] / "src" / "napari_usflow" / "napari.yaml"


@pytest.fixture
def shown(monkeypatch) -> Iterator[list[tuple[str, str]]]:
    """What napari would have popped up: (severity, text)."""
    import napari.utils.notifications as notifications

    seen: list[tuple[str, str]] = []

    def note(notification: Any) -> None:
        seen.append((str(notification.severity), notification.message))

    notifications.notification_manager.notification_ready.connect(note)
    for kind in ("error", "warning", "info"):
        monkeypatch.setattr(
            notifications,
            f"show_{kind}",
            lambda text, kind=kind: seen.append((kind, text)),
        )
    yield seen
    notifications.notification_manager.notification_ready.disconnect(note)


@pytest.fixture
def viewer(make_napari_viewer, grey_stack, layer_kwargs) -> Any:
    viewer = make_napari_viewer()
    viewer.add_image(grey_stack, **layer_kwargs)
    viewer.dims.set_current_step(0, 0)
    yield viewer
    # Nothing may still be running when the window is checked for leaks.
    assert not Job.busy()


def dock(viewer) -> DenoiseWidget:
    widget = DenoiseWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Denoise")
    choose_method(widget)
    return widget


def choose_method(widget: DenoiseWidget, **params: Any) -> None:
    form = widget.form
    form.method_combo.setCurrentIndex(form.method_combo.findData("halving"))
    form.automatic_noise.setChecked(False)
    for name, value in params.items():
        editor = form.method_form.editor(name)
        (editor.setChecked if isinstance(value, bool) else editor.setValue)(value)


def wait_for_end(qtbot, widget: DenoiseWidget) -> None:
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)


def is_idle(widget: DenoiseWidget) -> bool:
    return (
        widget.run_button.text() == "Denoise"
        and widget.run_button.isEnabled()
        and widget.form.isEnabled()
        and widget.bar.isHidden()
    )


def test_click_through_denoise_cancel_and_failure(qtbot, viewer, grey_stack, shown):
    widget = dock(viewer)
    source = viewer.layers["clip"]
    assert "display grey" in widget.form.content_label.text()
    assert not widget.form.pixel_axial.isVisibleTo(widget)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        widget.run_button.click()
        assert widget.run_button.text() == "Cancel"
        assert not widget.form.isEnabled()
        wait_for_end(qtbot, widget)
        qtbot.wait(50)
    assert is_idle(widget)
    assert widget.status.text().startswith("Done: 5/5 frames")
    result = viewer.layers.selection.active
    assert result.name == "clip [halving σ=5.57 dB]"
    np.testing.assert_allclose(result.data, grey_stack / 2, atol=1e-3)
    np.testing.assert_allclose(result.scale, source.scale)
    np.testing.assert_allclose(result.translate, source.translate)
    assert result.units == source.units
    assert result.axis_labels == source.axis_labels
    viewer.window.screenshot(canvas_only=True, flash=False)
    assert shown == []

    choose_method(widget, seconds=2.0)
    widget.run_button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=20_000)
    assert "/5 frames" in widget.progress_label.text()
    assert "s/frame" in widget.progress_label.text()
    start = time.monotonic()
    widget.run_button.click()
    assert widget.run_button.text() == "Cancelling …"
    wait_for_end(qtbot, widget)
    assert time.monotonic() - start < CONTROL_BACK_S
    assert is_idle(widget)
    assert widget.status.text().startswith("Cancelled after 1/5 frames")
    partial = viewer.layers.selection.active
    np.testing.assert_allclose(partial.data[0], grey_stack[0] / 2, atol=1e-3)
    np.testing.assert_array_equal(partial.data[4], grey_stack[4])

    choose_method(widget, seconds=0.0, fail_at=70 / 255)
    widget.form.method_form.editor("fail_at").setDecimals(12)
    widget.form.method_form.editor("fail_at").setValue(70 / 255)
    widget.run_button.click()
    wait_for_end(qtbot, widget)
    assert is_idle(widget)
    assert "CUDA out of memory" in widget.status.text()
    assert shown[-1][0] == "error"
    assert "CUDA out of memory" in shown[-1][1]


def test_uncertainty_follows_the_denoising_and_can_be_cancelled(
    qtbot, viewer, tiny_prior, monkeypatch, shown
):
    widget = dock(viewer)
    assert not widget.form.uncertainty.isVisibleTo(widget)
    widget.form.method_combo.setCurrentIndex(widget.form.method_combo.findData("flow"))
    assert widget.form.uncertainty.isVisibleTo(widget)
    widget.form.uncertainty.setChecked(True)
    ask = widget.form.request
    monkeypatch.setattr(
        widget.form,
        "request",
        lambda: replace(ask(), weights=str(tiny_prior), device="cpu"),
    )

    widget.run(only_current=True)
    wait_for_end(qtbot, widget)

    assert is_idle(widget)
    assert widget.status.text().count("Done: 1/1 frame") == 2
    names = [layer.name for layer in viewer.layers]
    # The result is what is looked at: it lies above.
    assert names == [
        "clip",
        "clip [flow σ=5.57 dB]",
        "clip [flow standard deviation, dB]",
    ]
    assert viewer.layers.selection.active.name == names[1]

    widget.run()
    qtbot.waitUntil(lambda: isinstance(widget._run.now, UncertaintyRun), timeout=20_000)
    assert widget.run_button.text() == "Cancel" and not widget.form.isEnabled()
    widget.run_button.click()
    wait_for_end(qtbot, widget)
    assert is_idle(widget)
    assert "Done: 5/5 frames" in widget.status.text()
    assert "Standard deviation: Cancelled after" in widget.status.text()
    assert shown == []


def test_network_is_followed_by_its_spread_and_its_disagreement_with_the_flow(
    qtbot, viewer, tmp_path, monkeypatch, shown
):
    torch.manual_seed(0)
    network = tmp_path / "toy.safetensors"
    save_network(
        UNet(UNetConfig(channels=(6, 8), blocks=(1, 1))), network, {"pixel_mm": 0.4375}
    )
    widget = dock(viewer)
    combo = widget.form.method_combo
    combo.setCurrentIndex(combo.findData("realtime"))
    assert widget.form.uncertainty.isVisibleTo(widget)
    widget.form.uncertainty.setChecked(True)
    ask = widget.form.request
    monkeypatch.setattr(
        widget.form,
        "request",
        lambda: replace(ask(), weights=str(network), device="cpu"),
    )

    widget.run(only_current=True)
    wait_for_end(qtbot, widget)

    assert {layer.name for layer in viewer.layers} == {
        "clip",
        "clip [realtime σ=5.57 dB]",
        "clip [realtime spread over mirrored images, dB]",
        "clip [realtime difference from the flow, dB]",
    }
    said = widget.status.text()
    assert said.count("Done: 1/1 frame") == 3
    assert "\nSpread over mirrored images: Done" in said
    assert "\nDifference from the flow: Done" in said
    assert said.count("of pixels above") == 2
    assert viewer.layers.selection.active.name == "clip [realtime σ=5.57 dB]"
    assert shown == []


def test_layer_without_lengths_is_denoised_at_once(qtbot, viewer):
    widget = dock(viewer)
    bare = viewer.add_image(np.zeros((24, 20), np.uint8), name="frame")
    widget.form.layer_combo.choose(bare)
    assert not widget.form.pixel_axial.isVisibleTo(widget)
    assert widget.form.dynamic_range.isVisibleTo(widget)
    widget.run_button.click()
    wait_for_end(qtbot, widget)
    assert widget.status.text().startswith("Done")

    colours = np.zeros((24, 20, 3), np.uint8)
    colours[:12, :, 0] = 200
    photo = viewer.add_image(colours, rgb=True, name="photo")
    widget.form.layer_combo.choose(photo)
    assert "colour image" in widget.form.content_label.text()
    widget.run_button.click()
    assert "'photo' is a colour image" in widget.status.text()
    assert is_idle(widget)


def test_grey_picture_in_colour_is_denoised_by_its_luma(qtbot, viewer, grey_stack):
    widget = dock(viewer)
    colours = np.repeat(grey_stack[..., np.newaxis], 3, axis=-1)
    photo = viewer.add_image(colours, rgb=True, name="photo")
    widget.form.layer_combo.choose(photo)
    assert "luma of equal colours" in widget.form.content_label.text()
    widget.run_button.click()
    wait_for_end(qtbot, widget)

    result = viewer.layers.selection.active
    assert not result.rgb
    np.testing.assert_allclose(result.data, grey_stack / 2, atol=0.01)


def test_estimated_noise_level_is_shown_in_its_box(qtbot, viewer):
    widget = dock(viewer)
    form = widget.form
    form.automatic_noise.setChecked(True)
    assert form.noise.text() == "by the run"
    assert not form.noise.isEnabled()

    widget.run_button.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)

    frames = viewer.layers.selection.active.metadata["usflow"]["frames"]
    assert form.noise.value() == pytest.approx(frames[0]["sigma_db"], abs=0.01)
    assert 0 < form.noise.value() <= 5.57
    assert form.request().settings.sigma_db is None


def test_layer_without_lengths_is_asked_for_its_pixel_size_where_one_counts(viewer):
    widget = dock(viewer)
    form = widget.form
    bare = viewer.add_image(np.zeros((24, 20), np.uint8), name="frame")
    form.layer_combo.choose(bare)
    form.method_combo.setCurrentIndex(form.method_combo.findData("flow-speckle"))
    assert not form.pixel_axial.isVisibleTo(widget)
    form.method_form.editor("point_spread_axial_mm").setValue(0.4)
    assert form.pixel_axial.isVisibleTo(widget)
    widget.run_button.click()
    assert "'frame' has no pixel size in mm" in widget.status.text()
    form.pixel_axial.setValue(0.2)
    form.pixel_lateral.setValue(0.3)
    assert form.request().pixel_size_mm == (0.2, 0.3)

    form.method_combo.setCurrentIndex(form.method_combo.findData("best"))
    assert not form.pixel_axial.isVisibleTo(widget)
    form.uncertainty.setChecked(True)
    assert form.pixel_axial.isVisibleTo(widget)
    bare.scale, bare.units = (0.1, 0.1), ("mm", "mm")
    form.layer_combo.currentIndexChanged.emit(0)
    assert not form.pixel_axial.isVisibleTo(widget)


def test_best_method_and_full_strength_are_the_defaults(viewer):
    widget = DenoiseWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Denoise")
    form = widget.form

    assert form.request().method == "best"
    assert form.request().settings == Settings()
    assert not form.noise.isEnabled()
    assert form.strength.isVisibleTo(widget)
    form.strength.setValue(150)
    assert form.request().settings.strength == 1.5
    assert form.strength_label.text() == "1.50"
    form.automatic_noise.setChecked(False)
    assert form.noise.isEnabled()
    assert form.request().settings.sigma_db == 5.57


@pytest.mark.parametrize("how", ["dock", "window", "viewer"])
def test_closing_during_a_run_is_silent(qtbot, viewer, shown, how, capsys):
    widget = dock(viewer)
    choose_method(widget, seconds=0.5)
    widget.run_button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    with qtbot.captureExceptions() as exceptions:
        if how == "dock":
            viewer.window.remove_dock_widget(widget)
            assert not widget.running
        elif how == "window":
            viewer.window.close()
        else:
            viewer.close()
        del widget
        qtbot.wait(600)
    assert exceptions == []
    assert not Job.busy()
    assert [kind for kind, _ in shown if kind == "error"] == []
    assert "deleted" not in capsys.readouterr().err


def test_denoiser_is_freed_after_the_run(qtbot, viewer, halving, monkeypatch):
    made: list[weakref.ref[Any]] = []
    init = halving.__init__

    def remember(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        made.append(weakref.ref(self))

    monkeypatch.setattr(halving, "__init__", remember)
    widget = dock(viewer)
    widget.run()
    wait_for_end(qtbot, widget)
    assert len(made) == 1

    def freed() -> bool:
        gc.collect()
        return made[0]() is None

    qtbot.waitUntil(freed, timeout=2000)


def test_menu_command_denoises_the_active_layer(
    qtbot, viewer, grey_stack, shown, monkeypatch, npe2pm: PluginManager
):
    from napari_usflow._napari.denoise import command as commands
    from napari_usflow.denoising import algorithms

    monkeypatch.setattr(algorithms, "methods", lambda: ("halving",))
    monkeypatch.setattr(
        commands, "Request", lambda **kw: request(settings=as_it_is(), **kw)
    )
    from napari._app_model import get_app_model

    with npe2pm.tmp_plugin(manifest=MANIFEST):
        app = get_app_model()
        command = "napari-usflow.denoise_active_layer"
        assert command in app.commands
        menu = app.menus.get_menu("napari-usflow/ultrasound")
        assert command in [item.command.id for item in menu]

    viewer.layers.selection.active = viewer.layers["clip"]
    denoise_active_layer()
    assert Job.busy()
    qtbot.waitUntil(lambda: not Job.busy())
    np.testing.assert_allclose(
        viewer.layers["clip [halving σ=5 dB]"].data, grey_stack / 2, atol=1e-3
    )
    assert shown[-1][0] == "info"
    assert shown[-1][1].startswith("Done: 5/5 frames")

    viewer.layers.selection.active = viewer.add_points(
        np.zeros((1, 3)), units=("s", "mm", "mm"), name="targets"
    )
    denoise_active_layer()
    qtbot.waitUntil(lambda: not Job.busy(), timeout=30_000)
    newest = viewer.layers[-2]
    assert source_of(newest) is viewer.layers["clip"]
    assert newest.name != "clip [halving σ=5 dB]" and newest.visible

    for layer in viewer.layers:
        layer.visible = False
    viewer.layers.selection.active = viewer.layers["targets"]
    denoise_active_layer()
    assert shown[-1] == (
        "warning",
        "layer 'targets' is a Points layer; choose an image layer",
    )

    viewer.layers.selection.active = viewer.layers["clip"]
    denoise_active_layer()
    viewer.window.close()
    qtbot.wait(300)
    assert not Job.busy()


def as_it_is() -> Any:
    return Settings(sigma_db=5.0)


def request(**kwargs: Any) -> Any:
    from napari_usflow._napari.denoise.run import Request

    return Request(**kwargs)


def test_a_result_can_be_compared_with_its_input(qtbot, viewer, npe2pm):
    widget = dock(viewer)
    assert widget.compare_button.isHidden()

    widget.run_button.click()
    assert widget.compare_button.isHidden()
    wait_for_end(qtbot, widget)
    assert not widget.compare_button.isHidden()
    result = viewer.layers.selection.active
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        widget.compare_button.click()
        _, compare = viewer.window.add_plugin_dock_widget("napari-usflow", "Compare")
    assert compare.form.mode() == "curtain"
    assert compare.comparison.pair.before is viewer.layers["clip"]
    assert compare.comparison.pair.after is result

    compare.form.set_mode("off")
    viewer.layers.remove(result)
    widget.compare_button.click()
    assert "was removed" in widget.status.text()


def test_frame_that_cannot_be_read_is_told(qtbot, viewer, shown):
    import dask.array as da

    widget = dock(viewer)
    lost: list[bool] = []

    def read(block, block_info=None):
        if lost:
            raise OSError("clip.dcm: no such file")
        return block

    frames = da.from_array(viewer.layers["clip"].data, chunks=(1, 24, 20))
    viewer.add_image(frames.map_blocks(read, dtype=np.uint8), name="lost")
    widget.form.layer_combo.choose(viewer.layers["lost"])
    lost.append(True)

    widget.run_button.click()
    wait_for_end(qtbot, widget)

    assert is_idle(widget)
    assert "frame 2 cannot be read: clip.dcm: no such file" in widget.status.text()
    lost.clear()


def test_fields_of_each_part_line_up(qtbot, viewer):
    widget = dock(viewer)
    viewer.window._qt_window.show()
    form = widget.form
    form._advanced.expand(animate=False)
    qtbot.wait(100)

    for fields in (
        (form.layer_combo, form.method_combo, form.strength),
        (form.values_combo, form.dynamic_range, form.device_combo, form.mix_back),
    ):
        lefts = [f.mapTo(form, f.rect().topLeft()).x() for f in fields if f.isVisible()]
        assert max(lefts) - min(lefts) <= 2, lefts


def test_what_is_unfolded_is_scrolled_to(qtbot, viewer):
    widget = dock(viewer)
    viewer.window._qt_window.show()
    form = widget.form
    form.setFixedHeight(150)
    qtbot.wait(50)

    form._advanced.toggleButton().click()

    top = form._advanced
    viewport = form.viewport()
    qtbot.waitUntil(lambda: abs(top.mapTo(viewport, top.rect().topLeft()).y()) < 3)
    # Later changes of the height do not move what the user looks at.
    qtbot.waitUntil(lambda: form._unfolding is None)
