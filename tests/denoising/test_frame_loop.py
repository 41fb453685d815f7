"""Denoising and uncertainty go through the frames of an image in the same way."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest

from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.frame_loop import chosen_frames, each_frame
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.uncertainty import uncertainty_events
from napari_usflow.denoising.uncertainty.measure import UncertaintyMeasure
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Event, FrameDone, Progress
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

Start = Callable[..., Generator[Event, None, None]]


def image(frames: int = 3, **metadata: Any) -> UltrasoundImage:
    data = np.random.default_rng(0).uniform(-40, -20, (frames, 12, 10))
    grid = PixelGrid((12, 10), (0.2, 0.3), (0.0, 0.0))
    return UltrasoundImage(data.astype(np.float32), "db", grid, metadata=metadata)


class Constant(UncertaintyMeasure):
    """Is in doubt by a tenth of the range everywhere."""

    def frame_events(self, frame, run):
        for done in range(3):
            run.token.raise_if_cancelled()
            yield Progress(done, 2)
        return np.full_like(frame, 0.1)


def denoising(of: UltrasoundImage, **options: Any) -> Generator[Event, None, None]:
    return denoise_events(of, create("tv"), Settings(sigma_db=6.0), **options)


def doubting(of: UltrasoundImage, **options: Any) -> Generator[Event, None, None]:
    measure = Constant(create("tv"))
    return uncertainty_events(of, Settings(sigma_db=6.0), measure, **options)


@pytest.fixture(params=[denoising, doubting], ids=["denoising", "uncertainty"])
def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Start:
    from napari_usflow.denoising import frame_loop

    noise = Noise(0.05, (0.5, 0.5), white=True)
    monkeypatch.setattr(frame_loop, "measured_noise", lambda frame, **_: noise)
    return request.param


def done(events: Generator[Event, None, None]) -> list[FrameDone]:
    return [event for event in events if isinstance(event, FrameDone)]


def test_all_frames_come_in_their_order_with_the_same_notes(start: Start) -> None:
    frames = done(start(image()))

    assert [frame.index for frame in frames] == [0, 1, 2]
    for frame in frames:
        assert frame.data.dtype == np.float32
        assert frame.info["sigma"] == pytest.approx(0.1)
        assert frame.info["sigma_db"] == pytest.approx(6.0)
        assert frame.info["sigma_estimated"] is False
        assert frame.info["seconds"] >= 0


def test_frames_come_in_the_order_that_is_asked_for(start: Start) -> None:
    assert [frame.index for frame in done(start(image(), order=[2, 0]))] == [2, 0]


def test_a_frame_that_is_not_there_is_refused_before_any_work(start: Start) -> None:
    with pytest.raises(ValueError, match="no frame 3 in a stack of 3"):
        next(start(image(), order=[0, 3]))


def test_what_is_no_tissue_is_refused_with_its_reason(start: Start) -> None:
    velocities = image(name="scan", not_for_denoising="it holds velocities")

    with pytest.raises(ValueError, match="scan is not denoised: it holds velocities"):
        next(start(velocities))


def test_a_cancelled_token_ends_it_and_keeps_the_finished_frames(start: Start) -> None:
    token, frames = CancelToken(), []

    with pytest.raises(Cancelled):
        for event in start(image(), token=token):
            if isinstance(event, FrameDone):
                frames.append(event.index)
                token.cancel()

    assert frames == [0]


def test_progress_names_the_frame_and_reaches_its_end(start: Start) -> None:
    labels: dict[str, list[float]] = {}
    for event in start(image(2)):
        if isinstance(event, Progress):
            labels.setdefault(event.label, []).append(event.done / event.total)

    assert [label[-3:] for label in labels] == ["1/2", "2/2"]
    for shares in labels.values():
        assert shares == sorted(shares)
        assert shares[-1] == 1


def test_a_frame_is_read_when_its_turn_comes(start: Start) -> None:
    """A broken frame costs those before it nothing."""
    data = image().data.copy()
    data[2, 3, 3] = np.inf
    stack = image().with_data(data)
    frames = []

    with pytest.raises(ValueError, match="frame 2 has 1 infinite"):
        for event in start(stack):
            if isinstance(event, FrameDone):
                frames.append(event.index)

    assert frames == [0, 1]


def test_the_loop_hands_over_noise_seed_range_and_pixel() -> None:
    runs = []

    def look(run, index, frame, label):
        yield Progress(0, 1, label)
        runs.append(run)
        return frame, {"note": index}

    noise = Noise(0.07, (1.0, 2.0), white=False)
    settings = Settings(sigma_db=6.0, seed=5, dynamic_range_db=50.0)
    frames = done(each_frame(image(), settings, create("tv"), look, noise=noise))

    assert [frame.info["note"] for frame in frames] == [0, 1, 2]
    (run,) = {id(run): run for run in runs}.values()
    assert (run.noise, run.seed, run.dynamic_range_db) == (noise, 5, 50.0)
    assert run.pixel_mm == (0.2, 0.3)
    assert run.sigma_given


def test_all_frames_are_chosen_by_default() -> None:
    assert list(chosen_frames(image(4), None)) == [0, 1, 2, 3]
