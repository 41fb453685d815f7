"""From an image to the range and pixel of a denoiser, and back."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from napari_usflow.denoising import frame_loop
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Denoiser, Run
from napari_usflow.denoising.denoise import create, denoise
from napari_usflow.denoising.noise_estimation import FINEST_GRAIN, Noise
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.working_pixel import WorkingPixel
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note, Progress
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.speckle_statistics import BIAS_DB

KEEP = {"sigma_db": 5.57}
SPECKLE = Noise(0.1, (1.0, 1.0), white=False)


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
    needs_noise = False

    def __init__(
        self,
        shift: float = 0.0,
        cancel_in_part: int | None = None,
        steps: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.shift, self.cancel_in_part, self.steps = shift, cancel_in_part, steps
        self.frames: list[Frame] = []
        self.calls: list[dict[str, Any]] = []

    def working_pixel(self, noise: Noise) -> WorkingPixel:
        return WorkingPixel(self.steps)

    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
        self.frames.append(frame)
        names = ("sigma", "seed", "dynamic_range_db", "pixel_mm")
        self.calls.append({name: getattr(run, name) for name in names})
        yield Note("a sentence of the method")
        for done in range(5):
            yield Progress(done, 4)
        if self.cancel_in_part == len(self.frames):
            run.token.cancel()
        return frame + np.float32(self.shift)


class Measuring(Probe):
    """Works with the noise that is measured."""

    needs_noise = True


class Blind(Probe):
    """Halves the contrast, or takes away as much as it is told."""

    blind = True

    def run(self, frame: Frame, run: Run) -> Any:
        yield from super().run(frame, run)
        residual = frame - frame.mean()
        share = run.sigma / residual.std() if run.sigma else 0.5
        return np.asarray(frame - share * residual, np.float32)


@pytest.fixture
def measured(monkeypatch) -> list[Frame]:
    """The frames whose noise is measured: that of each is its first pixel's."""
    frames: list[Frame] = []

    def measure(frame: Frame, *, outside: Any = None, device: str = "auto") -> Noise:
        frames.append(frame)
        return Noise(float(frame[0, 0]), (1.0, 2.0), white=False)

    monkeypatch.setattr(frame_loop, "measured_noise", measure)
    return frames


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


# ---------------------------------------------------------------- strength


def test_strength_of_zero_gives_the_input_and_asks_no_method() -> None:
    probe, image = Probe(shift=0.3), image_of(speckle_db((9, 9)))

    (back,) = frames_of(
        denoise_events(image, probe, Settings(**KEEP, strength=0.0))
    ).values()

    np.testing.assert_array_equal(back, image.data[0])
    assert probe.frames == []


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_strength_multiplies_the_noise_level_that_is_told(strength: float) -> None:
    probe, image = Probe(), image_of(speckle_db((9, 9)))

    list(denoise_events(image, probe, Settings(**KEEP, strength=strength)))

    assert [call["sigma"] for call in probe.calls] == pytest.approx(
        [strength * 5.57 / 60]
    )


@pytest.mark.parametrize("sigma_db", [None, 3.0])
@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_blind_method_takes_away_as_many_times_what_it_finds(
    strength: float, sigma_db: float | None
) -> None:
    """Or as many times the level that is given or measured; it finds half by itself."""
    image, settings = image_of(speckle_db((32, 32))), Settings(sigma_db=sigma_db)

    (back,) = frames_of(
        denoise_events(
            image, Blind(), replace(settings, strength=strength), noise=SPECKLE
        )
    ).values()

    by_itself = sigma_db is None and strength <= 1
    level = image.data[0].std() / 2 if by_itself else 60 * SPECKLE.sigma
    removed = (image.data[0] - back).std()
    assert removed == pytest.approx(strength * level, rel=1e-3)


def test_blind_method_is_told_no_level_that_was_only_measured(measured) -> None:
    blind, image = Blind(), image_of(speckle_db((32, 32)))

    events = list(denoise_events(image, blind, Settings()))

    assert [call["sigma"] for call in blind.calls] == [0.0]
    assert not [e for e in events if isinstance(e, Note) and "estimated" in e.text]


