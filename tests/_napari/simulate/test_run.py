"""Simulating speckle over a layer, on a viewer without a window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

import napari_usflow as usf
from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.layers.content import LayerError
from napari_usflow._napari.simulate.preview import SpecklePreview, is_speckle_preview
from napari_usflow._napari.simulate.run import (
    SpeckleRun,
    describe_picture,
    empty_stack,
    speckle_request,
)

NO_SIZE = (0.4375, 0.4375)


@pytest.fixture
def viewer(grey_stack, layer_kwargs) -> ViewerModel:
    """A stack of display grey, 0.5 by 0.25 mm, contrast limits 10 and 200."""
    model = ViewerModel()
    model.add_image(grey_stack, **layer_kwargs)
    model.dims.set_current_step(0, 3)
    return model


class Ended:
    """Callbacks of a run."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.errors: list[Exception | None] = []
        self.shares: list[float] = []
        self.callbacks: dict[str, Any] = {
            "on_progress": lambda share, text: self.shares.append(share),
            "on_note": lambda text: None,
            "on_end": self._end,
        }

    def _end(self, sentence: str, error: Exception | None) -> None:
        self.sentences.append(sentence)
        self.errors.append(error)


def simulate(qtbot, viewer, layer, **values: Any) -> tuple[SpeckleRun, Ended]:
    ended = Ended()
    request = speckle_request(layer, values, NO_SIZE)
    run = SpeckleRun(viewer, layer, request, **ended.callbacks)
    run.start()
    qtbot.waitUntil(lambda: not run.running, timeout=20_000)
    return run, ended


def test_result_is_a_bmode_layer_in_the_pictures_place(qtbot, viewer, grey_stack):
    source = viewer.layers["clip"]

    run, ended = simulate(qtbot, viewer, source, seed=5, dynamic_range_db=50.0)

    result = run.result
    assert ended.sentences[0].startswith("Done: 5/5 frames")
    assert result.name == "clip [speckle, seed 5]"
    for name in ("scale", "translate"):
        np.testing.assert_allclose(getattr(result, name), getattr(source, name))
    assert result.units == source.units
    assert result.axis_labels == source.axis_labels
    assert result.contrast_limits == [-50, 0]
    assert (result.colormap.name, result.gamma) == ("gray", 1.0)
    assert isinstance(result.data, np.ndarray) and result.data.dtype == np.float32
    # Black and white are the layer's contrast limits, the pixel is its own.
    expected = usf.simulate_speckle(
        np.clip((grey_stack[0] - 10.0) / 190, 0, 1),
        pixel_size_mm=(0.5, 0.25),
        dynamic_range_db=50.0,
        seed=5,
    )
    np.testing.assert_allclose(result.data[0], expected, atol=0.05)


def test_provenance_says_everything(qtbot, viewer):
    run, _ = simulate(qtbot, viewer, viewer.layers["clip"], seed=5)

    note = run.result.metadata["usflow"]
    assert note["method"] == "simulate-speckle"
    assert note["parameters"]["seed"] == 5
    assert note["parameters"]["pixel_size_mm"] == pytest.approx((0.5, 0.25))
    assert note["settings"] == {"black": 10.0, "white": 200.0}
    assert note["values"] == "db"
    assert note["source_layer"] == "clip"
    assert sorted(note["frames"]) == [0, 1, 2, 3, 4]


def test_result_can_be_denoised_as_decibels(qtbot, viewer):
    from napari_usflow._napari.layers.content import inspect_layer

    run, _ = simulate(qtbot, viewer, viewer.layers["clip"])

    content = inspect_layer(run.result)
    assert content.values == "db"
    assert content.spacing_mm == pytest.approx((0.5, 0.25))


