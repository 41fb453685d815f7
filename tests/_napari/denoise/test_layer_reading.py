"""A click inspects its layer once, and no frame is read in the window's thread."""

from __future__ import annotations

import threading

import dask
import numpy as np
import pytest

from napari_usflow._napari.denoise import live, run, tune_run, uncertainty_run, widget
from napari_usflow._napari.denoise.baselines_widget import BaselinesWidget
from napari_usflow._napari.denoise.widget import DenoiseWidget
from napari_usflow._napari.layers import content
from napari_usflow._napari.layers.content import grey_stack, inspect_layer
from napari_usflow.denoising import frame_loop
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.ultrasound.lazy_frames import lazy_stack

pytestmark = pytest.mark.gui

FRAMES, SHAPE = 3, (24, 20)


@pytest.fixture(autouse=True)
def noise(monkeypatch) -> None:
    """The noise is known: no network is loaded."""
    known = Noise(0.1, (0.5, 0.5), white=False)
    monkeypatch.setattr(frame_loop, "measured_noise", lambda frame, device: known)


@pytest.fixture
def readers() -> list[threading.Thread]:
    """The threads that read a frame."""
    return []


@pytest.fixture
def viewer(make_napari_viewer, readers):
    """A clip of decibels whose frames are read when they are wanted."""

    def read(index: int) -> np.ndarray:
        readers.append(threading.current_thread())
        return np.random.default_rng(index).uniform(-50, -10, SHAPE)

    viewer = make_napari_viewer()
    viewer.add_image(
        lazy_stack(read, (FRAMES, *SHAPE)), name="clip", contrast_limits=(-60, 0)
    )
    return viewer


@pytest.fixture
def inspected(monkeypatch) -> list[str]:
    """The names of the layers that are inspected."""
    names = []

    def counted(layer, **options):
        names.append(layer.name)
        return inspect_layer(layer, **options)

    for module in (content, live, run, tune_run, uncertainty_run, widget):
        monkeypatch.setattr(module, "inspect_layer", counted)
    return names


def test_a_click_inspects_its_layer_once(
    viewer, halving, inspected, qtbot, readers
) -> None:
    window = DenoiseWidget(viewer)
    combo = window.form.method_combo
    combo.setCurrentIndex(combo.findData("halving"))
    inspected.clear()

    window.run()

    assert inspected == ["clip"]
    qtbot.waitUntil(lambda: not window.running, timeout=20_000)
    assert viewer.layers[-1].data.shape == (FRAMES, *SHAPE)


def test_choosing_and_running_read_no_frame_in_the_windows_thread(
    viewer, halving, qtbot, readers
) -> None:
    window = BaselinesWidget(viewer)
    combo = window.form.method_combo
    combo.setCurrentIndex(combo.findData("halving"))
    # What napari itself reads to draw the layer does not count.
    readers.clear()

    described = window.form.content_label.text()
    # Otherwise dask reads in threads of its own, while the window waits.
    with dask.config.set(scheduler="synchronous"):
        window._inspect()
        window.run(only_current=True)
    qtbot.waitUntil(lambda: not window.running, timeout=20_000)

    assert "decibels" in described
    assert "usflow-read" in {thread.name.rpartition("_")[0] for thread in readers}
    assert threading.main_thread() not in readers


def test_what_is_in_memory_is_looked_at_without_a_thread(monkeypatch) -> None:
    from napari.layers import Image

    monkeypatch.setattr(content, "called_in_thread", None)
    layer = Image(np.random.default_rng(0).uniform(-50, -10, (FRAMES, *SHAPE)))

    assert inspect_layer(layer).shape == (FRAMES, *SHAPE)


def test_an_error_of_reading_reaches_whoever_asked(qapp) -> None:
    from napari_usflow._napari.jobs.modal_wait import called_in_thread

    def fails() -> None:
        assert threading.current_thread() is not threading.main_thread()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        called_in_thread(fails)


def test_a_single_lazy_frame_stays_lazy() -> None:
    import dask.array as da

    def explode(block):
        raise AssertionError("it is read")

    single = da.zeros(SHAPE, chunks=SHAPE).map_blocks(
        explode, dtype=np.float32, meta=np.empty((0, 0), np.float32)
    )
    stack = grey_stack(_Stand(single))

    assert stack.shape == (1, *SHAPE)


class _Stand:
    """As much of an image layer as is looked at before anything is read."""

    name, rgb, multiscale = "single", False, False

    def __init__(self, data) -> None:
        self.data = data


_Stand.__name__ = "Image"
