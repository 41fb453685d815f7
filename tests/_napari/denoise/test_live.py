import time

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari.denoise.live import LiveDenoiser
from napari_usflow._napari.denoise.run import Request
from napari_usflow.denoising.settings import Settings

FRAMES, SHAPE = 12, (40, 40)
PATIENCE_MS = 20_000


@pytest.fixture
def clip():
    rng = np.random.default_rng(0)
    return rng.normal(-30, 5, (FRAMES, *SHAPE)).astype(np.float32)


@pytest.fixture
def viewer(clip):
    viewer = ViewerModel()
    viewer.add_image(
        clip, name="clip", scale=(1, 0.4375, 0.4375), units=("s", "mm", "mm")
    )
    viewer.dims.set_current_step(0, 0)
    return viewer


@pytest.fixture
def live(qapp, viewer):
    said, problems, gone = [], [], []
    live = LiveDenoiser(
        viewer,
        viewer.layers["clip"],
        Request("tv"),
        on_text=said.append,
        on_problem=problems.append,
        on_gone=lambda: gone.append(True),
    )
    live.said, live.problems, live.gone = said, problems, gone
    yield live
    live.abandon()
    _let_it_end(live)


def _let_it_end(live):
    from qtpy.QtWidgets import QApplication

    until = time.monotonic() + PATIENCE_MS / 1000
    while live._worker is not None and time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.005)


def test_the_visible_frame_is_shown_denoised_and_the_rest_is_the_input(
    live, viewer, clip, qtbot
):
    import napari_usflow as usf

    live.start()
    qtbot.waitUntil(lambda: live.shown >= 1, timeout=PATIENCE_MS)
    live.stop()

    shown = np.asarray(live.layer.data[0])
    np.testing.assert_allclose(shown, usf.denoise(clip, method="tv")[0], atol=1e-3)
    np.testing.assert_array_equal(live.layer.data[FRAMES - 1], clip[-1])
    assert viewer.layers.index(live.layer) == 1
    assert "frames/s" in live.said[-1]


def test_noise_is_measured_once_and_again_for_new_data(
    live, viewer, clip, qtbot, monkeypatch
):
    from napari_usflow.denoising import frame_loop
    from napari_usflow.denoising import noise_estimation as noise

    measured = []

    def measure(frame, **_):
        measured.append(frame)
        return noise.Noise(0.08, (0.3, 0.3), white=False)

    monkeypatch.setattr(frame_loop, "measured_noise", measure)
    live.start()
    qtbot.waitUntil(lambda: 3 in live.frames, timeout=PATIENCE_MS)
    assert len(measured) == 1
    told = live.layer.metadata["usflow"]
    assert told["settings"]["sigma_db"] is None
    assert [told["frames"][i]["sigma"] for i in (0, 3)] == [0.08, 0.08]

    viewer.layers["clip"].data = clip + 3
    qtbot.waitUntil(lambda: 1 in live.frames, timeout=PATIENCE_MS)
    assert len(measured) == 2


def test_quick_network_stands_in_for_the_best_method(live, viewer, qtbot):
    live.renew(Request("best", uncertainty=True))
    live.start()
    qtbot.waitUntil(lambda: live.shown >= 1, timeout=PATIENCE_MS)

    assert live.layer.name == "clip [realtime, live]"
    assert live.said[-1].startswith("Live (realtime): ")
    frames = live.frames
    live.renew(Request("realtime"))
    assert live.frames is frames


def test_a_clip_in_pixels_is_denoised(qapp, clip, qtbot):
    viewer = ViewerModel()
    viewer.add_image(clip, name="bare")
    live = LiveDenoiser(
        viewer,
        viewer.layers["bare"],
        Request("tv"),
        on_text=str,
        on_problem=pytest.fail,
        on_gone=lambda: None,
    )

    live.start()
    qtbot.waitUntil(lambda: live.shown >= 1, timeout=PATIENCE_MS)
    live.abandon()
    _let_it_end(live)


def test_it_follows_the_slider(live, viewer, qtbot):
    live.start()

    viewer.dims.set_current_step(0, 11)

    qtbot.waitUntil(lambda: 11 in live.frames, timeout=PATIENCE_MS)
    assert not np.array_equal(live.layer.data[11], viewer.layers["clip"].data[11])


def test_frames_that_come_next_are_computed_ahead(live, viewer, qtbot):
    live.start()

    qtbot.waitUntil(lambda: 5 in live.frames, timeout=PATIENCE_MS)

    assert live.shown == 1


def test_a_frame_that_was_computed_ahead_is_shown_at_once_and_counted(
    live, viewer, qtbot
):
    live.start()
    qtbot.waitUntil(lambda: 5 in live.frames, timeout=PATIENCE_MS)

    viewer.dims.set_current_step(0, 5)

    assert (live.shown, live.dropped) == (2, 0)
    assert "2 shown" in live.said[-1]


