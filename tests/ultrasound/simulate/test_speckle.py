"""Simulated speckle has the statistics that theory gives it, and its options count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.errors import Cancelled
from napari_usflow.evaluate.metrics import gcnr
from napari_usflow.jobs import CancelToken, FrameDone, Progress
from napari_usflow.ultrasound.simulate import speckle_grid
from napari_usflow.ultrasound.simulate.speckle import (
    SpeckleParams,
    simulate_speckle,
    simulate_stack_events,
)
from napari_usflow.ultrasound.speckle_statistics import (
    correlation,
    gaussian_psf_correlation,
)

UNIFORM = np.ones((128, 128), np.float32)
SEEDS = range(6)
PRIOR_PIXEL_MM = 0.4375


def absolute_db(picture: np.ndarray, **params: Any) -> np.ndarray:
    """Decibels against the mean intensity of an extended region of amplitude 1."""
    (done,) = [
        event
        for event in simulate_stack_events(picture[None], SpeckleParams(**params))
        if isinstance(event, FrameDone)
    ]
    return done.data.astype(np.float64) + done.info["maximum_db"]


@pytest.fixture(scope="module")
def fully_developed() -> np.ndarray:
    """Uniform tissue, six times, at the pixel of the prior."""
    return np.stack([absolute_db(UNIFORM, seed=seed) for seed in SEEDS])


def test_envelope_is_rayleigh_distributed(fully_developed: np.ndarray) -> None:
    envelope = 10 ** (fully_developed / 20)

    assert envelope.mean() / envelope.std() == pytest.approx(1.913, rel=0.02)


def test_decibels_have_the_spread_and_the_mean_of_the_gumbel_distribution(
    fully_developed: np.ndarray,
) -> None:
    mean_intensity_db = 10 * np.log10(np.mean(10 ** (fully_developed / 10)))

    assert fully_developed.std() == pytest.approx(5.570, rel=0.02)
    assert fully_developed.mean() - mean_intensity_db == pytest.approx(-2.507, abs=0.1)


def test_level_of_unit_amplitude_is_known(fully_developed: np.ndarray) -> None:
    assert 10 * np.log10(np.mean(10 ** (fully_developed / 10))) == pytest.approx(
        0, abs=0.1
    )


def test_samples_at_the_pixel_of_the_prior_are_nearly_white(
    fully_developed: np.ndarray,
) -> None:
    rho = np.mean([correlation(frame, 3) for frame in fully_developed], axis=0)

    # Aliasing of the carrier raises the axial one to 0.35 and leaves the rest.
    assert rho[4, 3] == pytest.approx(0.15, abs=0.04)
    assert rho[3, 4] == pytest.approx(0.24, abs=0.02)
    expected = gaussian_psf_correlation(
        3, pixel_size_mm=PRIOR_PIXEL_MM, sigma_mm=(0.25, 0.3)
    )
    np.testing.assert_allclose(rho, expected, atol=0.025)


@pytest.mark.parametrize(
    "params",
    [
        {"pixel_size_mm": 0.1},
        {"pixel_size_mm": (0.3, 0.7)},
        {"f0_hz": 3e6, "sigma_axial_mm": 0.4, "sigma_lateral_mm": 0.6},
        {"pixel_size_mm": 0.2, "f0_hz": 2e7, "sound_speed_m_s": 1480.0},
    ],
    ids=["fine", "oblong", "abdominal", "high frequency"],
)
def test_carrier_is_resolved_whatever_the_pixel(params: dict[str, Any]) -> None:
    frames = [absolute_db(UNIFORM, seed=seed, **params) for seed in (0, 1, 2)]

    rho = np.mean([correlation(frame, 2) for frame in frames], axis=0)

    sigma_mm = (params.get("sigma_axial_mm", 0.25), params.get("sigma_lateral_mm", 0.3))
    expected = gaussian_psf_correlation(
        2, pixel_size_mm=params.get("pixel_size_mm", PRIOR_PIXEL_MM), sigma_mm=sigma_mm
    )
    np.testing.assert_allclose(rho, expected, atol=0.05)


@pytest.mark.parametrize("scatterers", ["rayleigh", "normal"])
def test_step_of_ten_decibels_has_the_gcnr_of_its_closed_form(scatterers: str) -> None:
    step_db = 10.0
    # Two wide bands beside each other; their border is left out.
    display = np.ones((128, 256), np.float32)
    display[:, 128:] -= step_db / 60
    regions = [
        (y[:, :122], y[:, 134:])
        for y in (
            simulate_speckle(display, seed=seed, scatterers=scatterers)
            for seed in SEEDS
        )
    ]
    bright, dark = (np.concatenate(side) for side in zip(*regions, strict=True))

    # For two exponential intensities of ratio r.
    r = 10 ** (step_db / 10)
    expected = r ** (-1 / (r - 1)) - r ** (-r / (r - 1))
    assert expected == pytest.approx(0.697, abs=5e-4)
    assert gcnr(bright, dark) == pytest.approx(expected, abs=0.02)
    assert bright.mean() - dark.mean() == pytest.approx(step_db, abs=0.3)


def test_display_map_and_amplitude_of_the_same_tissue_agree() -> None:
    rng = np.random.default_rng(0)
    display = np.kron(rng.uniform(0.6, 1.0, (4, 4)), np.ones((12, 12)))
    amplitude = 10 ** (50 * (display - 1) / 20)

    as_display = absolute_db(display, dynamic_range_db=50.0)
    as_amplitude = absolute_db(amplitude, reading="amplitude")

    # Only between the pixels of an edge do they differ: what is interpolated.
    inside = np.zeros(12, bool)
    inside[5:7] = True
    inside = np.tile(inside, 4)
    difference = (as_display - as_amplitude)[np.ix_(inside, inside)]
    assert np.median(np.abs(difference)) < 0.01


def test_grey_is_proportional_to_decibels() -> None:
    for range_db in (40.0, 80.0):
        dark = absolute_db(np.full((96, 96), 0.5), dynamic_range_db=range_db)
        intensity = np.mean(10 ** (dark / 10))
        assert 10 * np.log10(intensity) == pytest.approx(-range_db / 2, abs=0.2)


@pytest.mark.parametrize(
    ("downscale", "std_db", "axial", "lateral"),
    # Independently simulated with a Hilbert transform and block means, 16 x 4 samples.
    [("db-mean", 4.2, 0.32, 0.41), ("envelope-mean", 3.8, 0.35, 0.44)],
)
def test_means_over_the_pixel_have_less_noise_and_more_correlation(
    downscale: str, std_db: float, axial: float, lateral: float
) -> None:
    frames = [absolute_db(UNIFORM, downscale=downscale, seed=seed) for seed in SEEDS]

    rho = np.mean([correlation(frame, 3) for frame in frames], axis=0)

    assert np.std(frames) == pytest.approx(std_db, rel=0.03)
    assert rho[4, 3] == pytest.approx(axial, abs=0.04)
    assert rho[3, 4] == pytest.approx(lateral, abs=0.04)


def test_means_are_those_of_the_same_fine_image() -> None:
    options = ("point", "db-mean", "envelope-mean")

    point, db_mean, envelope_mean = (
        absolute_db(UNIFORM[:64, :64], downscale=option, seed=1) for option in options
    )

    # The geometric mean is never above the arithmetic one.
    assert (db_mean <= envelope_mean + 1e-4).all()
    assert np.corrcoef(point.ravel(), db_mean.ravel())[0, 1] > 0.7
    # The mean of the decibels is what it is, whatever it is taken over.
    assert db_mean.mean() == pytest.approx(point.mean(), abs=0.3)


def test_means_without_oversampling_are_the_points() -> None:
    tiny = {"pixel_size_mm": 0.02, "seed": 2}

    point = simulate_speckle(UNIFORM[:32, :32], **tiny)
    mean = simulate_speckle(UNIFORM[:32, :32], downscale="db-mean", **tiny)

    np.testing.assert_allclose(mean, point, atol=1e-3)


def test_zero_is_the_maximum_and_nothing_is_clipped() -> None:
    result = simulate_speckle(np.full((64, 64), 1.0), dynamic_range_db=10.0, seed=0)

    assert result.dtype == np.float32
    assert result.shape == (64, 64)
    assert result.max() == 0
    assert result.min() < -20


def test_seed_decides() -> None:
    first, again, other = (
        simulate_speckle(UNIFORM[:24, :24], seed=seed) for seed in (5, 5, 6)
    )
    unseeded = [simulate_speckle(UNIFORM[:24, :24]) for _ in range(2)]

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 3
    assert np.abs(unseeded[0] - unseeded[1]).max() > 3


@pytest.mark.parametrize("downscale", ["point", "envelope-mean"])
def test_strips_leave_no_trace(downscale: str, monkeypatch) -> None:
    whole = simulate_speckle(UNIFORM[:40], seed=3, downscale=downscale)
    monkeypatch.setattr(speckle_grid, "_STRIP_SAMPLES", 1)

    events = list(
        simulate_stack_events(
            UNIFORM[None, :40], SpeckleParams(seed=3, downscale=downscale)
        )
    )

    assert sum(isinstance(event, Progress) for event in events) > 5
    np.testing.assert_allclose(events[-1].data, whole, atol=0.01)


def test_strips_leave_no_trace_where_samples_between_pixels_are_not_used(
    monkeypatch,
) -> None:
    # A pixel that is wider than the point-spread function.
    params = {"pixel_size_mm": (0.4, 8.0), "seed": 4}
    whole = simulate_speckle(UNIFORM[:16, :9], **params)
    monkeypatch.setattr(speckle_grid, "_STRIP_SAMPLES", 1)

    np.testing.assert_allclose(
        simulate_speckle(UNIFORM[:16, :9], **params), whole, atol=0.01
    )


def test_speckle_does_not_fade_towards_the_edges() -> None:
    frames = np.stack([absolute_db(UNIFORM[:64, :64], seed=seed) for seed in range(24)])
    intensity = 10 ** (frames / 10)

    # 24 x 64 samples of exponential intensity, half of them independent.
    for edge in (
        intensity[:, 0],
        intensity[:, -1],
        intensity[..., 0],
        intensity[..., -1],
    ):
        assert edge.mean() == pytest.approx(1, abs=0.15)


def test_only_scatterers_of_zero_mean_do_not_reflect_at_an_edge() -> None:
    # An edge in depth that is sharper than the carrier's period.
    step = np.ones((60, 400), np.float32)
    step[:30] = 0
    params = {"reading": "amplitude", "pixel_size_mm": (0.05, 0.5)}

    at_the_edge = {}
    for scatterers in ("rayleigh", "normal"):
        frame = absolute_db(step, scatterers=scatterers, **params)
        level = np.mean(10 ** (frame / 10), axis=1)
        at_the_edge[scatterers] = level[28:32].mean() / level[45:].mean()

    # Half of the resolution cell holds scatterers.
    assert at_the_edge["normal"] == pytest.approx(0.5, abs=0.15)
    assert at_the_edge["rayleigh"] > 2


def test_void_stays_finite_and_dark() -> None:
    hole = np.ones((64, 64), np.float32)
    hole[16:48, 16:48] = 0
    result = simulate_speckle(hole, reading="amplitude", seed=0)

    assert np.isfinite(result).all()
    assert result[28:36, 28:36].max() < -90
    assert (simulate_speckle(np.zeros((8, 8)), reading="amplitude") == -120).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 2)])
def test_smallest_pictures_can_be_simulated(shape: tuple[int, int]) -> None:
    for downscale in ("point", "db-mean"):
        result = simulate_speckle(np.ones(shape), downscale=downscale, seed=0)
        assert result.shape == shape
        assert result.max() == 0 and np.isfinite(result).all()


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.full((8, 8), np.nan), "64 NaN or infinite pixels of 64"),
        (np.full((8, 8), np.inf), "NaN or infinite"),
        (np.full((8, 8), 255, np.uint8), r"values from 0 to 255.*in \[0, 1\]"),
        (np.full((8, 8), -0.1), r"values from -0.1 to 0.*in \[0, 1\]"),
        (np.ones((0, 8)), "empty"),
        (np.ones((2, 8, 8)), r"must have shape \(Z, X\), got \(2, 8, 8\)"),
        (np.ones(8), "must have shape"),
        (np.ones((8, 8), complex), "complex128 values; real numbers"),
    ],
)
def test_what_is_no_picture_is_refused(picture: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        simulate_speckle(picture)


def test_negative_amplitude_is_refused() -> None:
    with pytest.raises(ValueError, match="negative values down to -60"):
        simulate_speckle(np.full((8, 8), -60.0), reading="amplitude")
    assert simulate_speckle(np.full((8, 8), 7.0), reading="amplitude").max() == 0


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"f0_hz": 0.0}, "f0_hz is 0.0 Hz; it must lie in"),
        ({"sigma_axial_mm": -1.0}, "sigma_axial_mm is -1.0 mm"),
        ({"sigma_lateral_mm": np.nan}, "sigma_lateral_mm is nan mm"),
        ({"dynamic_range_db": 0.0}, "dynamic_range_db"),
        ({"sound_speed_m_s": 1.54}, "sound_speed_m_s is 1.54 m/s"),
        ({"pixel_size_mm": 0.0}, "pixel_size_mm must be one positive size"),
        ({"pixel_size_mm": (1, 2, 3)}, "pixel_size_mm must be one positive size"),
        ({"reading": "log"}, "choose one of display, amplitude"),
        ({"downscale": "mean"}, "choose one of point, db-mean, envelope-mean"),
        ({"scatterers": "uniform"}, "choose one of rayleigh, normal"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0.5}, "seed is 0.5; it must be a whole number"),
    ],
)
def test_absurd_parameters_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        simulate_speckle(UNIFORM, **params)


def test_what_would_take_hours_is_refused_before_any_work() -> None:
    # Nothing is allocated for it: the picture itself is a view of one number.
    huge = np.broadcast_to(np.float32(1), (40_000, 40_000))
    with pytest.raises(ValueError, match=r"need .* samples .* too many; crop"):
        next(simulate_stack_events(huge[None], SpeckleParams()))


def test_it_is_public() -> None:
    assert usf.simulate_speckle is simulate_speckle


@pytest.fixture
def stack() -> np.ndarray:
    """Four 8-bit frames of tissue."""
    rng = np.random.default_rng(0)
    return rng.integers(100, 255, (4, 24, 20)).astype(np.uint8)


def frames_of(events) -> dict[int, np.ndarray]:
    return {event.index: event.data for event in events if isinstance(event, FrameDone)}


def test_frames_do_not_depend_on_their_order(stack: np.ndarray) -> None:
    params = SpeckleParams(seed=7)

    forwards = frames_of(simulate_stack_events(stack, params, white=255.0))
    some = frames_of(simulate_stack_events(stack, params, white=255.0, order=[3, 1]))
    alone = frames_of(
        simulate_stack_events(stack[2:3], params, white=255.0, first_frame=2)
    )

    assert list(some) == [3, 1]
    for index, frame in {**some, 2: alone[0]}.items():
        np.testing.assert_array_equal(frame, forwards[index])


def test_first_frame_is_what_the_function_gives(stack: np.ndarray) -> None:
    params = SpeckleParams(seed=7, reading="amplitude")

    frames = frames_of(simulate_stack_events(stack, params, white=255.0))

    alone = simulate_speckle(stack[0] / 255, seed=7, reading="amplitude")
    np.testing.assert_allclose(frames[0], alone, atol=1e-3)


def test_equal_frames_have_scatterers_of_their_own() -> None:
    same = np.ones((2, 48, 48))

    frames = frames_of(simulate_stack_events(same, SpeckleParams()))

    assert abs(np.corrcoef(frames[0].ravel(), frames[1].ravel())[0, 1]) < 0.1


def test_values_beyond_black_and_white_are_clipped(stack: np.ndarray) -> None:
    params = SpeckleParams(seed=1)

    wide = frames_of(simulate_stack_events(stack, params, black=150.0, white=200.0))
    clipped = np.clip(stack, 150, 200)
    narrow = frames_of(simulate_stack_events(clipped, params, black=150.0, white=200.0))

    np.testing.assert_array_equal(wide[0], narrow[0])


def test_amplitudes_above_white_are_kept() -> None:
    bright = np.full((2, 32, 32), 20.0)
    params = SpeckleParams(reading="amplitude")

    (done, _) = [
        e
        for e in simulate_stack_events(bright, params, white=2.0)
        if isinstance(e, FrameDone)
    ]

    # Ten times white: 20 dB above it.
    level_db = done.data + done.info["maximum_db"]
    assert 10 * np.log10(np.mean(10 ** (level_db / 10))) == pytest.approx(20, abs=0.7)


def test_broken_frame_is_named_after_the_others_are_done(stack: np.ndarray) -> None:
    broken = stack.astype(np.float32)
    broken[2, 3, 4] = np.nan
    events = simulate_stack_events(
        broken, SpeckleParams(), white=255.0, first_frame=10, name="scan.tif"
    )
    done = []

    with pytest.raises(ValueError, match=r"scan\.tif: frame 12 has 1 NaN"):
        done.extend(e.index for e in events if isinstance(e, FrameDone))
        pytest.fail("the broken frame was simulated")
    assert done == [0, 1]


def test_cancel_stops_between_strips(monkeypatch) -> None:
    monkeypatch.setattr(speckle_grid, "_STRIP_SAMPLES", 1)
    token = CancelToken()
    events = simulate_stack_events(UNIFORM[None], SpeckleParams(), token=token)

    first = next(events)
    token.cancel()

    assert isinstance(first, Progress) and first.done < first.total
    with pytest.raises(Cancelled):
        next(events)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"black": 1.0, "white": 1.0}, "black must be below white, got 1 and 1"),
        ({"white": np.nan}, "black must be below white"),
        ({"order": [4]}, "there is no frame 4 in a stack of 4"),
    ],
)
def test_wrong_arguments_of_a_stack_are_refused(stack, keywords, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        next(simulate_stack_events(stack, SpeckleParams(), **keywords))


def test_stack_needs_three_axes(stack: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"must have shape \(frames, Z, X\)"):
        next(simulate_stack_events(stack[0], SpeckleParams()))
