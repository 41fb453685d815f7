from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Progress, result_of
from napari_usflow.ultrasound.beamform import (
    beamform,
    beamform_events,
    beamform_frame_events,
)
from napari_usflow.ultrasound.beamform.scanline import line_grid
from napari_usflow.ultrasound.data import (
    ChannelData,
    DivergingWave,
    FocusedBeam,
    PixelGrid,
    PolarGrid,
    Transmit,
)

CARRIER_HZ, RATE_HZ, SPEED = 5e6, 20e6, 1540.0
PITCH_M, ELEMENTS = 0.3e-3, 24
STEP_MM = 1e3 * SPEED / CARRIER_HZ / 4
X_M = PITCH_M * (np.arange(ELEMENTS) - (ELEMENTS - 1) / 2)


def one_point(
    transmits: Sequence[Transmit],
    point_mm: tuple[float, float],
    *,
    start_us: float = 0.0,
    iq: bool = False,
    samples: int = 800,
) -> ChannelData:
    """One point that every transmit reaches along its own path, all as strongly."""
    z, x = 1e-3 * np.asarray(point_mm)
    out = np.array([float(t.path_m(z, x)) for t in transmits])[:, None, None]
    delay = (out + np.hypot(x - X_M, z)[:, None]) / SPEED
    time = 1e-6 * start_us + np.arange(samples) / RATE_HZ
    since = time - delay
    signal = np.exp(-((np.pi * 1e6 * since) ** 2) / np.log(2))
    signal = signal * np.exp(2j * np.pi * CARRIER_HZ * since)
    turn = np.exp(-2j * np.pi * CARRIER_HZ * time)
    data = (signal * turn).astype("c8") if iq else signal.real.astype("f4")
    return ChannelData(
        data[None],
        np.stack([X_M, 0 * X_M, 0 * X_M], axis=1),
        RATE_HZ,
        CARRIER_HZ,
        CARRIER_HZ if iq else 0.0,
        SPEED,
        np.full(len(transmits), 1e-6 * start_us),
        transmits,
        metadata={"name": "one point"},
    )


