"""Points one by one: what is dimmed, widened and lost, on points of known shape."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.io.picmus import Phantom
from napari_usflow.lab.picmus.points import point_lines, summarize
from napari_usflow.lab.picmus.scenes import Target
from napari_usflow.lab.picmus.scores import PicmusPoint, PicmusScore
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

GRID = PixelGrid((301, 301), (0.1, 0.1), (10.0, -15.0))
POINTS = ((18.0, -5.0), (28.0, 4.0))
LINE = PicmusScore("best", "", None, "experiment", 75, *[0.0] * 9)


def frame(*points: tuple[float, float, float, float, float]) -> np.ndarray:
    """Points (z, x, peak in dB, FWHM axial, lateral) over a floor of -50 dB."""
    z_mm, x_mm = GRID.axes_mm()
    shown = np.full(GRID.shape, -50.0)
    for z, x, peak, axial, lateral in points:
        away = ((z_mm[:, None] - z) / axial) ** 2 + ((x_mm - x) / lateral) ** 2
        # 6 dB below the peak at half a width from it.
        shown = np.maximum(shown, peak - 24 * away)
    return shown.astype(np.float32)


@pytest.fixture
def target() -> Target:
    """Two points, 0 and -10 dB; a third of the phantom is outside the image."""
    both = frame((*POINTS[0], 0.0, 0.5, 0.6), (*POINTS[1], -10.0, 0.5, 0.8))
    image = UltrasoundImage(both[None], "db", GRID)
    return Target(image, Phantom(points_mm=np.array([*POINTS, (90.0, 0.0)])))


def test_a_point_has_its_place_its_peak_and_both_widths(target: Target) -> None:
    result = frame((*POINTS[0], -3.0, 0.5, 0.9), (*POINTS[1], -10.0, 0.7, 0.8))

    first, second = point_lines(LINE, target, result)

    assert (first.label, first.scene, first.plane_waves) == ("best", "experiment", 75)
    assert (first.z_mm, first.x_mm) == POINTS[0]
    assert first.peak_db == pytest.approx(-3, abs=0.01)
    assert second.peak_db == pytest.approx(0, abs=0.01)
    interpolated = 0.04
    widths = (first.input_axial_mm, first.input_lateral_mm, second.input_lateral_mm)
    assert widths == pytest.approx((0.5, 0.6, 0.8), abs=interpolated)
    widths = (first.axial_mm, first.lateral_mm, second.axial_mm)
    assert widths == pytest.approx((0.5, 0.9, 0.7), abs=interpolated)
    assert first.above_db == pytest.approx(47, abs=0.01)
    assert not first.lost


@pytest.mark.parametrize(("peak", "lost"), [(-43.9, False), (-44.1, True)])
def test_a_point_is_lost_below_6_db_above_its_surroundings(
    target: Target, peak: float, lost: bool
) -> None:
    result = frame((*POINTS[0], peak, 0.5, 0.6), (*POINTS[1], -10.0, 0.5, 0.8))

    first, second = point_lines(LINE, target, result)

    assert first.lost is lost
    assert np.isnan(first.lateral_mm) == np.isnan(first.axial_mm) == lost
    assert not second.lost


def test_surroundings_are_no_darker_than_black(target: Target) -> None:
    result = frame((*POINTS[0], 0.0, 0.5, 0.6)) - 55

    first, second = point_lines(LINE, target, result)

    assert first.above_db == pytest.approx(5)
    assert first.lost and second.lost


def test_speckle_alone_holds_no_point(target: Target) -> None:
    rng = np.random.default_rng(0)
    speckle = 10 * np.log10(rng.exponential(size=GRID.shape)) - 30

    assert all(p.lost for p in point_lines(LINE, target, speckle.astype(np.float32)))


def test_a_summary_names_the_worst_point_and_counts_the_lost(target: Target) -> None:
    result = frame((*POINTS[0], -3.0, 0.5, 0.9))

    lines = point_lines(LINE, target, result)
    (summary,) = summarize(lines)

    assert (summary.count, summary.lost) == (2, 1)
    assert (summary.worst.z_mm, summary.worst.x_mm) == POINTS[1]
    assert summary.axial_ratio == pytest.approx(1, abs=0.1)
    assert summary.lateral_ratio == pytest.approx(1.5, abs=0.1)


def test_the_ratio_farthest_from_one_is_up_or_down() -> None:
    def point(axial: float, lateral: float) -> PicmusPoint:
        places = ("tv", "", None, "experiment", 1, 20.0, 0.0, -1.0, 20.0, False)
        return PicmusPoint(*places, axial, lateral, 1.0, 1.0)

    (summary,) = summarize([point(0.5, 1.2), point(1.5, 1.0), point(1.0, 0.9)])

    assert (summary.axial_ratio, summary.lateral_ratio) == (0.5, 1.2)
