"""Training in a real window with the real engine: start, stop, resume, use, close."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from napari_usflow._napari.jobs.worker import Job
from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.prior import PRIOR_PIXEL_MM, flow_prior
from napari_usflow.prior.glow import Glow, GlowConfig
from napari_usflow.training.flow.configs import TrainConfig
from napari_usflow.training.network.configs import NetworkConfig
from napari_usflow.training.run_folder import RunFolder

pytestmark = pytest.mark.gui

MANIFEST = Path(__file__).parents[2] / "src" / "napari_usflow" / "napari.yaml"
TINY = TrainConfig(
    flow=GlowConfig(patch_size=16, steps=(2, 2), hidden=(8, 8), embedding=8),
    likelihood_steps=100_000,
    batch_size=16,
    noise_groups=2,
    warmup_steps=5,
    validate_every=40,
    validation_patches=32,
    bfloat16=False,
)

TINY_NETWORK = NetworkConfig(
    network=UNetConfig(channels=(8, 8), blocks=(1, 1)),
    steps=100_000,
    batch_size=8,
    crop=16,
    gaussian_fraction=0.375,
    warmup_steps=2,
    validate_every=5,
    validation_patches=12,
    bfloat16=False,
)


@pytest.fixture
def flows(monkeypatch) -> list[weakref.ref[Any]]:
    """Every flow that is made, as long as it lives."""
    made: list[weakref.ref[Any]] = []
    init = Glow.__init__

    def remember(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        made.append(weakref.ref(self))

    monkeypatch.setattr(Glow, "__init__", remember)
    return made


@pytest.fixture
def volume() -> np.ndarray:
    """Four smooth slices with edges, of any scale."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(4, 48, 48)), (0, 3, 3))
    return (1000 * (smooth > 0) + 300).astype(np.float32)


@pytest.fixture
def windows(make_napari_viewer, npe2pm, tmp_path, volume, monkeypatch):
    """The training window, set to two layers, and the Denoise window, set to one."""
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_documents_path", lambda: tmp_path)
    viewer = make_napari_viewer()
    pixel = (4.0, PRIOR_PIXEL_MM, PRIOR_PIXEL_MM)
    layers = [
        viewer.add_image(volume[:, ::flip], scale=pixel, units="mm", name=name)
        for name, flip in (("knee", 1), ("knee upside down", -1))
    ]
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        window = viewer.window
        _, training = window.add_plugin_dock_widget("napari-usflow", "Train prior")
        _, denoise = window.add_plugin_dock_widget("napari-usflow", "Denoise")
    form = training.form
    form.source_combo.setCurrentIndex(1)
    form.layers.choose(layers)
    form.device_combo.addItem("cpu")
    form.device_combo.setCurrentText("cpu")
    denoise.form.layer_combo.choose(layers[0])
    values = denoise.form.values_combo
    values.setCurrentIndex(values.findData("envelope"))
    return viewer, training, denoise


def stop(qtbot, widget) -> None:
    widget.controls.button.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)


def test_train_on_layers_stop_resume_and_denoise_with_the_prior(qtbot, windows, flows):
    viewer, widget, denoise = windows
    widget.form.config_form.show_config(TINY)
    folder = widget.form.folder()

    widget.controls.button.click()
    qtbot.waitUntil(lambda: len(widget.plots.loss) > 45, timeout=60_000)
    assert "Train: real | generated" in viewer.layers
    assert "Train: noisy | denoised" in viewer.layers
    stop(qtbot, widget)
    assert widget.controls.status.text().startswith("Stopped after ")
    stopped_at = folder.checkpoints()[0].step
    losses = widget.plots.loss.raw()[1]
    assert len(losses) == stopped_at

    widget.controls.button.click()
    qtbot.waitUntil(lambda: len(widget.plots.loss) > stopped_at + 20, timeout=60_000)
    stop(qtbot, widget)
    steps = [r["step"] for r in RunFolder(folder.path).records() if "loss" in r]
    assert steps == list(range(1, steps[-1] + 1))
    # The log keeps six digits.
    again = widget.plots.loss.raw()[1][:stopped_at]
    np.testing.assert_allclose(again, losses, atol=1e-6)
    bits = [v.bits_per_dim for v in widget.plots.validations]
    assert bits[-1] < bits[0]

    widget.checkpoints.use_button.click()
    methods = denoise.form.method_combo
    methods.setCurrentIndex(methods.findData("flow"))
    denoise.preview_button.click()
    qtbot.waitUntil(lambda: not denoise.running, timeout=60_000)
    assert denoise.status.text().startswith("Done"), denoise.status.text()
    note = viewer.layers["knee [flow]"].metadata["usflow"]
    newest = folder.checkpoints()[0].step
    assert note["prior"] == f"{folder.path.name}-step-{newest}"

    widget.controls.button.click()
    qtbot.waitUntil(lambda: len(widget.plots.loss) > steps[-1] + 5, timeout=60_000)
    viewer.window.close()
    qtbot.waitUntil(lambda: not Job.busy(), timeout=60_000)
    assert folder.checkpoints()[0].step > steps[-1]

    def freed() -> bool:
        # The last priors that were denoised with stay loaded on purpose.
        flow_prior._load.cache_clear()
        gc.collect()
        return all(flow() is None for flow in flows)

    qtbot.waitUntil(freed, timeout=5000)


def test_train_a_network_stop_resume_and_denoise_with_it(qtbot, windows):
    viewer, widget, denoise = windows
    widget.form.config_form.show_config(TINY_NETWORK)
    folder = widget.form.folder()

    widget.controls.button.click()
    qtbot.waitUntil(lambda: len(widget.plots.validations) >= 1, timeout=60_000)
    stop(qtbot, widget)
    assert widget.controls.status.text().startswith("Stopped after ")
    assert "Train: noisy | denoised" in viewer.layers
    assert widget.plots.validations[0].speckle_psnr_db is not None
    assert (folder.path / "network.safetensors").is_file()
    stopped_at = folder.checkpoints()[0].step

    widget.controls.button.click()
    qtbot.waitUntil(lambda: len(widget.plots.loss) > stopped_at + 2, timeout=60_000)
    stop(qtbot, widget)
    steps = [r["step"] for r in RunFolder(folder.path).records() if "loss" in r]
    assert steps == list(range(1, steps[-1] + 1))

    widget.checkpoints.use_button.click()
    name = f"{folder.path.name}-step-{steps[-1]}"
    assert f"“{name}” for its network methods" in widget.controls.status.text()
    methods = denoise.form.method_combo
    methods.setCurrentIndex(methods.findData("flow"))
    assert denoise.form.request().weights == ""
    methods.setCurrentIndex(methods.findData("realtime"))
    assert denoise.form.network_combo.currentText() == name
    assert denoise.form.prior_combo.isHidden()
    denoise.preview_button.click()
    qtbot.waitUntil(lambda: not denoise.running, timeout=60_000)
    assert denoise.status.text().startswith("Done"), denoise.status.text()
    note = viewer.layers["knee [realtime]"].metadata["usflow"]
    assert note["network"] == name
