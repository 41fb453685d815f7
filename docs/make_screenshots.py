"""Make the screenshots: open the sample, denoise it, beamform it anew; train a prior.

Run it with a screen, or without one as

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_screenshots.py

It drives napari as a user does: the sample from the menu's command, the widgets' own
buttons. Nothing is drawn over the picture. For the picture of a training run it wants
MRI (``--mri FOLDER``) and trains a small flow on them for a minute or two.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

SIZE = (1500, 940)
SMALL = (1366, 768)
PICTURES = (
    "acquisition",
    "denoise",
    "uncertainty",
    "compare",
    "carotid",
    "report",
    "speckle",
    "training",
)


def make(output: Path, method: str, timeout_s: float) -> None:
    """Save ``denoise.png`` into a folder."""
    viewer, widget = sample_window(output, method)
    denoise(widget, timeout_s)
    side_by_side(viewer)
    viewer.window.screenshot(str(output / "denoise.png"), flash=False)
    viewer.close()


def make_uncertainty(output: Path, timeout_s: float) -> None:
    """Save ``uncertainty.png``: that of the flow, which takes minutes."""
    viewer, widget = sample_window(output, "flow")
    widget.form.uncertainty.setChecked(True)
    denoise(widget, timeout_s)
    side_by_side(viewer)
    viewer.window.screenshot(str(output / "uncertainty.png"), flash=False)
    viewer.close()


def make_compare(output: Path, method: str, timeout_s: float) -> None:
    """Save ``compare.png``, ``measure.png``, ``profile.png`` and ``side_by_side.png``.

    In five clicks, as in the guide: Denoise, Compare, Measure, Suggest, Line.
    """
    import numpy as np

    viewer, widget = sample_window(output, method)
    denoise(widget, timeout_s)
    widget.compare_button.click()
    viewer.window.remove_dock_widget(dock_of(widget))
    _, compare = viewer.window.add_plugin_dock_widget("napari-usflow", "Compare")
    compare.form.angle.setValue(20)
    settle(1.0)
    viewer.window.screenshot(str(output / "compare.png"), flash=False)
    _, measure = viewer.window.add_plugin_dock_widget("napari-usflow", "Measure")
    measure.form.suggest.click()
    viewer.layers.selection.active.mode = "pan_zoom"
    settle(1.0)
    viewer.window.screenshot(str(output / "measure.png"), flash=False)
    measure.form.line.click()
    # From the lumen through the lower wall of the sample's vessel.
    viewer.layers.selection.active.add_lines(np.array([[10.0, -8.0], [17.0, -8.0]]))
    viewer.layers.selection.active.mode = "pan_zoom"
    settle(1.0)
    viewer.window.screenshot(str(output / "profile.png"), flash=False)
    viewer.window.remove_dock_widget(dock_of(measure))
    viewer.window.resize(*SMALL)
    compare.form.set_mode("side")
    settle(1.0)
    camera = getattr(viewer, "scene", viewer).camera
    camera.zoom *= 1.6
    settle(1.0)
    viewer.window.screenshot(str(output / "side_by_side.png"), flash=False)
    compare.form.set_mode("off")
    viewer.close()


def make_carotid(output: Path, clip: Path, method: str, timeout_s: float) -> None:
    """Save ``carotid_compare.png``: a real carotid, on a small screen."""
    import torch  # noqa: F401, I001
    import napari

    viewer = napari.Viewer(title="napari", show=True)
    viewer.window.resize(*SMALL)
    viewer.open(clip, plugin="napari-usflow")
    dock, widget = viewer.window.add_plugin_dock_widget("napari-usflow", "Denoise")
    form = widget.form
    form.method_combo.setCurrentIndex(form.method_combo.findData(method))
    settle(0.5)
    (widget.preview_button if viewer.layers[0].ndim > 2 else widget.run_button).click()
    wait(widget, timeout_s)
    widget.compare_button.click()
    viewer.window.remove_dock_widget(dock)
    _, measure = viewer.window.add_plugin_dock_widget("napari-usflow", "Measure")
    measure.form.suggest.click()
    viewer.layers.selection.active.mode = "pan_zoom"
    settle(1.0)
    viewer.window.screenshot(str(output / "carotid_compare.png"), flash=False)
    _, compare = viewer.window.add_plugin_dock_widget("napari-usflow", "Compare")
    compare.form.set_mode("off")
    viewer.close()


def make_report(output: Path, timeout_s: float) -> None:
    """Save ``annotate.png``, and ``report.png`` as Chromium shows the page."""
    # On Windows torch cannot be loaded once Qt is, so it comes first.
    import torch  # noqa: F401, I001
    import napari

    from napari_usflow._napari.project.saving import write_report

    viewer = napari.Viewer(title="napari", show=True)
    viewer.window.resize(*SMALL)
    viewer.open_sample("napari-usflow", "clip")
    viewer.dims.set_current_step(0, 3)
    dock, widget = viewer.window.add_plugin_dock_widget("napari-usflow", "Denoise")
    form = widget.form
    form.method_combo.setCurrentIndex(form.method_combo.findData("realtime"))
    settle(0.5)
    denoise(widget, timeout_s)
    widget.compare_button.click()
    viewer.window.remove_dock_widget(dock)
    _, compare = viewer.window.add_plugin_dock_widget("napari-usflow", "Compare")
    compare.form.suggest.click()
    _, measure = viewer.window.add_plugin_dock_widget("napari-usflow", "Measure")
    measure.table.setFocus()
    compare.form.time.click()
    _, annotate = viewer.window.add_plugin_dock_widget(
        "napari-usflow", "Annotate", tabify=True
    )
    form = annotate.form
    form.image.choose(viewer.layers["in-silico clip"])
    for reader, text, tool, frame, ends in (
        ("Ada", "lumen, widest", "add_line", 3, [[16, -4.6], [16, 4.6]]),
        ("Grace", "calcification?", "add_rectangle", 3, [[22.8, 12], [25.2, 15]]),
        ("Ada", "lumen, narrowest", "add_line", 19, [[16, -4.1], [16, 4.1]]),
    ):
        form.reader.setText(reader)
        form.text.setText(text)
        form.tools[tool].click()
        layer = viewer.layers["in-silico clip marks"]
        if tool == "add_line":
            layer.add_lines([[[frame, *end] for end in ends]])
        else:
            (z0, x0), (z1, x1) = ends
            box = [[z0, x0], [z0, x1], [z1, x1], [z1, x0]]
            layer.add_rectangles([[[frame, *corner] for corner in box]])
    annotate.step(1)
    annotate.tick()
    layer.mode = "pan_zoom"
    dock_of(annotate).raise_()
    settle(1.0)
    viewer.window.screenshot(str(output / "annotate.png"), flash=False)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        write_report(viewer, page)
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu"]
        command += [f"--screenshot={output / 'report.png'}", "--window-size=1366,1100"]
        subprocess.run([*command, page.as_uri()], check=True, timeout=120)
    compare.form.set_mode("off")
    viewer.close()


def dock_of(widget):
    """Return the dock that a widget is in."""
    from qtpy.QtWidgets import QDockWidget

    while not isinstance(widget, QDockWidget):
        widget = widget.parentWidget()
    return widget


def sample_window(output: Path, method: str):
    """Open the sample and the Denoise widget."""
    # On Windows torch cannot be loaded once Qt is, so it comes first.
    import torch  # noqa: F401, I001
    import napari

    output.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(title="napari", show=True)
    viewer.window.resize(*SIZE)
    viewer.open_sample("napari-usflow", "plane-wave")
    # Annotations are not repeated in every cell of the grid; they only hide tissue.
    for layer in list(viewer.layers[1:]):
        viewer.layers.remove(layer)
    _, widget = viewer.window.add_plugin_dock_widget("napari-usflow", "Denoise")
    form = widget.form
    form.layer_combo.choose(viewer.layers[0])
    form.method_combo.setCurrentIndex(form.method_combo.findData(method))
    settle(0.5)
    return viewer, widget


def denoise(widget, timeout_s: float) -> None:
    """Press the button and wait for the result."""
    widget.run_button.click()
    wait(widget, timeout_s)
    if not widget.status.text().startswith("Done"):
        raise SystemExit(widget.status.text())


def wait(widget, timeout_s: float) -> None:
    """Wait for the end of a run."""
    end = time.monotonic() + timeout_s
    while widget.running:
        if time.monotonic() > end:
            raise SystemExit(f"no result after {timeout_s:g} s: {widget.status.text()}")
        settle(0.1)


def side_by_side(viewer) -> None:
    """Show the layers in a grid, with a scale bar."""
    getattr(viewer, "canvas", viewer).grid.enabled = True
    overlays = getattr(getattr(viewer, "canvas", viewer), "overlays", viewer)
    overlays.scale_bar.visible = True
    overlays.scale_bar.gridded = True
    viewer.reset_view()
    settle(1.0)


def make_speckle(output: Path, timeout_s: float) -> None:
    """Save ``simulate.png``, and ``baselines.png`` with NLM tuned on that image."""
    import torch  # noqa: F401, I001
    import napari
    import numpy as np
    from skimage.data import shepp_logan_phantom
    from skimage.transform import resize

    output.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(title="napari", show=True)
    viewer.window.resize(*SIZE)
    pixel = 0.4375
    picture = viewer.add_image(
        # Its soft tissue is all near black; the root brings it to mid grey.
        np.sqrt(resize(shepp_logan_phantom(), (160, 160))).astype(np.float32),
        name="Shepp-Logan",
        scale=(pixel, pixel),
        units="mm",
        axis_labels=("z", "x"),
        contrast_limits=(0, 1),
    )
    dock, widget = viewer.window.add_plugin_dock_widget(
        "napari-usflow", "Simulate speckle"
    )
    settle(0.5)
    widget.controls.button.click()
    wait(widget, timeout_s)
    side_by_side(viewer)
    viewer.window.screenshot(str(output / "simulate.png"), flash=False)
    viewer.window.remove_dock_widget(dock)

    _, widget = viewer.window.add_plugin_dock_widget("napari-usflow", "Baselines")
    widget.form.layer_combo.choose(viewer.layers[-1])
    widget.reference_combo.choose(picture)
    settle(0.5)
    widget.tune_button.click()
    wait(widget, timeout_s)
    denoise(widget, timeout_s)
    side_by_side(viewer)
    viewer.window.screenshot(str(output / "baselines.png"), flash=False)
    viewer.close()


def make_acquisition(output: Path, timeout_s: float) -> None:
    """Save ``acquisition.png``: the sample's channel data, beamformed as it is set."""
    import torch  # noqa: F401, I001
    import napari
    from napari_usflow.jobs import result_of
    from napari_usflow.ultrasound.simulate.phantom import sample_files

    output.mkdir(parents=True, exist_ok=True)
    dataset, _ = result_of(sample_files())
    viewer = napari.Viewer(title="napari", show=True)
    viewer.window.resize(*SIZE)
    _, widget = viewer.window.add_plugin_dock_widget("napari-usflow", "Acquisition")
    widget.form.path_line.setText(str(dataset))
    widget.open_file()
    widget.form.live.setChecked(True)
    wait_for_preview(widget, timeout_s)
    widget.form.boxes["f_number"].setValue(1.2)
    wait_for_preview(widget, timeout_s)
    overlays = getattr(getattr(viewer, "canvas", viewer), "overlays", viewer)
    overlays.scale_bar.visible = True
    viewer.reset_view()
    settle(1.0)
    viewer.window.screenshot(str(output / "acquisition.png"), flash=False)
    viewer.close()