def test_image_in_which_no_noise_is_measured_is_left_as_it_is() -> None:
    blind, image = Blind(), image_of(speckle_db((32, 32)))
    none = replace(SPECKLE, certainty=0.0)

    events = list(denoise_events(image, blind, Settings(), noise=none))

    assert [e.text for e in events if isinstance(e, Note)] == [
        "no noise measured: the image is left as it is"
    ]
    np.testing.assert_array_equal(frames_of(iter(events))[0], image.data[0])
    assert blind.frames == []


@pytest.mark.parametrize("sigma_db", [None, 3.0])
def test_where_noise_is_in_doubt_as_much_less_is_taken_away(sigma_db) -> None:
    """A level that is given is beyond doubt."""
    image, settings = image_of(speckle_db((32, 32))), Settings(sigma_db=sigma_db)
    doubt = replace(SPECKLE, certainty=0.25)

    (sure,), (back,) = (
        frames_of(denoise_events(image, Blind(), settings, noise=noise)).values()
        for noise in (SPECKLE, doubt)
    )

    share = 0.25 if sigma_db is None else 1.0
    np.testing.assert_allclose(
        image.data[0] - back, share * (image.data[0] - sure), atol=1e-4
    )


@pytest.mark.parametrize("sigma", [None, 5.57 / 60])
@pytest.mark.parametrize(
    ("method", "params"),
    [("realtime", {"noise": "speckle"}), ("realtime", {"noise": "white"}), ("nlm", {})],
)
def test_stronger_removes_more(method: str, params: dict, sigma: float | None) -> None:
    stripes = 4 * np.sin(np.arange(64))  # weak enough to be in doubt
    frame = (speckle_db((64, 64)) + stripes).astype(np.float32)
    asked = {"method": method, "sigma": sigma, "device": "cpu", **params}

    results = {s: denoise(frame, strength=s, **asked) for s in (0.0, 0.4, 1.0, 2.0)}

    np.testing.assert_array_equal(results[0.0], frame)
    np.testing.assert_array_equal(results[1.0], denoise(frame, **asked))
    left = [float(clean.std()) for clean in results.values()]
    assert left[0] > 1.05 * left[1] > 1.1 * left[2] and left[2] > left[3]


# ----------------------------------------------------------- working pixel


def test_coarse_pixel_is_denoised_at_every_shift() -> None:
    frame, probe = speckle_db((32, 30)), Probe(steps=(2, 1))

    *_, done = denoise_events(image_of(frame), probe, Settings(**KEEP))

    assert [part.shape for part in probe.frames] == [(16, 30)] * 2
    np.testing.assert_allclose(probe.frames[1], 1 + frame[1::2] / 60, atol=1e-5)
    assert len({call["seed"] for call in probe.calls}) == 2
    assert probe.calls[0]["pixel_mm"] == pytest.approx((2 * 0.4375, 0.4375))
    assert done.data.shape == (32, 30) and done.info["steps"] == (2, 1)


def test_frame_without_room_for_a_coarse_pixel_says_what_was_used() -> None:
    *_, done = denoise_events(
        image_of(speckle_db((7, 40))), Probe(steps=(3, 2)), Settings(**KEEP)
    )

    assert done.info["steps"] == (1, 2)


def test_level_of_speckle_is_kept_by_the_way_there_and_back() -> None:
    frame = speckle_db((96, 96))

    (back,) = frames_of(
        denoise_events(image_of(frame), Probe(steps=(2, 3)), Settings(**KEEP))
    ).values()

    assert back.mean() == pytest.approx(frame.mean(), abs=0.1)


def test_method_that_returns_detail_gives_a_point_back(monkeypatch) -> None:
    """Where it works at a coarser pixel; at its own it has seen the point."""
    frame = speckle_db((64, 64)) / 5
    frame[32, 32] += 40
    found = []
    for steps in ((2, 2), (1, 1)):
        probe = Probe(steps=steps)
        monkeypatch.setattr(probe, "returns_detail", True, raising=False)
        monkeypatch.setattr(probe, "run", lambda part, run: flattened(part))
        events = denoise_events(image_of(frame), probe, Settings(**KEEP), noise=SPECKLE)
        found.append(frames_of(events)[0])

    assert found[0][32, 32] == pytest.approx(frame[32, 32], abs=5)
    assert found[1][32, 32] == pytest.approx(np.median(frame), abs=0.1)


