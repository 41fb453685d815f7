"""Denoising a layer into a new one, on a viewer without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari.denoise.run import LayerRun, Request, needs_millimetres
from napari_usflow._napari.layers.content import LayerError
from napari_usflow.denoising.settings import Settings

pytestmark = pytest.mark.usefixtures("halving")

AS_IT_IS = Settings(sigma_db=5.0)


class Seen:
    """Collects what a run reports."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.texts: list[str] = []
        self.notes: list[str] = []
        self.ends: list[tuple[str, Exception | None]] = []

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_progress": lambda s, t: (self.shares.append(s), self.texts.append(t)),
            "on_note": self.notes.append,
            "on_end": lambda *end: self.ends.append(end),
        }


@pytest.fixture
def viewer(grey_stack, layer_kwargs) -> ViewerModel:
    model = ViewerModel()
    model.add_image(grey_stack, **layer_kwargs)
    return model


def begin(viewer, *, seconds=0.0, **changes) -> tuple[LayerRun, Seen]:
    seen = Seen()
    fields: dict[str, Any] = {
        "method": "halving",
        "params": {"seconds": seconds, "fail_at": changes.pop("fail_at", -1.0)},
        "settings": AS_IT_IS,
        **changes,
    }
    run = LayerRun(viewer, viewer.layers[0], Request(**fields), **seen.callbacks())
    run.start()
    return run, seen


@pytest.mark.gui
def test_finished_stack_is_a_plain_array_with_provenance(qtbot, viewer, grey_stack):
    before = grey_stack.copy()
    run, seen = begin(viewer)
    qtbot.waitUntil(lambda: bool(seen.ends))
    sentence, error = seen.ends[0]
    assert error is None
    assert sentence.startswith("Done: 5/5 frames")
    result = viewer.layers["clip [halving σ=5 dB]"]
    assert isinstance(result.data, np.ndarray)
    np.testing.assert_allclose(result.data, before / 2, atol=1e-3)
    np.testing.assert_array_equal(viewer.layers[0].data, before)
    note = result.metadata["usflow"]
    assert note["method"] == "halving"
    assert note["parameters"]["seconds"] == 0.0
    assert note["settings"]["sigma_db"] == 5.0
    assert note["values"] == "display"
    assert sorted(note["frames"]) == [0, 1, 2, 3, 4]
    assert not run.running


@pytest.mark.gui
def test_visible_frame_comes_first(qtbot, viewer, grey_stack):
    viewer.dims.set_current_step(0, 3)
    run, _ = begin(viewer, seconds=0.2)
    qtbot.waitUntil(lambda: run.result is not None)
    np.testing.assert_allclose(run.result.data[3], grey_stack[3] / 2, atol=1e-3)
    np.testing.assert_array_equal(run.result.data[0], grey_stack[0])
    run.abandon()


@pytest.mark.gui
def test_a_run_goes_on_from_where_the_slider_goes(qtbot, viewer):
    viewer.dims.set_current_step(0, 0)
    run, seen = begin(viewer, seconds=0.3)

    viewer.dims.set_current_step(0, 4)

    qtbot.waitUntil(lambda: bool(seen.ends), timeout=20_000)
    # What was in work when the slider moved is done first.
    assert list(run._frames) in ([0, 4, 3, 2, 1], [4, 3, 2, 1, 0])


@pytest.mark.gui
def test_progress_grows_to_the_end(qtbot, viewer):
    _, seen = begin(viewer, seconds=0.1)
    qtbot.waitUntil(lambda: bool(seen.ends))
    assert seen.shares == sorted(seen.shares)
    assert seen.shares[-1] == 1.0
    assert any("s/frame" in text for text in seen.texts)