def wait_for_preview(widget, timeout_s: float) -> None:
    """Wait until the preview shows what is set."""
    end = time.monotonic() + timeout_s
    settle(0.1)
    while widget.preview.at_work:
        if time.monotonic() > end:
            raise SystemExit(f"no preview after {timeout_s:g} s")
        settle(0.1)


def make_training(output: Path, mri: Path, timeout_s: float) -> None:
    """Save ``train.png``: the window in the middle of a short training run."""
    import torch  # noqa: F401, I001
    import napari
    from napari_usflow.training.flow.configs import CONFIGS
    from napari_usflow.prior.glow import GlowConfig

    output.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(title="napari", show=True)
    viewer.window.resize(*SIZE)
    _, widget = viewer.window.add_plugin_dock_widget("napari-usflow", "Train prior")
    form = widget.form
    small = replace(
        CONFIGS["cpu"],
        flow=GlowConfig(steps=(2, 3, 3), hidden=(16, 24, 32)),
        likelihood_steps=600,
        denoising_steps=0,
        batch_size=32,
        noise_groups=1,
        warmup_steps=20,
        validate_every=40,
        validation_patches=32,
        checkpoint_minutes=0.2,
        bfloat16=False,
    )
    form.files.set_paths([mri])
    form.config_form.show_config(small)
    with tempfile.TemporaryDirectory() as folder:
        form.run_folder.set_paths([Path(folder) / "knees"])
        widget.controls.button.click()
        end = time.monotonic() + timeout_s
        while len(widget.plots.validations) < 7 and widget.running:
            if time.monotonic() > end:
                break
            settle(0.1)
        settle(1.0)
        viewer.window.screenshot(str(output / "train.png"), flash=False)
        widget.stop()
        while widget.running:
            settle(0.1)
    viewer.close()


def settle(seconds: float) -> None:
    """Let the window draw itself for a while."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--method", default="best", help="denoiser (default: best)")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds")
    parser.add_argument("--mri", type=Path, help="folder of MRI, for train.png")
    parser.add_argument("--carotid", type=Path, help="clip, for carotid_compare.png")
    parser.add_argument("--only", nargs="+", choices=PICTURES, help="not all")
    args = parser.parse_args()
    wanted = args.only or PICTURES
    if "acquisition" in wanted:
        make_acquisition(args.output, args.timeout)
    if "denoise" in wanted:
        make(args.output, args.method, args.timeout)
    if "uncertainty" in wanted:
        make_uncertainty(args.output, args.timeout)
    if "compare" in wanted:
        make_compare(args.output, args.method, args.timeout)
    if "carotid" in wanted and args.carotid is not None:
        make_carotid(args.output, args.carotid, args.method, args.timeout)
    if "report" in wanted:
        make_report(args.output, args.timeout)
    if "speckle" in wanted:
        make_speckle(args.output, args.timeout)
    if "training" in wanted and args.mri is not None:
        make_training(args.output, args.mri, args.timeout)
