"""The 2-D pictures of a frame, whatever scanners write about them."""

from __future__ import annotations

import pytest

from napari_usflow.io.dicom.regions import find_regions


def item(box=(14, 38, 1010, 758), delta_cm=(0.025, 0.025), **more) -> dict:
    x0, y0, x1, y1 = box
    return {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "RegionLocationMinX0": x0,
        "RegionLocationMinY0": y0,
        "RegionLocationMaxX1": x1,
        "RegionLocationMaxY1": y1,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": delta_cm[0],
        "PhysicalDeltaY": delta_cm[1],
        **more,
    }


def test_pixels_are_given_in_mm_and_the_box_includes_its_last_pixel() -> None:
    (region,), notes = find_regions([item(delta_cm=(0.02, 0.03))], 768, 1024)

    assert region.box == (38, 759, 14, 1011)
    assert region.spacing_mm == pytest.approx((0.3, 0.2))
    assert notes == []


def test_negative_deltas_are_sizes() -> None:
    (region,), _ = find_regions([item(delta_cm=(-0.02, 0.03))], 768, 1024)

    assert region.spacing_mm == pytest.approx((0.3, 0.2))


def test_a_first_region_without_units_is_passed_over() -> None:
    dummy = item(
        (0, 0, 1023, 767), (1.0, 1.0), PhysicalUnitsXDirection=0, RegionSpatialFormat=0
    )

    (region,), _ = find_regions([dummy, item()], 768, 1024)

    assert region.box == (38, 759, 14, 1011)


@pytest.mark.parametrize(
    "other",
    [
        {"RegionSpatialFormat": 4, "RegionDataType": 10, "PhysicalUnitsXDirection": 4},
        {"RegionSpatialFormat": 2},
        {"RegionSpatialFormat": 3},
        {"PhysicalUnitsXDirection": 0},
        {"PhysicalDeltaX": 0.0},
        {"PhysicalDeltaX": float("nan")},
        {"PhysicalDeltaY": 50.0},
        {"RegionLocationMaxX1": None},
    ],
)
def test_regions_that_are_no_calibrated_picture_leave_the_frame_whole(other) -> None:
    (region,), notes = find_regions([item(**other)], 768, 1024)

    assert region.box == (0, 768, 0, 1024)
    assert region.spacing_mm is None
    assert any("text" in note for note in notes)


def test_a_file_without_regions_is_kept_whole_and_its_pixel_is_unknown() -> None:
    (region,), _ = find_regions([], 480, 640)

    assert (region.box, region.spacing_mm) == ((0, 480, 0, 640), None)


def test_a_box_that_ends_one_pixel_past_the_frame_is_cut_there() -> None:
    (region,), notes = find_regions([item((120, 60, 800, 518))], 600, 800)

    assert region.box == (60, 519, 120, 800)
    assert notes == []


def test_the_pixels_of_a_reduced_frame_are_larger() -> None:
    """A 640 x 480 screen, halved, with the region left as it was."""
    found = item((84, 31, 595, 414), (0.05, 0.05))

    (region,), notes = find_regions([found], 240, 320)

    assert region.box == (15, 208, 42, 298)
    assert region.spacing_mm == pytest.approx((1.0, 1.0))
    assert "640 x 480" in notes[0]


def test_a_frame_cut_off_at_the_bottom_keeps_its_pixel_size() -> None:
    (region,), notes = find_regions([item((120, 60, 800, 518))], 350, 800)

    assert region.box == (60, 350, 120, 800)
    assert region.spacing_mm == pytest.approx((0.25, 0.25))
    assert "cut off" in notes[0]


def test_a_box_that_fits_no_screen_leaves_the_pixel_unknown() -> None:
    (region,), notes = find_regions([item((0, 0, 5000, 4000))], 480, 640)

    assert region.spacing_mm is None
    assert any("not known" in note for note in notes)


def test_the_reference_pixel_is_the_origin() -> None:
    found = item(
        ReferencePixelX0=340,
        ReferencePixelY0=36,
        ReferencePixelPhysicalValueX=0.0,
        ReferencePixelPhysicalValueY=0.5,
    )

    (region,), _ = find_regions([found], 768, 1024)

    # 36 pixels of 0.25 mm above 5 mm; 340 pixels left of 0.
    assert region.origin_mm == pytest.approx((5.0 - 9.0, -85.0))


def test_two_pictures_side_by_side_stay_side_by_side() -> None:
    own = {"ReferencePixelX0": 154, "ReferencePixelY0": 21}
    right = item((336, 24, 639, 415), (0.04, 0.04), **own)
    left = item((32, 24, 335, 415), (0.04, 0.04), **own)

    (first, second), _ = find_regions([right, left], 480, 640)

    assert first.box == (24, 416, 32, 336)
    assert second.box == (24, 416, 336, 640)
    width_mm = 0.4 * (336 - 32)
    assert second.origin_mm[1] - first.origin_mm[1] == pytest.approx(width_mm)
    assert second.origin_mm[0] == pytest.approx(first.origin_mm[0])


def test_a_colour_box_inside_the_picture_is_no_picture_of_its_own() -> None:
    box = item((200, 200, 400, 400), RegionDataType=2)

    regions, _ = find_regions([box, item()], 768, 1024)

    assert [region.box for region in regions] == [(38, 759, 14, 1011)]


def test_the_same_picture_listed_twice_is_read_once() -> None:
    regions, _ = find_regions([item(), item(RegionDataType=3)], 768, 1024)

    assert len(regions) == 1