@pytest.mark.gui
def test_cancelled_run_keeps_its_finished_frames(qtbot, viewer, grey_stack):
    viewer.dims.set_current_step(0, 0)
    run, seen = begin(viewer, seconds=1.0)
    qtbot.waitUntil(lambda: run.finished_frames == 2, timeout=20_000)
    run.cancel()
    qtbot.waitUntil(lambda: bool(seen.ends))
    sentence, error = seen.ends[0]
    assert error is None
    assert sentence.startswith("Cancelled after 2/5 frames")
    assert "show the input" in sentence
    data = np.asarray(run.result.data)
    np.testing.assert_allclose(data[:2], grey_stack[:2] / 2, atol=1e-3)
    np.testing.assert_array_equal(data[2:], grey_stack[2:])
    assert sorted(run.result.metadata["usflow"]["frames"]) == [0, 1]


@pytest.mark.gui
def test_runtime_error_is_reported_and_finished_frames_are_kept(
    qtbot, viewer, grey_stack
):
    viewer.dims.set_current_step(0, 0)
    run, seen = begin(viewer, fail_at=70 / 255)
    qtbot.waitUntil(lambda: bool(seen.ends))
    sentence, error = seen.ends[0]
    assert error is not None
    assert sentence.startswith("Failed after 2/5 frames")
    assert "CUDA out of memory" in sentence
    np.testing.assert_allclose(run.result.data[1], grey_stack[1] / 2, atol=1e-3)


@pytest.mark.gui
def test_nothing_is_added_when_no_frame_was_finished(qtbot, viewer):
    _, seen = begin(viewer, fail_at=70 / 255, only_current=True)
    qtbot.waitUntil(lambda: bool(seen.ends))
    assert seen.ends[0][1] is not None
    assert len(viewer.layers) == 1


@pytest.mark.gui
def test_only_the_current_frame_when_asked(qtbot, viewer, grey_stack):
    viewer.dims.set_current_step(0, 4)
    run, seen = begin(viewer, only_current=True, link_contrast=True)
    qtbot.waitUntil(lambda: bool(seen.ends))
    assert seen.ends[0][0].startswith("Done: 1/1 frame")
    np.testing.assert_allclose(run.result.data[4], grey_stack[4] / 2, atol=1e-3)
    np.testing.assert_array_equal(run.result.data[3], grey_stack[3])
    viewer.layers[0].contrast_limits = (5, 99)
    assert run.result.contrast_limits == [5, 99]


@pytest.mark.gui
@pytest.mark.parametrize("which", ["input", "result"])
def test_removing_input_or_result_stops_the_run(qtbot, viewer, which):
    run, seen = begin(viewer, seconds=0.3)
    qtbot.waitUntil(lambda: run.result is not None)
    viewer.layers.remove(viewer.layers[0] if which == "input" else run.result)
    qtbot.waitUntil(lambda: bool(seen.ends))
    assert seen.ends[0][0].startswith("Cancelled")


@pytest.mark.gui
def test_abandoned_run_leaves_the_viewer_alone(qtbot, viewer):
    run, seen = begin(viewer, seconds=0.3)
    run.abandon()
    qtbot.wait(500)
    assert seen.ends == []
    assert len(viewer.layers) == 1


@pytest.mark.gui
def test_floats_in_the_unit_range_come_back_in_it(qtbot):
    viewer = ViewerModel()
    data = np.random.default_rng(0).random((24, 20)).astype(np.float32)
    viewer.add_image(data, scale=(0.5, 0.5), units="mm")
    run, seen = begin(viewer)
    qtbot.waitUntil(lambda: bool(seen.ends))
    np.testing.assert_allclose(run.result.data, data / 2, atol=1e-4)
    assert run.result.metadata["usflow"]["value_range"] == (0.0, 1.0)


@pytest.mark.gui
def test_layer_in_pixels_is_denoised_without_asking_for_its_pixel_size(
    qtbot, grey_stack
):
    viewer = ViewerModel()
    viewer.add_image(grey_stack[0], name="frame")
    run, seen = begin(viewer)
    qtbot.waitUntil(lambda: bool(seen.ends))
    assert seen.ends[0][1] is None
    np.testing.assert_allclose(run.result.data, grey_stack[0] / 2, atol=1e-3)