def fan(count: int = 11, step: float = 0.06, apex_m: float = 0.0) -> list[FocusedBeam]:
    """Beams that meet ``apex_m`` behind the array."""
    angles = step * (np.arange(count) - count // 2)
    return [
        FocusedBeam(float(a), 0.02, (float(apex_m * np.tan(a)), 0.0, 0.0))
        for a in angles
    ]


def side_by_side(x_mm: Sequence[float]) -> list[FocusedBeam]:
    return [FocusedBeam(0.0, 0.02, (1e-3 * x, 0.0, 0.0)) for x in x_mm]


def brightest(image) -> tuple[int, int]:
    return np.unravel_index(image.data[0].argmax(), image.grid.shape)


@pytest.mark.parametrize("iq", [False, True])
@pytest.mark.parametrize("start_us", [0.0, 4.0])
def test_a_point_on_a_beam_is_at_its_radius_on_its_line(iq, start_us) -> None:
    radius, angle = 20.0, 0.12
    point = (radius * np.cos(angle), radius * np.sin(angle))

    image = beamform(one_point(fan(), point, iq=iq, start_us=start_us), f_number=1.0)

    row, line = brightest(image)
    radii, angles = image.grid.axes()
    assert line == 7 and angles[line] == pytest.approx(angle)
    assert radii[row] == pytest.approx(radius, abs=STEP_MM / 2 + 1e-9)
    assert image.metadata["lines"] == 11 and "plane_waves" not in image.metadata


def test_beams_from_one_point_make_a_sector_around_it() -> None:
    grid = line_grid(one_point(fan(), (20.0, 0.0)))

    assert isinstance(grid, PolarGrid)
    assert grid.shape[1] == 11
    np.testing.assert_allclose(grid.angle_rad, (-0.3, 0.06))
    np.testing.assert_allclose(grid.radius_mm, (5.0, STEP_MM))
    np.testing.assert_allclose(grid.apex_mm, (0, 0), atol=1e-9)
    # The record ends at 799 samples: straight there and back.
    last = 1e3 * 799 / RATE_HZ * SPEED / 2
    assert last - STEP_MM < grid.axes()[0][-1] <= last


def test_beams_that_meet_behind_the_array_make_a_sector_around_that_point() -> None:
    data = one_point(fan(apex_m=0.012), (18.0, 0.0))
    image = beamform(data, f_number=1.0)

    np.testing.assert_allclose(image.grid.apex_mm, (-12.0, 0.0), atol=1e-9)
    # Radii count from there, depths from the array.
    assert image.grid.radius_mm[0] == pytest.approx(12 + 5)
    row, line = brightest(image)
    assert line == 5
    assert image.grid.axes()[0][row] == pytest.approx(12 + 18, abs=STEP_MM / 2)


def test_beams_straight_down_make_the_columns_of_a_pixel_grid() -> None:
    x_mm = [-2.0, -1.0, 0.0, 1.0, 2.0]
    image = beamform(one_point(side_by_side(x_mm), (17.0, 1.0)), f_number=1.0)

    assert isinstance(image.grid, PixelGrid)
    np.testing.assert_allclose(image.grid.axes_mm()[1], x_mm, atol=1e-12)
    row, line = brightest(image)
    assert line == 3
    assert image.grid.axes_mm()[0][row] == pytest.approx(17.0, abs=STEP_MM / 2)


def test_the_order_of_the_beams_does_not_matter() -> None:
    point = (20 * np.cos(0.12), 20 * np.sin(0.12))
    ordered = beamform(one_point(fan(), point))
    turned = beamform(one_point(fan()[::-1], point))

    np.testing.assert_allclose(turned.data, ordered.data, atol=1e-3)


def test_lines_between_beams_take_the_nearest_one_and_its_own_path() -> None:
    # Two lines for every beam: the point lies on one that has no beam of its own.
    grid = PolarGrid((200, 21), (15.0, 0.05), (-0.3, 0.03))
    point = (20 * np.cos(0.15), 20 * np.sin(0.15))

    row, line = brightest(beamform(one_point(fan(), point), grid=grid, f_number=1.0))

    assert line == 15
    assert grid.axes()[0][row] == pytest.approx(20, abs=0.05)


def test_depths_that_a_reader_knows_are_the_default_ones() -> None:
    data = one_point(fan(), (20.0, 0.0))
    data.metadata["depth_mm"] = (10.0, 15.0)

    radius, _ = line_grid(data).axes()
    given, _ = line_grid(data, depth_mm=(8.0, 9.0)).axes()

    assert radius[0] == 10 and 15 - STEP_MM < radius[-1] <= 15
    assert given[0] == 8 and 9 - STEP_MM < given[-1] <= 9


def test_groups_of_lines_give_the_image_of_all_at_once() -> None:
    data = one_point(fan(), (20.0, 0.0))
    whole = result_of(beamform_events(data))
    # Room for the image and three lines of 0.6 MB each.
    parts = result_of(beamform_events(data, memory_budget_bytes=2_300_000))

    np.testing.assert_allclose(parts.data, whole.data, atol=1e-3)
    with pytest.raises(ValueError, match="beamforming needs"):
        result_of(beamform_events(data, memory_budget_bytes=700_000))


def test_progress_counts_the_elements_and_a_cancel_is_obeyed() -> None:
    data, token = one_point(fan(), (20.0, 0.0)), CancelToken()
    grid = line_grid(data)

    events = beamform_frame_events(data, grid=grid, token=token)

    assert next(events) == Progress(1, ELEMENTS, "beamforming")
    token.cancel()
    with pytest.raises(Cancelled):
        next(events)


@pytest.mark.parametrize(
    ("beams", "message"),
    [
        (side_by_side([1.0, 1.0]), "run along the same line, x = 1 mm"),
        ([FocusedBeam(0.3)] * 3, "parallel but steered by 17.2 degrees"),
        (
            [
                FocusedBeam(a, 0.02, (x, 0, 0))
                for a, x in ((0, 0), (0.2, 30e-3), (0.3, 0))
            ],
            "do not meet in one point",
        ),
        (fan(apex_m=-0.03), "cross in front of the array, 31.4 mm from it"),
    ],
)
def test_beams_that_make_no_image_are_refused(beams, message) -> None:
    with pytest.raises(ValueError, match=message):
        line_grid(one_point(beams, (20.0, 0.0)))


def test_a_record_that_ends_above_the_lines_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ends at a depth of 1.8\d mm"):
        line_grid(one_point(fan(), (2.0, 0.0), samples=50))


@pytest.mark.parametrize(
    ("transmits", "grid", "message"),
    [
        (fan(), PixelGrid((9, 9), (1, 1), (5, -4)), "the beams make a sector"),
        (
            side_by_side([0.0, 1.0]),
            PolarGrid((9, 9), (5, 1), (0, 0.1)),
            "the beams make parallel lines",
        ),
        (
            [DivergingWave((0, 0, -0.01))],
            PolarGrid((9, 9), (5, 1), (0, 0.1)),
            "compounded on a PixelGrid",
        ),
    ],
)
def test_a_grid_of_the_other_class_is_refused(transmits, grid, message) -> None:
    with pytest.raises(ValueError, match=message):
        beamform(one_point(transmits, (20.0, 0.0)), grid=grid)


def test_a_number_of_plane_waves_cannot_be_chosen_of_beams() -> None:
    with pytest.raises(ValueError, match="11 focused beams, each a line"):
        beamform(one_point(fan(), (20.0, 0.0)), angles=3)


@pytest.mark.parametrize("budget", [2**29, 7_200_000])
def test_diverging_waves_are_compounded_where_they_meet(budget: int) -> None:
    # A virtual source behind the array, and two elements that fire alone.
    waves = [DivergingWave((0, 0, -0.01))]
    waves += [DivergingWave((x, 0, 0), (x, 0, 0)) for x in (-2e-3, 2e-3)]
    grid = PixelGrid((61, 41), (0.05, 0.1), (18.5, -1.0))

    events = beamform_events(
        one_point(waves, (20.0, 1.0)), grid=grid, memory_budget_bytes=budget
    )

    row, column = brightest(result_of(events))
    z, x = grid.axes_mm()
    assert (z[row], x[column]) == pytest.approx((20.0, 1.0), abs=0.051)
