"""Where a sector lies in a picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_usflow.ultrasound.sectors.geometry import Sector

FAN = Sector((10.0, 60.0), (-0.5, 0.6), (20.0, 90.0))


def test_a_place_on_a_line_has_the_radius_and_angle_of_it() -> None:
    radius, angle = np.array([20.0, 55.0, 90.0]), np.array([-0.5, 0.1, 0.6])
    wide = Sector((10.0, 60.0), (-0.5, 0.6), (20.0, 90.0), aspect=1.3)

    np.testing.assert_allclose(wide.polar(*wide.place(radius, angle)), (radius, angle))


def test_mask_holds_what_lies_within_radii_angles_and_box() -> None:
    cut = Sector((10.0, 60.0), (-0.5, 0.6), (20.0, 90.0), (-math.inf, 80, 45, math.inf))

    mask = cut.mask((120, 140))

    assert mask[60, 60] and mask[80, 60] and mask[60, 45]
    assert not mask[81, 60] and not mask[60, 44] and not mask[29, 60]
    assert FAN.mask((120, 140))[100, 60] and not FAN.mask((120, 140))[101, 60]


def test_area_of_the_mask_is_that_of_the_sector() -> None:
    area = (0.6 + 0.5) / 2 * (90**2 - 20**2)

    assert FAN.mask((130, 140)).sum() == pytest.approx(area, rel=0.01)


def test_corners_make_the_sector_again() -> None:
    again = Sector.from_corners(FAN.corners, FAN.box)

    np.testing.assert_allclose(again.apex, FAN.apex)
    np.testing.assert_allclose(again.angles, FAN.angles)
    np.testing.assert_allclose(again.radii, FAN.radii)


def test_corners_of_parallel_edges_make_a_rectangle() -> None:
    rectangle = Sector.linear((5.0, 80.0), (10.0, 50.0))

    again = Sector.from_corners(rectangle.corners, rectangle.box)

    assert again.is_linear and again.box == (5.0, 80.0, 10.0, 50.0)


def test_outline_is_cut_by_the_box() -> None:
    face = Sector((-50.0, 40.0), (-0.3, 0.3), (60.0, 150.0), (15.0, 90.0, 0.0, 70.0))

    outline = face.outline()

    assert outline.min(0) == pytest.approx((15.0, 0.0))
    assert outline[:, 0].max() == pytest.approx(90.0)
    assert outline[:, 1].max() == pytest.approx(70.0)
    assert face.kind == "trapezoid" and FAN.kind == "sector"


@pytest.mark.parametrize(
    ("angles", "radii"),
    [((0.5, -0.5), (1.0, 2.0)), ((-0.5, 0.5), (2.0, 1.0)), ((-0.5, 0.5), (-1.0, 2.0))],
)
def test_impossible_sectors_are_refused(angles, radii) -> None:
    with pytest.raises(ValueError, match="sector"):
        Sector((0.0, 0.0), angles, radii)