def test_single_image_without_lengths_takes_the_given_pixel(qtbot, viewer, grey_stack):
    flat = viewer.add_image(grey_stack[0], name="flat", contrast_limits=(0, 255))
    ended = Ended()
    request = speckle_request(flat, {"seed": 1}, (0.3, 0.6))
    run = SpeckleRun(viewer, flat, request, **ended.callbacks)
    run.start()
    qtbot.waitUntil(lambda: not run.running, timeout=20_000)

    expected = usf.simulate_speckle(
        grey_stack[0] / 255, pixel_size_mm=(0.3, 0.6), seed=1
    )
    np.testing.assert_allclose(run.result.data, expected, atol=0.05)


def test_frames_that_are_not_finished_show_the_picture_in_decibels(viewer):
    layer = viewer.layers["clip"]

    stack = empty_stack(layer, speckle_request(layer, {}, NO_SIZE))

    # Frame 2 is brightest at 70: 60 dB over 190 grey values.
    assert stack[2].max() == pytest.approx(60 * (60 / 190 - 1), abs=1e-3)
    assert stack[2].min() == -60
    amplitude = speckle_request(layer, {"reading": "amplitude"}, NO_SIZE)
    stack = empty_stack(layer, amplitude)
    assert stack[2].max() == pytest.approx(20 * np.log10(60 / 190), abs=1e-3)
    assert stack[2].min() == pytest.approx(-60, abs=1e-3)


def test_broken_frame_ends_the_run_and_keeps_the_others(qtbot, viewer, grey_stack):
    broken = grey_stack.astype(np.float32)
    broken[1, 2, 3] = np.nan
    layer = viewer.layers["clip"]
    layer.data = broken

    run, ended = simulate(qtbot, viewer, layer)

    assert "layer 'clip': frame 1 has 1 NaN" in ended.sentences[0]
    assert ended.sentences[0].startswith("Failed after 3/5 frames")
    # The visible one was first, then outwards.
    assert sorted(run.result.metadata["usflow"]["frames"]) == [2, 3, 4]


def test_cancel_keeps_what_is_done(qtbot, viewer):
    ended = Ended()
    large = np.zeros((30, 128, 128), np.uint8)
    layer = viewer.add_image(large, name="large", contrast_limits=(0, 255))
    request = speckle_request(layer, {}, NO_SIZE)
    run = SpeckleRun(viewer, layer, request, **ended.callbacks)
    run.start()
    qtbot.waitUntil(lambda: run.finished_frames >= 2, timeout=20_000)
    run.cancel()
    qtbot.waitUntil(lambda: not run.running, timeout=2_000)

    done = run.finished_frames
    assert 2 <= done < 30
    assert ended.sentences == [
        f"Cancelled after {done}/30 frames, the other frames show the input."
    ]
    assert ended.errors == [None]
    assert not Job.busy()


@pytest.mark.parametrize(
    ("data", "keywords", "said"),
    [
        (np.full((8, 8, 3), [200, 0, 0], np.uint8), {"rgb": True}, "is a colour image"),
        (np.zeros((2, 2, 8, 8)), {}, "has 4 axes"),
    ],
)
def test_layer_that_is_no_picture_is_refused(data, keywords, said):
    layer = ViewerModel().add_image(data, name="odd", **keywords)

    with pytest.raises(LayerError, match=f"'odd' {said}"):
        speckle_request(layer, {}, NO_SIZE)
    with pytest.raises(LayerError, match=said):
        describe_picture(layer)


def test_picture_is_described(viewer):
    text = describe_picture(viewer.layers["clip"])

    assert text.startswith("24 × 20 px of 0.5 × 0.25 mm, 5 frames")
    assert text.endswith("; black 10, white 200 (its contrast limits)")