def flattened(frame: Frame) -> Generator[Event, None, Frame]:
    yield from ()
    return np.full_like(frame, np.median(frame))


@pytest.mark.parametrize("method", ["best", "nlm", "flow"])
def test_grey_picture_of_unknown_pixel_size_works_at_once(method: str) -> None:
    grey = np.clip(255 + 255 / 60 * speckle_db((40, 48)), 0, 255).astype(np.uint8)

    clean = denoise(grey, method=method, device="cpu")

    assert (clean.dtype, clean.shape) == (np.uint8, grey.shape)
    assert clean[4:-4, 4:-4].std() < 0.5 * grey[4:-4, 4:-4].std()


def test_image_that_does_not_know_its_pixel_size_works_at_once() -> None:
    image = image_of(speckle_db((16, 16)), name="scan", pixel_size_known=False)

    assert list(frames_of(denoise_events(image, Probe(), Settings(**KEEP)))) == [0]


def test_constant_frame_comes_back_untouched() -> None:
    probe, image = Probe(shift=0.3), image_of(np.full((9, 9), -200.0))

    (back,) = frames_of(denoise_events(image, probe, Settings(**KEEP))).values()

    np.testing.assert_array_equal(back, image.data[0])
    assert probe.frames == []


def test_pixels_outside_come_back_as_nan_and_nulls_as_the_floor() -> None:
    data = speckle_db((1, 16, 16))
    data[0, 2, :4], data[0, 9, 9] = np.nan, -np.inf
    probe = Probe()

    (back,) = frames_of(
        denoise_events(image_of(data), probe, Settings(**KEEP))
    ).values()

    np.testing.assert_array_equal(np.isnan(back), np.isnan(data[0]))
    seen = probe.frames[0]
    assert np.isfinite(seen).all() and seen[9, 9] == seen.min()


def test_infinite_pixels_are_counted_and_refused() -> None:
    data = speckle_db((3, 16, 16))
    data[1, 2, :4] = np.inf
    image = image_of(data, name="carotid")

    events = denoise_events(image, Probe(), Settings(**KEEP), order=[0, 1, 2])

    with pytest.raises(
        ValueError, match=r"carotid: frame 1 has 4 infinite pixels of 256"
    ):
        list(events)


def test_negative_envelope_is_refused() -> None:
    with pytest.raises(ValueError, match="frame 0 has negative values down to -3"):
        list(
            denoise_events(image_of([[1, -3.0]], "envelope"), Probe(), Settings(**KEEP))
        )


def test_frames_come_in_the_order_asked_for_and_do_not_depend_on_it() -> None:
    image = image_of(speckle_db((4, 24, 24)))
    settings = Settings(**KEEP)
    forwards = frames_of(denoise_events(image, Probe(0.1), settings))
    some = frames_of(denoise_events(image, Probe(0.1), settings, order=[3, 0]))

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


def test_noise_is_measured_once_and_is_that_of_the_middle_frame(measured) -> None:
    data = speckle_db((5, 16, 16)) - 10
    data[:, 0, 0] = [-30, -36, -55.2, -48, -54]  # 0.08 in the middle
    probe = Measuring()

    events = list(denoise_events(image_of(data), probe, Settings(), order=[4, 0, 2]))

    assert len(measured) == 1
    assert [call["sigma"] for call in probe.calls] == pytest.approx(
        [0.08] * 3, rel=1e-4
    )
    assert events[0] == Note("noise level estimated: 4.8 dB")
    done = [event.info for event in events if isinstance(event, FrameDone)]
    assert [info["sigma_db"] for info in done] == pytest.approx([4.8] * 3, rel=1e-4)
    assert all(info["sigma_estimated"] for info in done)
    assert [info["grain"] for info in done] == [(1.0, 2.0)] * 3


def test_given_level_replaces_the_measured_one_and_leaves_the_grain(measured) -> None:
    probe = Measuring()

    *events, done = denoise_events(
        image_of(speckle_db((8, 8))), probe, Settings(**KEEP)
    )

    assert len(measured) == 1
    assert probe.calls[0]["sigma"] == pytest.approx(5.57 / 60)
    assert not [e for e in events if isinstance(e, Note) and "estimated" in e.text]
    assert (done.info["grain"], done.info["sigma_estimated"]) == ((1.0, 2.0), False)