@pytest.mark.parametrize(
    ("steps", "first_ahead", "behind"),
    [([1, 2], 3, 1), ([11, 10], 9, 11), ([10, 11, 0], 1, 11)],
)
def test_frames_are_computed_ahead_in_the_direction_of_play(
    live, viewer, steps, first_ahead, behind
):
    viewer.dims.set_current_step(0, steps[0])
    live.start()
    for step in steps[1:]:
        viewer.dims.set_current_step(0, step)
    live.frames.write(steps[-1], live.frames[steps[-1]])

    assert live._choose() == first_ahead
    for ahead in range(9):
        index = (steps[-1] + ahead * (first_ahead - steps[-1])) % FRAMES
        live.frames.write(index, live.frames[index])
    assert live._choose() == behind


def test_frames_that_are_passed_by_are_dropped_and_counted(live, viewer, qtbot):
    live.start()
    for step in (3, 6, 9):
        viewer.dims.set_current_step(0, step)

    qtbot.waitUntil(lambda: 9 in live.frames, timeout=PATIENCE_MS)

    # The first was in work; of the others only the last one was begun.
    assert live.dropped == 3


def test_new_data_are_denoised_anew(live, viewer, clip, qtbot):
    live.start()
    qtbot.waitUntil(lambda: live.shown >= 1, timeout=PATIENCE_MS)

    viewer.layers["clip"].data = clip[::-1] + 3

    qtbot.waitUntil(
        lambda: abs(np.mean(live.layer.data[0]) - clip[-1].mean() - 3) < 0.5,
        timeout=PATIENCE_MS,
    )


def test_a_frame_that_cannot_be_denoised_is_told_and_ends_it(live, viewer, qtbot):
    viewer.layers["clip"].data[4, 0, 0] = np.inf
    viewer.dims.set_current_step(0, 4)

    live.start()
    qtbot.waitUntil(lambda: bool(live.problems), timeout=PATIENCE_MS)

    assert "infinite" in live.problems[0]
    assert not live.on


@pytest.mark.parametrize("which", ["input", "result"])
def test_it_ends_when_a_layer_is_removed(live, viewer, qtbot, which):
    live.start()
    qtbot.waitUntil(lambda: live.layer is not None, timeout=PATIENCE_MS)

    viewer.layers.remove(viewer.layers["clip"] if which == "input" else live.layer)

    assert live.gone
    assert not live.on


def test_a_method_that_can_starts_from_the_frame_before_and_notes_it(
    qapp, viewer, qtbot, tiny_prior
):
    request = Request(
        "flow-map",
        {"iterations": 1, "stride": 32},
        # Of so much noise that it explains whatever the prior makes of the frames.
        settings=Settings(sigma_db=50.0),
        weights=str(tiny_prior),
        device="cpu",
    )
    live = LiveDenoiser(
        viewer,
        viewer.layers["clip"],
        request,
        on_text=str,
        on_problem=pytest.fail,
        on_gone=lambda: None,
    )

    live.start()
    qtbot.waitUntil(lambda: 1 in live.frames, timeout=3 * PATIENCE_MS)
    live.abandon()
    _let_it_end(live)

    told = live.layer.metadata["usflow"]["frames"]
    assert (told[0]["warm_from"], told[0]["warm_patches"]) == (None, 0)
    assert (told[1]["warm_from"], told[1]["warm_patches"]) == (0, told[1]["patches"])


@pytest.mark.parametrize("which", [0, 1])
def test_a_sector_is_denoised_on_its_lines_and_shown_as_a_picture(qapp, qtbot, which):
    from napari_usflow._napari.layers.sectors import sector_layers
    from napari_usflow.denoising.denoise import denoise
    from napari_usflow.ultrasound.data import PolarGrid, UltrasoundImage
    from napari_usflow.ultrasound.scan_convert import scan_convert

    lines_db = np.random.default_rng(3).normal(-30, 5, (3, 40, 32)).astype(np.float32)
    grid = PolarGrid((40, 32), (20.0, 0.5), (-0.3, 0.02))
    sector = UltrasoundImage(lines_db, "db", grid, metadata={"name": "heart"})
    viewer = ViewerModel()
    for data, kwargs, _ in sector_layers(sector):
        viewer.add_image(data, **kwargs)
    viewer.dims.set_current_step(0, 1)
    live = LiveDenoiser(
        viewer,
        viewer.layers[which],
        Request("tv"),
        on_text=str,
        on_problem=pytest.fail,
        on_gone=lambda: None,
    )

    live.start()
    qtbot.waitUntil(lambda: live.layer is not None, timeout=PATIENCE_MS)
    live.abandon()
    _let_it_end(live)

    expected = scan_convert(denoise(sector, method="tv")).data[1]
    np.testing.assert_allclose(live.layer.data[1], expected, atol=1e-3)