class Followed:
    """A preview, and what it reported."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.values: dict[str, Any] = {"seed": 0}
        self.layer = viewer.layers["clip"]
        self.done: list[int] = []
        self.problems: list[str] = []
        self.gone = 0
        self.preview = SpecklePreview(
            viewer,
            lambda: (self.layer, speckle_request(self.layer, self.values, NO_SIZE)),
            on_done=lambda event: self.done.append(event.index),
            on_problem=self.problems.append,
            on_gone=self._count,
        )

    def _count(self) -> None:
        self.gone += 1


@pytest.fixture
def followed(qtbot, viewer) -> Iterator[Followed]:
    followed = Followed(viewer)
    followed.preview.show()
    qtbot.waitUntil(lambda: followed.done == [3], timeout=20_000)
    yield followed
    followed.preview.abandon()


def test_preview_is_what_the_run_will_give(qtbot, viewer, followed):
    preview = followed.preview.layer
    shown = np.array(preview.data[3])

    run, _ = simulate(qtbot, viewer, followed.layer, seed=0)

    np.testing.assert_array_equal(shown, run.result.data[3])
    assert is_speckle_preview(preview) and not is_speckle_preview(run.result)


def test_preview_lies_on_the_picture_and_leaves_the_selection(viewer, followed):
    preview = followed.preview.layer
    assert viewer.layers.index(preview) == viewer.layers.index(followed.layer) + 1
    assert viewer.layers.selection.active is followed.layer
    np.testing.assert_allclose(preview.scale, followed.layer.scale)
    assert preview.contrast_limits == [-60, 0]


def test_preview_follows_settings_slider_and_contrast(qtbot, viewer, followed):
    preview = followed.preview.layer
    first = np.array(preview.data[3])

    followed.values = {"seed": 1, "dynamic_range_db": 40.0}
    followed.preview.ask()
    qtbot.waitUntil(lambda: followed.done == [3, 3], timeout=20_000)
    assert followed.preview.layer is preview
    assert preview.contrast_limits == [-40, 0]
    second = np.array(preview.data[3])
    assert np.abs(second - first).max() > 1

    viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: followed.done == [3, 3, 1], timeout=20_000)
    np.testing.assert_array_equal(preview.data[3], second)

    followed.layer.contrast_limits = (0, 100)
    qtbot.waitUntil(lambda: followed.done == [3, 3, 1, 1], timeout=20_000)
    assert preview.metadata["usflow"]["settings"]["white"] == 100


def test_frame_that_is_known_is_not_simulated_again(qtbot, viewer, followed):
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: followed.done == [3, 2], timeout=20_000)
    viewer.dims.set_current_step(0, 3)
    followed.preview.ask()
    qtbot.wait(400)

    assert followed.done == [3, 2]


def test_many_changes_are_answered_once(qtbot, followed):
    for seed in range(20):
        followed.values = {"seed": seed}
        followed.preview.ask()
    qtbot.waitUntil(lambda: len(followed.done) == 2, timeout=20_000)
    qtbot.wait(300)

    assert followed.done == [3, 3]
    assert followed.preview.layer.metadata["usflow"]["parameters"]["seed"] == 19


def test_impossible_setting_is_told_and_the_preview_recovers(qtbot, followed):
    followed.values = {"f0_hz": 0.0}
    followed.preview.ask()
    qtbot.waitUntil(lambda: len(followed.problems) == 1, timeout=5_000)
    assert "f0_hz is 0.0 Hz" in followed.problems[0]

    followed.values = {"seed": 3}
    followed.preview.ask()
    qtbot.waitUntil(lambda: followed.done == [3, 3], timeout=20_000)


@pytest.mark.parametrize("which", ["preview", "picture"])
def test_removing_preview_or_picture_ends_it(viewer, followed, which):
    layer = followed.preview.layer if which == "preview" else followed.layer
    viewer.layers.remove(layer)

    assert followed.gone == 1
    assert not followed.preview.on
    assert not any(is_speckle_preview(layer) for layer in viewer.layers)


def test_hidden_preview_follows_no_more(qtbot, viewer, followed):
    followed.preview.hide()
    viewer.dims.set_current_step(0, 0)
    followed.layer.contrast_limits = (0, 50)
    qtbot.wait(300)

    assert followed.done == [3]
    assert [layer.name for layer in viewer.layers] == ["clip"]