def test_method_that_needs_no_noise_has_none_measured(measured) -> None:
    *_, done = denoise_events(image_of(speckle_db((8, 8))), Probe(), Settings(**KEEP))

    assert measured == []
    assert done.info["grain"] == FINEST_GRAIN


def test_noise_that_is_passed_in_is_used(measured) -> None:
    probe = Measuring()

    list(denoise_events(image_of(speckle_db((8, 8))), probe, Settings(), noise=SPECKLE))

    assert measured == []
    assert probe.calls[0]["sigma"] == SPECKLE.sigma


def test_shipped_network_measures_white_noise_for_the_others() -> None:
    noisy = np.random.default_rng(0).normal(0.5, 0.2, (96, 96))
    probe = Measuring()

    *_, done = denoise_events(
        image_of(noisy, "display"), probe, Settings(value_range=(0, 1))
    )

    assert probe.calls[0]["sigma"] == pytest.approx(0.2, rel=0.08)
    assert done.info["white_noise"]


@pytest.mark.parametrize("method", ["best", "flow", "nlm"])
def test_frame_of_a_stack_does_not_depend_on_the_order(method: str) -> None:
    data = speckle_db((3, 32, 32))
    image, settings = image_of(data), Settings()
    denoiser = create(method, device="cpu")

    forwards = frames_of(denoise_events(image, denoiser, settings))
    backwards = frames_of(denoise_events(image, denoiser, settings, order=[2, 0]))

    for index, frame in backwards.items():
        np.testing.assert_array_equal(frame, forwards[index])


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


def test_progress_rises_to_the_end_of_each_frame() -> None:
    image, probe = image_of(speckle_db((2, 30, 30))), Probe(steps=(2, 2))
    events = list(denoise_events(image, probe, Settings(**KEEP)))

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
    image, probe = image_of(speckle_db((2, 30, 30))), Probe(steps=(2, 2))

    events = list(denoise_events(image, probe, Settings(**KEEP)))

    assert events.count(Note("a sentence of the method")) == 1


def test_cancel_stops_before_the_next_part_and_keeps_finished_frames() -> None:
    image = image_of(speckle_db((3, 30, 30)))
    probe, token, done = Probe(cancel_in_part=6, steps=(2, 2)), CancelToken(), []

    with pytest.raises(Cancelled):
        for event in denoise_events(image, probe, Settings(**KEEP), token=token):
            if isinstance(event, FrameDone):
                done.append(event.index)

    assert done == [0] and len(probe.frames) == 6


def test_a_sector_is_denoised_on_its_lines_at_the_pixel_of_its_middle() -> None:
    # 0.15 mm by 0.06 rad at a mean radius of 25.925 mm.
    grid = PolarGrid((80, 40), (20.0, 0.15), (-0.2, 0.06))
    image = replace(image_of(speckle_db((80, 40))), grid=grid)
    probe = Probe()

    *_, done = denoise_events(image, probe, Settings(**KEEP))

    assert [frame.shape for frame in probe.frames] == [(80, 40)]
    assert probe.calls[0]["pixel_mm"] == pytest.approx((0.15, 1.5555), rel=1e-3)
    assert done.data.shape == (80, 40)


@pytest.mark.parametrize(
    "bad",
    [
        {"mix_back": 1.5},
        {"strength": 2.1},
        {"strength": -0.1},
        {"dynamic_range_db": 0},
        {"seed": -1},
    ],
)
def test_settings_out_of_limits_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"Settings.{next(iter(bad))} is"):
        Settings(**bad)


@pytest.mark.parametrize(
    ("white", "range_db", "level_db"),
    [(False, 60, 5.57), (False, 40, 5.57), (True, 60, 12)],
)
def test_measured_speckle_is_never_more_than_speckle_has(
    monkeypatch, white, range_db, level_db
) -> None:
    measured = Noise(12 / range_db, (1.0, 2.0), white=white)
    monkeypatch.setattr(frame_loop, "measured_noise", lambda *_, **__: measured)
    settings = Settings(dynamic_range_db=range_db)

    noise = frame_loop.estimate_noise(
        image_of(np.full((8, 8), 100.0), "display"), settings
    )

    assert noise.sigma * range_db == pytest.approx(level_db, abs=0.01)
