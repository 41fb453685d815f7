"""Take pictures of every window in every state, to be looked at by eye.

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_window_states.py FOLDER

Each scene runs in a process of its own, at 1366x768 and at 1600x1000. Images are small
and methods fast, so that all of it takes minutes. With ``--carotid FILE`` a real
carotid is compared as well. Nothing is kept in the repository.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from make_screenshots import dock_of, settle, wait

SCREENS = {"laptop": (1366, 768), "desktop": (1600, 1000)}
WINDOWS = (
    "Denoise",
    "Baselines",
    "Batch",
    "Acquisition",
    "Simulate speckle",
    "Compare",
    "Measure",
    "Annotate",
    "Project and report",
    "Train prior",
)
TIMEOUT_S = 300.0
Shoot = Callable[..., None]


@contextmanager
def window(folder: Path, screen: str) -> Iterator[tuple]:
    """Open napari, and give a function that saves a picture of it under a name."""
    # On Windows torch cannot be loaded once Qt is, so it comes first.
    import torch  # noqa: F401, I001
    import napari

    viewer = napari.Viewer(title="napari", show=True)
    viewer.window.resize(*SCREENS[screen])
    settle(0.5)

    def shoot(name: str, seconds: float = 0.6) -> None:
        settle(seconds)
        shown = viewer.window.geometry()[2:]
        if shown != SCREENS[screen]:
            print(f"{name} at {screen}: the window became {shown[0]}x{shown[1]}")
        path = folder / f"{name.replace(' ', '_').lower()}-{screen}.png"
        viewer.window.screenshot(str(path), flash=False)

    yield viewer, shoot
    viewer.close()


def open_window(viewer, name: str):
    """Open one of our windows."""
    _, widget = viewer.window.add_plugin_dock_widget("napari-usflow", name)
    settle(0.3)
    return widget


def choose(widget, method: str) -> None:
    """Choose a method of a form."""
    combo = widget.form.method_combo
    combo.setCurrentIndex(combo.findData(method))


def small_sample(viewer, side: int = 200):
    """Open the sample and keep a part of its image, on which every method is fast."""
    viewer.open_sample("napari-usflow", "plane-wave")
    image, *drawn = viewer.layers
    for layer in drawn:
        viewer.layers.remove(layer)
    image.data = image.data[200 : 200 + side, :side]
    viewer.reset_view()
    return image


def grey_clip(viewer, frames: int = 12):
    """Add an 8-bit picture without lengths, as an exported clip is."""
    import numpy as np

    rng = np.random.default_rng(0)
    z, x = np.mgrid[:160, :200]
    tissue = np.where((z - 80) ** 2 + (x - 100) ** 2 < 1500, 0.05, 1.0)
    speckle = rng.exponential(size=(frames, 160, 200)) * tissue
    decibels = np.clip(10 * np.log10(speckle + 1e-6), -45, 15)
    grey = np.round(255 * (decibels + 45) / 60).astype(np.uint8)
    return viewer.add_image(grey, name="IM_0012 carotid left, exported")


def unfold(widget) -> None:
    """Open what is folded."""
    from superqt import QCollapsible

    for part in widget.findChildren(QCollapsible):
        part.expand(animate=False)


def until(true: Callable[[], bool]) -> None:
    """Let the window work until something holds."""
    end = time.monotonic() + TIMEOUT_S
    while not true():
        if time.monotonic() > end:
            raise SystemExit("it took too long")
        settle(0.05)


def quick(viewer, shoot: Shoot) -> None:
    """The two steps of the README: open the sample, choose Despeckle."""
    from qtpy.QtWidgets import QApplication, QProgressDialog

    from napari_usflow._napari.denoise.command import denoise_active_layer

    viewer.open_sample("napari-usflow", "plane-wave")
    shoot("quick 1 opened")
    denoise_active_layer()
    shoot("quick 2 running")

    def dialogs():
        top = QApplication.topLevelWidgets()
        return [w for w in top if isinstance(w, QProgressDialog) and w.isVisible()]

    for dialog in dialogs():
        dialog.grab().save(str(Path(shoot.folder) / "quick_2_dialog.png"))
    until(lambda: not dialogs())
    shoot("quick 3 despeckled")


def nine(viewer, shoot: Shoot) -> None:
    """Every method after the other; the last result has to be the one that is seen."""
    from napari_usflow.denoising.algorithms import methods

    image = small_sample(viewer, 120)
    widget = open_window(viewer, "Denoise")
    widget.form.layer_combo.choose(image)
    names = methods()
    for number, method in enumerate(names, 1):
        choose(widget, method)
        widget.run_button.click()
        wait(widget, TIMEOUT_S)
        if number in (1, 2, len(names)):
            shoot(f"nine {number} {method}")


def empty(viewer, shoot: Shoot) -> None:
    """Every window without a layer."""
    for name in WINDOWS:
        widget = open_window(viewer, name)
        shoot(f"empty {name}")
        viewer.window.remove_dock_widget(dock_of(widget))


def grey(viewer, shoot: Shoot) -> None:
    """Every window with a grey clip without lengths, folded and unfolded."""
    grey_clip(viewer)
    for name in WINDOWS:
        widget = open_window(viewer, name)
        shoot(f"grey {name}")
        if name in ("Denoise", "Baselines", "Batch"):
            unfold(widget)
            shoot(f"grey {name} unfolded")
        viewer.window.remove_dock_widget(dock_of(widget))


def denoise_states(viewer, shoot: Shoot) -> None:
    """Denoise running, cancelled, done, failed; with its uncertainty."""
    import dask
    import dask.array as da
    import numpy as np

    clip = grey_clip(viewer)
    widget = open_window(viewer, "Denoise")
    choose(widget, "nlm")
    widget.run_button.click()
    until(lambda: not widget.running or widget.bar.value() > 0)
    shoot("denoise running", 0.1)
    widget.cancel()
    wait(widget, TIMEOUT_S)
    shoot("denoise cancelled")
    widget.preview_button.click()
    wait(widget, TIMEOUT_S)
    shoot("denoise one frame")
    widget.run_button.click()
    wait(widget, TIMEOUT_S)
    shoot("denoise done")
    widget.form.mix_back.setValue(40)
    shoot("denoise mixed back")

    frames = np.asarray(clip.data)
    lost: list[bool] = []

    def read(place: int):
        if lost:
            raise OSError(f"/mnt/scans/IM_0012.dcm: frame {place}: no such file")
        return frames[place]

    stack = da.stack(
        [
            da.from_delayed(dask.delayed(read)(n), frames.shape[1:], frames.dtype)
            for n in range(4)
        ]
    )
    viewer.add_image(stack, name="clip on a lost drive", contrast_limits=(0, 255))
    widget.form.layer_combo.choose(viewer.layers["clip on a lost drive"])
    widget.run_button.click()
    lost.append(True)
    wait(widget, TIMEOUT_S)
    shoot("denoise failed", 1.0)
    widget.run_button.click()
    wait(widget, TIMEOUT_S)
    shoot("denoise refused", 1.0)


def refused(viewer, shoot: Shoot) -> None:
    """Layers that Denoise has a question about, or refuses."""
    import numpy as np

    rng = np.random.default_rng(0)
    widget = open_window(viewer, "Denoise")
    picture = rng.integers(0, 255, (160, 200, 3), np.uint8)
    viewer.add_image(picture, name="colour picture", rgb=True)
    shoot("refused colour")
    viewer.add_image(rng.normal(0, 1, (160, 200)) * 1e4, name="unknown numbers")
    shoot("refused unknown")
    viewer.add_image(np.full((160, 200), np.nan), name="nothing but NaN")
    shoot("refused nan")
    widget.run_button.click()
    shoot("refused nan run")


def uncertain(viewer, shoot: Shoot) -> None:
    """The uncertainty of a method, on top."""
    image = small_sample(viewer, 96)
    widget = open_window(viewer, "Denoise")
    widget.form.layer_combo.choose(image)
    choose(widget, "best")
    unfold(widget)
    widget.form.uncertainty.setChecked(True)
    shoot("uncertainty chosen")
    widget.run_button.click()
    settle(2.0)
    shoot("uncertainty running", 0.1)
    wait(widget, TIMEOUT_S)
    shoot("uncertainty done")


def live(viewer, shoot: Shoot) -> None:
    """Live while the in-silico clip plays."""
    viewer.open_sample("napari-usflow", "clip")
    widget = open_window(viewer, "Denoise")
    choose(widget, "realtime")
    shoot("live off")
    widget.live_button.click()
    shoot("live begun", 0.3)
    until(lambda: len(viewer.layers) > 1)
    for frame in range(12):
        viewer.dims.set_current_step(0, frame)
        settle(0.15)
    shoot("live playing", 0.1)
    settle(4.0)
    shoot("live settled")
    widget.live_button.click()
    shoot("live ended")


def calibrated(viewer, shoot: Shoot) -> None:
    """Calibrate by a line over the picture."""
    import numpy as np
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication, QInputDialog

    grey_clip(viewer)
    widget = open_window(viewer, "Denoise")
    unfold(widget)
    widget.form.calibrate_button.click()
    shoot("calibrate asked")

    def answer() -> None:
        for dialog in QApplication.topLevelWidgets():
            if isinstance(dialog, QInputDialog) and dialog.isVisible():
                dialog.grab().save(str(Path(shoot.folder) / "calibrate_dialog.png"))
                dialog.setDoubleValue(20.0)
                dialog.accept()

    QTimer.singleShot(800, answer)
    line = np.array([[0, 20, 10], [0, 120, 10]])
    viewer.layers["calibration line"].add_lines([line])
    settle(1.5)
    shoot("calibrate done")


def tuned(viewer, shoot: Shoot) -> None:
    """Baselines while a setting is searched for, and afterwards."""
    image = small_sample(viewer, 96)
    widget = open_window(viewer, "Baselines")
    widget.form.layer_combo.choose(image)
    choose(widget, "srad")
    widget.tune_button.click()
    settle(1.0)
    shoot("tune running", 0.1)
    wait(widget, TIMEOUT_S)
    shoot("tune done")
    widget.tune_button.click()
    settle(0.5)
    widget.cancel()
    wait(widget, TIMEOUT_S)
    shoot("tune cancelled")


def batch(viewer, shoot: Shoot) -> None:
    """Batch running, done with one damaged file, cancelled."""
    import numpy as np

    import napari_usflow as usf

    grey_clip(viewer, 3)
    rng = np.random.default_rng(0)
    grid = usf.PixelGrid((120, 100), (0.2, 0.25), (0.0, 0.0))
    with tempfile.TemporaryDirectory() as folder:
        names = ("2024-03-01 liver segment IV right lobe", "damaged", "knee")
        paths = [Path(folder) / f"{name}.tif" for name in names]
        for path in paths:
            frames = 10 * np.log10(rng.exponential(size=(4, 120, 100))) - 30
            image = usf.UltrasoundImage(frames.astype(np.float32), "db", grid)
            usf.write(path, image)
        paths[1].write_text("nothing")
        widget = open_window(viewer, "Batch")
        choose(widget, "nlm")
        widget.add_files(paths)
        widget.add_layers()
        shoot("batch listed")
        widget.run()
        settle(0.3)
        shoot("batch running", 0.1)
        wait(widget, TIMEOUT_S)
        shoot("batch done")
        widget.run()
        settle(0.2)
        widget.cancel()
        wait(widget, TIMEOUT_S)
        shoot("batch cancelled")
        unfold(widget)
        shoot("batch unfolded")


def acquisition(viewer, shoot: Shoot) -> None:
    """Acquisition with its preview, done, cancelled, and with a damaged file."""
    from napari_usflow.jobs import result_of
    from napari_usflow.ultrasound.simulate.phantom import sample_files

    dataset, _ = result_of(sample_files())
    widget = open_window(viewer, "Acquisition")
    widget.form.path_line.setText(str(dataset))
    widget.open_file()
    settle(0.4)
    shoot("acquisition preview running", 0.05)
    until(lambda: not widget.preview.at_work)
    shoot("acquisition preview")
    widget.form.boxes["f_number"].setValue(1.2)
    widget.run()
    shoot("acquisition running", 0.2)
    until(lambda: not widget.running and not widget.preview.at_work)
    shoot("acquisition done")
    widget.form.boxes["f_number"].setValue(1.4)
    widget.run()
    settle(0.2)
    widget.cancel()
    until(lambda: not widget.running and not widget.preview.at_work)
    shoot("acquisition cancelled")
    with tempfile.TemporaryDirectory() as folder:
        damaged = Path(folder) / "acquisition.hdf5"
        damaged.write_bytes(Path(dataset).read_bytes()[:5000])
        widget.form.path_line.setText(str(damaged))
        widget.open_file()
        shoot("acquisition failed")


def simulate(viewer, shoot: Shoot) -> None:
    """Simulate speckle with its preview, running, cancelled, done, failed."""
    import numpy as np
    from skimage.data import shepp_logan_phantom
    from skimage.transform import resize

    picture = np.sqrt(resize(shepp_logan_phantom(), (128, 128))).astype(np.float32)
    viewer.add_image(
        np.stack([picture] * 6),
        name="Shepp-Logan",
        scale=(0.04, 0.5, 0.5),
        units=("s", "mm", "mm"),
        contrast_limits=(0, 1),
    )
    widget = open_window(viewer, "Simulate speckle")
    widget.form.live.setChecked(True)
    settle(2.5)
    shoot("simulate preview")
    widget.run()
    shoot("simulate running", 0.1)
    widget.cancel()
    wait(widget, TIMEOUT_S)
    shoot("simulate cancelled")
    widget.run()
    wait(widget, TIMEOUT_S)
    shoot("simulate done")


def train(viewer, shoot: Shoot) -> None:
    """Train prior without data, running, stopped."""
    from dataclasses import replace

    import h5py
    import numpy as np

    from napari_usflow.prior.glow import GlowConfig
    from napari_usflow.training.flow.configs import CONFIGS

    widget = open_window(viewer, "Train prior")
    form = widget.form
    with tempfile.TemporaryDirectory() as folder:
        form.run_folder.set_paths([Path(folder) / "run"])
        widget.controls.button.click()
        shoot("train failed")
        mri = Path(folder) / "mri"
        mri.mkdir()
        rng = np.random.default_rng(0)
        z, x = np.mgrid[:160, :160]
        for n in range(3):
            body = np.stack(
                [np.hypot(z - 80, x - 80) < 60 + 2 * k for k in range(6)]
            ) * rng.uniform(0.4, 1, (6, 1, 1))
            with h5py.File(mri / f"knee_{n}.h5", "w") as file:
                noisy = body + 0.02 * rng.normal(size=body.shape)
                file["reconstruction_rss"] = np.abs(noisy).astype(np.float32)
                file.attrs["pixel_size_mm"] = (0.5, 0.5)
        small = replace(
            CONFIGS["cpu"],
            flow=GlowConfig(steps=(1, 1, 1), hidden=(8, 8, 8)),
            likelihood_steps=400,
            denoising_steps=0,
            batch_size=8,
            noise_groups=1,
            warmup_steps=20,
            validate_every=10,
            validation_patches=8,
            checkpoint_minutes=0.02,
            bfloat16=False,
        )
        form.files.set_paths([mri])
        form.config_form.show_config(small)
        shoot("train set")
        widget.controls.button.click()
        until(lambda: not widget.running or len(widget.plots.validations) > 3)
        shoot("train running", 0.3)
        widget.tabs.setCurrentIndex(2)
        shoot("train checkpoints", 0.3)
        widget.stop()
        wait(widget, TIMEOUT_S)
        shoot("train stopped")


def pair(viewer, shoot: Shoot, name: str) -> None:
    """Every view of Compare over what is open, then Measure with regions and lines."""
    import numpy as np

    image = next(layer for layer in viewer.layers if type(layer).__name__ == "Image")
    widget = open_window(viewer, "Denoise")
    widget.form.layer_combo.choose(image)
    choose(widget, "realtime")
    (widget.preview_button if image.ndim > 2 else widget.run_button).click()
    wait(widget, TIMEOUT_S)
    widget.compare_button.click()
    viewer.window.remove_dock_widget(dock_of(widget))
    _, compare = viewer.window.add_plugin_dock_widget("napari-usflow", "Compare")
    for mode in ("curtain", "flicker", "difference", "ratio", "side"):
        compare.form.set_mode(mode)
        # A second canvas is laid out when the window has time.
        shoot(f"{name} {mode}", 3.0 if mode == "side" else 1.0)
    compare.form.set_mode("curtain")
    compare.form.suggest.click()
    settle(0.3)
    viewer.layers.selection.active.mode = "pan_zoom"
    _, measure = viewer.window.add_plugin_dock_widget("napari-usflow", "Measure")
    shoot(f"{name} numbers")
    measure.form.line.click()
    lines = viewer.layers.selection.active
    low, high = image.extent.world[:, -2:]
    ends = low + (high - low) * np.array([[0.2, 0.5], [0.8, 0.5]])
    lines.add_lines(_in_data(lines, ends))
    lines.mode = "pan_zoom"
    shoot(f"{name} profile")
    if image.ndim > 2:
        measure.tabs.setCurrentIndex(2)
        shoot(f"{name} over the clip")
    _, annotate = viewer.window.add_plugin_dock_widget(
        "napari-usflow", "Annotate", tabify=True
    )
    form = annotate.form
    form.image.choose(image)
    form.reader.setText("Ada")
    form.text.setText("plaque, hypoechoic, 40 % of the wall")
    form.tools["add_line"].click()
    marks = viewer.layers.selection.active
    marks.add_lines(_in_data(marks, ends + 1.0))
    marks.mode = "pan_zoom"
    annotate.step(1)
    annotate.tick()
    dock_of(annotate).raise_()
    shoot(f"{name} marks")
    compare.form.set_mode("off")


def _in_data(layer, ends):
    """Return world positions, shape (2, 2), as data of a layer."""
    import numpy as np

    points = []
    for end in ends:
        world = np.zeros(layer.ndim)
        world[-2:] = end
        points.append(layer.world_to_data(world))
    return np.array(points)


def compare_sample(viewer, shoot: Shoot) -> None:
    """The sample with its regions and points, before and after."""
    viewer.open_sample("napari-usflow", "plane-wave")
    pair(viewer, shoot, "sample")


def compare_clip(viewer, shoot: Shoot) -> None:
    """The in-silico clip, before and after."""
    viewer.open_sample("napari-usflow", "clip")
    pair(viewer, shoot, "clip")


def compare_carotid(viewer, shoot: Shoot) -> None:
    """A real carotid, before and after."""
    if shoot.carotid is not None:
        viewer.open(shoot.carotid, plugin="napari-usflow")
        pair(viewer, shoot, "carotid")


SCENES = {
    function.__name__: function
    for function in (
        quick,
        nine,
        empty,
        grey,
        denoise_states,
        refused,
        uncertain,
        live,
        calibrated,
        tuned,
        batch,
        acquisition,
        simulate,
        train,
        compare_sample,
        compare_clip,
        compare_carotid,
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--carotid", type=Path, help="file, for compare_carotid")
    parser.add_argument("--only", nargs="+", choices=SCENES, help="not all scenes")
    parser.add_argument("--screen", nargs="+", choices=SCREENS, default=list(SCREENS))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    wanted = args.only or list(SCENES)
    if args.here:
        with window(args.folder, args.screen[0]) as (viewer, shoot):
            shoot.folder, shoot.carotid = args.folder, args.carotid
            SCENES[wanted[0]](viewer, shoot)
        return 0
    failed = []
    for scene in wanted:
        for screen in args.screen:
            command = [sys.executable, __file__, str(args.folder), "--here"]
            command += ["--only", scene, "--screen", screen]
            if args.carotid is not None:
                command += ["--carotid", str(args.carotid)]
            start = time.monotonic()
            if subprocess.run(command, check=False).returncode:
                failed.append(f"{scene} at {screen}")
            print(f"{scene} at {screen}: {time.monotonic() - start:.0f} s", flush=True)
    print("\n".join(f"failed: {what}" for what in failed))
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())
