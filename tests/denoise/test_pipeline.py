"""From an image to the range and pixel of a denoiser, and back."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from napari_usflow.denoise import Settings, denoise_events
from napari_usflow.denoise.contract import PRIOR_PIXEL, Denoiser, Frame
from napari_usflow.denoise.pipeline import PRIOR_PIXEL_MM, sampling_of
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note, Progress
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.speckle_statistics import BIAS_DB

KEEP = {"sampling": "none", "sigma_db": 5.57}


def test_bias_is_eulers_constant_in_decibels() -> None:
    assert pytest.approx(2.5068, abs=1e-4) == BIAS_DB


@dataclass(frozen=True)
class NoParams:
    pass


class Probe(Denoiser):
    """Keeps what it is given; its result is that plus ``shift``."""

    name = "probe"
    title = "Probe"
    Params = NoParams

    def __init__(self, shift: float = 0.0, cancel_in_part: int | None = None) -> None:
        super().__init__()
        self.shift, self.cancel_in_part = shift, cancel_in_part
        self.frames: list[Frame] = []
        self.calls: list[dict[str, Any]] = []

    def run(
        self,
        frame: Frame,
        *,
        sigma: float,
        seed: int,
        token: CancelToken,
        dynamic_range_db: float = 60.0,
        pixel_mm: tuple[float, float] = PRIOR_PIXEL,
    ) -> Generator[Event, None, Frame]:
        self.frames.append(frame)
        self.calls.append(
            {
                "sigma": sigma,
                "seed": seed,
                "dynamic_range_db": dynamic_range_db,
                "pixel_mm": pixel_mm,
            }
        )
        yield Note("a sentence of the method")
        for done in range(5):
            yield Progress(done, 4)
        if self.cancel_in_part == len(self.frames):
            token.cancel()
        return frame + np.float32(self.shift)


def image_of(
    data: np.ndarray, values: str = "db", spacing_mm: float = 0.4375, **metadata: Any
) -> UltrasoundImage:
    data = np.asarray(data, dtype=np.float32)
    data = data[None] if data.ndim == 2 else data
    grid = PixelGrid(data.shape[1:], (spacing_mm, spacing_mm), (0.0, 0.0))
    return UltrasoundImage(data, values, grid, metadata=metadata)


def speckle_db(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 10 * np.log10(rng.exponential(size=shape)) - 30


def frames_of(events: Generator[Event, None, None]) -> dict[int, np.ndarray]:
    return {e.index: e.data for e in events if isinstance(e, FrameDone)}


@pytest.mark.parametrize(
    ("values", "settings", "given", "expected"),
    [
        ("db", {}, [-60, -30, 0, 6], [0, 0.5, 1, 1.1]),
        ("db", {"dynamic_range_db": 40}, [-60, -30, 0, 4], [-0.5, 0.25, 1, 1.1]),
        ("db", {"value_range": (-50, 0)}, [-50, -25, 0, 5], [0, 0.5, 1, 1.1]),
        ("display", {}, [0, 51, 204, 255], [0, 0.2, 0.8, 1]),
        ("display", {"value_range": (0, 1)}, [-0.2, 0, 0.5, 1.3], [-0.2, 0, 0.5, 1.3]),
        ("envelope", {}, [1.0, 10.0, 100.0, 1000.0], [0, 1 / 3, 2 / 3, 1]),
    ],
)
def test_denoiser_sees_the_unit_range(values, settings, given, expected) -> None:
    probe, image = Probe(), image_of([given], values)

    (back,) = frames_of(
        denoise_events(image, probe, Settings(**KEEP, **settings))
    ).values()

    np.testing.assert_allclose(probe.frames[0], [expected], atol=1e-5)
    np.testing.assert_allclose(back, [given], rtol=1e-4, atol=1e-4)
    assert back.dtype == np.float32


def test_range_noted_by_a_reader_is_used() -> None:
    probe = Probe()
    image = image_of([[0.0, 32767.5, 65535.0]], "display", value_range=(0.0, 65535.0))

    frames_of(denoise_events(image, probe, Settings(**KEEP)))

    np.testing.assert_allclose(probe.frames[0], [[0, 0.5, 1]], atol=1e-6)


def test_nulls_are_kept_but_the_logarithm_of_zero_is_bounded() -> None:
    probe = Probe()
    image = image_of([[-99.0, -120.0, -300.0, 0.0]])

    frames_of(denoise_events(image, probe, Settings(**KEEP)))

    np.testing.assert_allclose(probe.frames[0], [[-0.65, -1, -1, 1]], atol=1e-6)


def test_noise_level_is_a_fraction_of_the_range() -> None:
    probe = Probe()

    frames_of(denoise_events(image_of([[0, -9.0]]), probe, Settings(**KEEP)))

    (call,) = probe.calls
    assert call["sigma"] == pytest.approx(5.57 / 60)


def test_mix_back_and_bias_add_up() -> None:
    image = image_of([[-50.0, -10.0, -30.0]])
    settings = Settings(**KEEP, mix_back=0.2, bias_correction=True)

    (back,) = frames_of(denoise_events(image, Probe(shift=-0.1), settings)).values()

    # Denoised 6 dB down, a fifth of that returned, then 10 log10(e) gamma = 2.507 dB.
    np.testing.assert_allclose(back, image.data[0] - 6 * 0.8 + 2.507, atol=2e-3)


def test_bias_of_an_envelope_is_a_gain() -> None:
    image = image_of([[1.0, 20.0, 300.0]], "envelope")

    (back,) = frames_of(
        denoise_events(image, Probe(), Settings(**KEEP, bias_correction=True))
    ).values()

    np.testing.assert_allclose(back / image.data[0], 10 ** (2.507 / 20), rtol=1e-3)


@pytest.mark.parametrize("values", ["db", "envelope", "display"])
def test_point_is_kept_where_decibels_are_known(values: str) -> None:
    frame_db = np.full((9, 9), -40.0)
    frame_db[4, 4] = -10.0
    given = {"db": frame_db, "envelope": 10 ** (frame_db / 20)}
    image = image_of(given.get(values, 255 + 255 / 60 * frame_db), values)
    # A denoiser that removes the point, as it removes everything above -40 dB.
    flat = Probe()
    flat.run = lambda frame, **_: flattened(frame)  # type: ignore[method-assign]

    (kept,) = frames_of(denoise_events(image, flat, Settings(**KEEP))).values()
    (lost,) = frames_of(
        denoise_events(image, flat, Settings(**KEEP, keep_points=False))
    ).values()

    expected = image.data[0] if values != "display" else lost
    np.testing.assert_allclose(kept, expected, rtol=1e-4)
    assert lost[4, 4] == pytest.approx(image.data[0][0, 0], rel=1e-4)


def flattened(frame: Frame) -> Generator[Event, None, Frame]:
    yield from ()
    return np.full_like(frame, np.median(frame))


def test_fine_pixels_are_denoised_as_interleaved_images() -> None:
    frame = speckle_db((32, 30))
    probe = Probe()

    events = list(
        denoise_events(image_of(frame, spacing_mm=0.1411), probe, Settings(sigma_db=5))
    )

    assert [part.shape for part in probe.frames] == [(16, 15)] * 4
    np.testing.assert_allclose(probe.frames[3], 1 + frame[1::2, 1::2] / 60, atol=1e-5)
    assert len({call["seed"] for call in probe.calls}) == 4
    done = events[-1]
    assert isinstance(done, FrameDone) and done.data.shape == (32, 30)
    assert done.info["sampling"] == "polyphase" and done.info["steps"] == (2, 2)


def test_level_of_speckle_is_kept_by_the_way_there_and_back() -> None:
    frame = speckle_db((96, 96))

    for sampling in ("polyphase", "resample"):
        (back,) = frames_of(
            denoise_events(
                image_of(frame, spacing_mm=0.1411),
                Probe(),
                Settings(sigma_db=5, sampling=sampling, keep_points=False),
            )
        ).values()
        assert back.mean() == pytest.approx(frame.mean(), abs=0.3)


def test_constant_frame_comes_back_untouched() -> None:
    probe, image = Probe(shift=0.3), image_of(np.full((9, 9), -200.0))

    (back,) = frames_of(denoise_events(image, probe, Settings())).values()

    np.testing.assert_array_equal(back, image.data[0])
    assert probe.frames == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_number_are_counted_and_refused(bad: float) -> None:
    data = speckle_db((3, 16, 16))
    data[1, 2, :4] = bad
    image = image_of(data, name="carotid")

    events = denoise_events(image, Probe(), Settings(**KEEP), order=[0, 1, 2])

    with pytest.raises(
        ValueError, match=r"carotid: frame 1 has 4 NaN or infinite pixels of 256"
    ):
        list(events)


def test_negative_envelope_is_refused() -> None:
    with pytest.raises(ValueError, match="frame 0 has negative values down to -3"):
        list(denoise_events(image_of([[1, -3.0]], "envelope"), Probe(), Settings()))


def test_frames_come_in_the_order_asked_for_and_do_not_depend_on_it() -> None:
    image = image_of(speckle_db((4, 24, 24)))
    forwards = frames_of(denoise_events(image, Probe(0.1), Settings()))
    some = frames_of(denoise_events(image, Probe(0.1), Settings(), order=[3, 0]))

    assert list(forwards) == [0, 1, 2, 3] and list(some) == [3, 0]
    for index, frame in some.items():
        np.testing.assert_array_equal(frame, forwards[index])


def test_frame_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="no frame 7 in a stack of 2"):
        list(
            denoise_events(
                image_of(speckle_db((2, 8, 8))), Probe(), Settings(), order=[7]
            )
        )


def test_noise_level_is_that_of_the_middle_frame() -> None:
    data = np.stack([0.1 * speckle_db((64, 64)), speckle_db((64, 64), 1)] * 2)[:3]
    probe = Probe()

    events = list(denoise_events(image_of(data), probe, Settings(), order=[2, 0]))

    assert probe.calls[0]["sigma"] * 60 == pytest.approx(5.570, rel=0.08)
    assert probe.calls[0]["sigma"] == probe.calls[1]["sigma"]
    first = events[0]
    assert isinstance(first, Note) and first.text.startswith(
        "noise level estimated: 5."
    )
    assert events[-1].info["sigma_db"] == probe.calls[0]["sigma"] * 60


@pytest.mark.parametrize(("scale", "expected"), [(0.01, 2.0), (4.0, 7.0)])
def test_estimate_on_decibels_is_what_speckle_can_be(scale, expected) -> None:
    image = image_of(scale * (speckle_db((64, 64)) + 30) - 30)
    probe = Probe()

    list(denoise_events(image, probe, Settings()))

    assert probe.calls[0]["sigma"] * 60 == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value_range", "excess"), [((0.0, 1.0), 1.0), ((0.0, 2.0), 1.4)]
)
def test_only_speckle_counts_for_more_than_its_spread(value_range, excess) -> None:
    frame = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    image = replace(image_of(frame, spacing_mm=0.4375 / 3), values="display")
    probe = Probe()
    settings = Settings(sigma_db=6.0, value_range=value_range)

    events = list(denoise_events(image, probe, settings))

    assert probe.calls[0]["sigma"] * 60 == pytest.approx(6.0 * excess)
    assert events[-1].info["sigma_db"] == pytest.approx(6.0)
    assert events[-1].info["speckle_excess"] == pytest.approx(excess)


@pytest.mark.parametrize(
    ("values", "value_range", "expected_db"),
    [("db", (-50.0, 0.0), 50.0), ("db", None, 40.0), ("display", (0.0, 255.0), 40.0)],
)
def test_method_is_told_how_many_decibels_its_range_spans(
    values, value_range, expected_db
) -> None:
    probe = Probe()
    settings = Settings(sigma_db=5.57, dynamic_range_db=40.0, value_range=value_range)

    list(denoise_events(image_of(speckle_db((8, 8)), values), probe, settings))

    assert probe.calls[0]["dynamic_range_db"] == expected_db


@pytest.mark.parametrize(("mode", "pixel"), [("polyphase", 0.3), ("resample", 0.4375)])
def test_method_is_told_the_pixel_it_works_at(mode: str, pixel: float) -> None:
    probe = Probe()
    image = image_of(speckle_db((60, 60)), spacing_mm=0.1)

    list(denoise_events(image, probe, Settings(sampling=mode)))

    assert probe.calls[0]["pixel_mm"] == pytest.approx((pixel, pixel))


def test_white_noise_on_grey_in_the_unit_range_is_measured() -> None:
    noisy = np.random.default_rng(0).normal(0.5, 0.2, (96, 96))
    probe = Probe()

    list(
        denoise_events(image_of(noisy, "display"), probe, Settings(value_range=(0, 1)))
    )

    assert probe.calls[0]["sigma"] == pytest.approx(0.2, rel=0.05)


def test_progress_rises_to_the_end_of_each_frame() -> None:
    image = image_of(speckle_db((2, 30, 30)), spacing_mm=0.2)
    events = list(denoise_events(image, Probe(), Settings()))

    for number, label in enumerate(["frame 1/2", "frame 2/2"]):
        ends = [i for i, e in enumerate(events) if isinstance(e, FrameDone)]
        begin = 0 if number == 0 else ends[0]
        shares = [
            e.done / e.total
            for e in events[begin : ends[number]]
            if isinstance(e, Progress) and e.label == label
        ]
        assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1


def test_sentence_of_the_method_is_passed_on_once() -> None:
    image = image_of(speckle_db((2, 30, 30)), spacing_mm=0.2)

    events = list(denoise_events(image, Probe(), Settings(sigma_db=5)))

    assert events.count(Note("a sentence of the method")) == 1


def test_cancel_stops_before_the_next_part_and_keeps_finished_frames() -> None:
    image = image_of(speckle_db((3, 30, 30)), spacing_mm=0.2)
    probe, token, done = Probe(cancel_in_part=6), CancelToken(), []

    with pytest.raises(Cancelled):
        for event in denoise_events(image, probe, Settings(sigma_db=5), token=token):
            if isinstance(event, FrameDone):
                done.append(event.index)

    assert done == [0] and len(probe.frames) == 6


@pytest.mark.parametrize(
    ("radius_mm", "angle_rad", "pixel_mm", "steps"),
    [
        # 0.15 mm by 0.006 rad at a mean radius of 25.925 mm: both are halved.
        ((20.0, 0.15), (-0.2, 0.006), (0.15, 0.15555), (2, 2)),
        # Lines 1.6 mm apart at the middle: each is a pixel of the prior.
        ((20.0, 0.15), (-0.2, 0.06), (0.15, PRIOR_PIXEL_MM), (2, 1)),
    ],
)
def test_the_pixel_of_a_sector_is_that_of_its_middle_and_lines_are_never_interpolated(
    radius_mm, angle_rad, pixel_mm, steps
) -> None:
    grid = PolarGrid((80, 40), radius_mm, angle_rad)
    image = replace(image_of(speckle_db((80, 40))), grid=grid)

    sampling = sampling_of(image, Settings())

    np.testing.assert_allclose(sampling.spacing_mm, pixel_mm, rtol=1e-3)
    assert sampling.steps == steps and not sampling.interpolates


def test_a_sector_is_denoised_on_its_lines() -> None:
    grid = PolarGrid((80, 40), (20.0, 0.15), (-0.2, 0.06))
    image = replace(image_of(speckle_db((80, 40))), grid=grid)
    probe = Probe()

    (done,) = (
        event
        for event in denoise_events(image, probe, Settings(sigma_db=5))
        if isinstance(event, FrameDone)
    )

    # Every second sample of each line.
    assert [frame.shape for frame in probe.frames] == [(40, 40)] * 2
    assert done.data.shape == (80, 40)


def test_unknown_pixel_size_is_asked_for() -> None:
    image = image_of(speckle_db((16, 16)), name="scan", pixel_size_known=False)

    with pytest.raises(ValueError, match="scan does not say how large its pixels are"):
        list(denoise_events(image, Probe(), Settings()))


@pytest.mark.parametrize(
    "bad",
    [{"mix_back": 1.5}, {"sampling": "nearest"}, {"dynamic_range_db": 0}, {"seed": -1}],
)
def test_settings_out_of_limits_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"Settings.{next(iter(bad))} is"):
        Settings(**bad)