LENGTH = {"method": "flow-speckle", "params": {"point_spread_axial_mm": 0.4}}


@pytest.mark.parametrize("asks", [LENGTH, {"method": "best", "uncertainty": True}])
def test_layer_in_pixels_is_refused_where_a_length_counts(asks):
    viewer = ViewerModel()
    viewer.add_image(np.zeros((24, 20), np.uint8), name="frame")
    with pytest.raises(LayerError, match="no pixel size"):
        LayerRun(viewer, viewer.layers[0], Request(**asks), **Seen().callbacks())


@pytest.mark.parametrize(
    ("request_", "needed"),
    [
        (Request("best"), False),
        (Request("best", uncertainty=True), True),
        (Request("flow", uncertainty=True), False),
        (Request("flow-speckle"), False),
        (Request(**LENGTH), True),
        (Request("nlm", {"block": 2}), False),
    ],
)
def test_a_pixel_size_is_needed_only_where_a_length_is_given(request_, needed):
    assert needs_millimetres(request_) == needed


@pytest.mark.gui
def test_noise_is_measured_once_for_a_stack_and_told(qtbot, viewer, monkeypatch):
    from napari_usflow.denoising import frame_loop
    from napari_usflow.denoising import noise_estimation as noise

    measured = []

    def measure(frame, **_):
        measured.append(frame)
        return noise.Noise(0.1, (0.5, 0.5), white=False)

    monkeypatch.setattr(frame_loop, "measured_noise", measure)
    _, seen = begin(viewer, settings=Settings())
    qtbot.waitUntil(lambda: bool(seen.ends))

    assert len(measured) == 1
    assert "Noise level estimated: 6.0 dB" in seen.notes
    assert seen.ends[0][0].endswith(", noise level 6.0 dB (estimated, speckle).")


@pytest.mark.gui
def test_provenance_names_the_network_that_suits_the_noise(qtbot):
    viewer = ViewerModel()
    smooth = np.full((64, 64), 0.5) + 0.2 * np.linspace(0, 1, 64)
    noise = np.random.default_rng(0).normal(0, 0.1, smooth.shape)
    viewer.add_image((smooth + noise).astype(np.float32), name="mri")
    run, seen = begin(viewer, method="realtime", params={}, settings=Settings())
    qtbot.waitUntil(lambda: bool(seen.ends), timeout=20_000)

    assert seen.ends[0][1] is None
    assert run.result.metadata["usflow"]["network"] == "realtime-white"
    assert seen.ends[0][0].endswith("dB (estimated, white noise).")


@pytest.mark.gui
def test_strength_decides_how_much_is_taken_away_and_is_in_the_name(
    qtbot, viewer, grey_stack
):
    _, seen = begin(viewer, settings=Settings(sigma_db=5.0, strength=0.0))
    qtbot.waitUntil(lambda: bool(seen.ends))

    result = viewer.layers["clip [halving σ=5 dB strength 0]"]
    np.testing.assert_allclose(result.data, grey_stack, atol=1e-3)


@pytest.mark.gui
def test_torch_leaves_one_core_to_the_window_while_it_works(
    qtbot, viewer, halving, monkeypatch
):
    import torch

    from napari_usflow._napari.jobs import worker

    before = torch.get_num_threads()
    used: list[int] = []
    work = halving.run

    def run(self, frame, run):
        used.append(torch.get_num_threads())
        return (yield from work(self, frame, run))

    monkeypatch.setattr(halving, "run", run)
    monkeypatch.setattr(worker.os, "cpu_count", lambda: 2)
    torch.set_num_threads(2)
    try:
        _, seen = begin(viewer)
        qtbot.waitUntil(lambda: bool(seen.ends), timeout=20_000)
        assert set(used) == {1}
    finally:
        torch.set_num_threads(before)
