"""Grey of homogeneous regions, on pictures whose regions and greys are known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.lab.speckle.grey import (
    GreyRegion,
    homogeneous_regions,
    region_greys,
    summarize,
)

PIXEL_MM = 0.5  # regions of 10 x 10 pixels
NAMES = ("tv", "knee", "1 look")


def checks(height: int, width: int, levels: float) -> np.ndarray:
    """A chequerboard: its standard deviation is ``levels`` grey levels."""
    return levels / 255 * (-1.0) ** np.add.outer(np.arange(height), np.arange(width))


def test_homogeneous_regions_are_squares_that_do_not_overlap() -> None:
    picture = 0.5 + checks(30, 50, 80)
    picture[:, 30:] = 0.2

    regions = homogeneous_regions(picture, PIXEL_MM)

    assert len(regions) == 6
    covered = np.zeros(picture.shape, int)
    for rows, columns in regions:
        assert rows.stop - rows.start == columns.stop - columns.start == 10
        covered[rows, columns] += 1
    assert covered[:, 30:].min() == covered.max() == 1
    assert covered[:, :30].max() == 0


@pytest.mark.parametrize(("levels", "count"), [(9.9, 4), (10.1, 0)])
def test_a_region_varies_by_ten_grey_levels_at_most(levels: float, count: int) -> None:
    regions = homogeneous_regions(0.5 + checks(20, 20, levels), PIXEL_MM)
    assert len(regions) == count


def test_a_picture_smaller_than_a_region_has_none() -> None:
    assert homogeneous_regions(np.zeros((9, 30)), PIXEL_MM) == []


def test_a_change_is_the_difference_of_the_means_of_result_and_input() -> None:
    clean = np.full((1, 10, 20), 0.4)
    noise = np.random.default_rng(0).normal(0, 0.05, clean.shape)
    noise -= noise[:, :, :10].mean()
    noisy = clean + noise + 2 / 255

    result = np.full_like(clean, 0.4 + 5 / 255)
    left, _ = region_greys(clean, noisy, result, PIXEL_MM, NAMES)

    assert (left.method, left.anatomy, left.kind, left.crop) == (*NAMES, 0)
    assert (left.z_mm, left.x_mm) == (2.25, 2.25)
    assert left.clean == pytest.approx(0.4 * 255)
    assert left.input == pytest.approx(0.4 * 255 + 2)
    assert left.change == pytest.approx(3)


def test_a_result_is_black_below_zero() -> None:
    clean = np.full((2, 10, 10), 4 / 255)

    regions = region_greys(clean, clean, clean - 0.5, PIXEL_MM, NAMES)

    assert [r.crop for r in regions] == [0, 1]
    assert [r.result for r in regions] == [0, 0]
    assert [r.change for r in regions] == pytest.approx([-4, -4])


def region(clean: float, change: float) -> GreyRegion:
    return GreyRegion(*NAMES, 0, 1.0, 1.0, clean, clean + 1, clean + 1 + change)


def test_a_summary_keeps_the_sign_of_the_worst() -> None:
    summary = summarize([region(200, 1), region(100, -5), region(20, 2), region(50, 1)])

    assert summary.regions == 4
    assert summary.mean == pytest.approx(9 / 4)
    assert summary.worst == pytest.approx(-5)
    assert summary.dark_worst == pytest.approx(2)


def test_without_regions_there_is_no_number() -> None:
    none = summarize([])
    assert none.regions == 0
    assert np.isnan([none.mean, none.worst, none.dark_worst]).all()
    assert np.isnan(summarize([region(200, 1)]).dark_worst)
