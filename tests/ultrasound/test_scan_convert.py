from __future__ import annotations

import math

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.scan_convert import (
    OUTSIDE,
    as_picture,
    cartesian_grid,
    scan_convert,
)

SECTOR = PolarGrid((61, 41), (20.0, 0.5), (-0.5, 0.025), (3.0, -2.0))


def sector(frame: np.ndarray, grid: PolarGrid = SECTOR, values="db") -> UltrasoundImage:
    return UltrasoundImage(
        np.broadcast_to(frame, (1, *grid.shape)).astype(np.float32), values, grid
    )


def seen_from_apex(grid: PixelGrid, apex_mm) -> tuple[np.ndarray, np.ndarray]:
    z, x = np.meshgrid(*grid.axes_mm(), indexing="ij")
    return np.hypot(z - apex_mm[0], x - apex_mm[1]), np.arctan2(
        x - apex_mm[1], z - apex_mm[0]
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_radius_and_angle_come_out_where_they_are(axis: int) -> None:
    # Bilinear interpolation of a ramp along one axis is exact.
    ramp = np.meshgrid(*SECTOR.axes(), indexing="ij")[axis]

    picture = scan_convert(sector(ramp), spacing_mm=0.3)

    expected = seen_from_apex(picture.grid, SECTOR.apex_mm)
    inside = picture.data[0] != OUTSIDE["db"]
    assert inside.mean() > 0.5
    np.testing.assert_allclose(
        picture.data[0][inside], expected[axis][inside], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("values", ["db", "envelope", "display"])
def test_what_is_outside_of_the_sector_has_no_echo_and_the_edge_is_inside(values):
    picture = scan_convert(sector(np.full(SECTOR.shape, 7.0), values=values))

    radius, angle = seen_from_apex(picture.grid, SECTOR.apex_mm)
    inside = (np.abs(radius - 35) < 15 + 1e-5) & (np.abs(angle) < 0.5 + 1e-6)
    expected = np.where(inside, 7.0, {"db": -120.0}.get(values, 0.0))
    np.testing.assert_array_equal(picture.data[0], expected)
    assert picture.values == values


def test_the_picture_is_as_large_as_the_sector_and_in_line_with_its_apex() -> None:
    grid = cartesian_grid(SECTOR, (0.5, 0.4))

    # From the corners at the first radius down to the last radius straight below.
    top, bottom = 3 + 20 * math.cos(0.5), 3 + 50.0
    left, right = (-2 + side * 50 * math.sin(0.5) for side in (-1, 1))
    z, x = grid.axes_mm()
    assert grid.spacing_mm == (0.5, 0.4)
    assert top - 0.5 < z[0] <= top and bottom <= z[-1] < bottom + 0.5
    assert left - 0.4 < x[0] <= left and right <= x[-1] < right + 0.4
    np.testing.assert_allclose(np.remainder((z - 3) / 0.5 + 0.5, 1), 0.5, atol=1e-9)
    np.testing.assert_allclose(np.remainder((x + 2) / 0.4 + 0.5, 1), 0.5, atol=1e-9)


def test_pixels_are_as_large_as_the_step_in_radius_unless_stated() -> None:
    assert scan_convert(sector(np.zeros(SECTOR.shape))).grid.spacing_mm == (0.5, 0.5)


def test_a_sector_wider_than_half_a_turn_is_covered() -> None:
    wide = PolarGrid((11, 81), (0.0, 1.0), (-2.0, 0.05))

    z, x = cartesian_grid(wide, 0.5).axes_mm()

    np.testing.assert_allclose([x[0], x[-1], z[-1]], [-10, 10, 10])
    assert z[0] == pytest.approx(10 * math.cos(2.0), abs=0.5)


def test_a_point_of_a_sector_is_at_its_place_in_mm() -> None:
    frame = np.zeros(SECTOR.shape)
    frame[30, 28] = 1

    picture = usf.scan_convert(sector(frame, values="envelope"), spacing_mm=0.1)

    z, x = picture.grid.axes_mm()
    row, column = np.unravel_index(picture.data[0].argmax(), picture.grid.shape)
    radius, angle = 20 + 30 * 0.5, -0.5 + 28 * 0.025
    assert z[row] == pytest.approx(3 + radius * math.cos(angle), abs=0.06)
    assert x[column] == pytest.approx(-2 + radius * math.sin(angle), abs=0.06)


def test_a_grid_may_be_given() -> None:
    grid = PixelGrid((5, 4), (1.0, 2.0), (30.0, -4.0))

    picture = scan_convert(sector(np.full(SECTOR.shape, -3.0)), grid=grid)

    assert picture.grid == grid and (picture.data == -3).all()


def test_a_stack_is_converted_frame_by_frame_and_stays_lazy() -> None:
    import dask.array as da

    looked_at = []

    def frame(block_info=None):
        looked_at.append(block_info[None]["chunk-location"][0])
        return np.full((1, *SECTOR.shape), float(looked_at[-1]), np.float32)

    stack = da.map_blocks(
        frame, chunks=((1,) * 6, *((n,) for n in SECTOR.shape)), dtype=np.float32
    )

    picture = scan_convert(UltrasoundImage(stack, "envelope", SECTOR), spacing_mm=1.0)

    assert looked_at == [] and picture.data.chunksize == (1, *picture.grid.shape)
    assert float(np.asarray(picture.data[4]).max()) == 4
    assert looked_at == [4]


def test_pictures_of_a_long_stack_are_made_one_by_one(monkeypatch) -> None:
    frames = np.broadcast_to(np.arange(5.0)[:, None, None], (5, *SECTOR.shape))
    stack = UltrasoundImage(frames.astype(np.float32), "envelope", SECTOR)
    eager = scan_convert(stack, spacing_mm=1.0)
    monkeypatch.setattr("napari_usflow.ultrasound.scan_convert._EAGER_BYTES", 1)

    lazy = scan_convert(stack, spacing_mm=1.0)

    assert isinstance(eager.data, np.ndarray) and hasattr(lazy.data, "dask")
    np.testing.assert_array_equal(np.asarray(lazy.data[3]), eager.data[3])


def test_only_sectors_are_converted() -> None:
    flat = UltrasoundImage(
        np.zeros((1, 2, 2), np.float32), "db", PixelGrid((2, 2), (1, 1), (0, 0))
    )

    with pytest.raises(ValueError, match="Cartesian grid already"):
        scan_convert(flat)
    assert as_picture(flat) is flat
    assert isinstance(as_picture(sector(np.zeros(SECTOR.shape))).grid, PixelGrid)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spacing_mm": 0.0}, "pixel_size_mm must be"),
        ({"spacing_mm": 1e-3}, "give a larger spacing_mm"),
        ({"spacing_mm": 1.0, "grid": PixelGrid((1, 1), (1, 1), (0, 0))}, "not both"),
    ],
)
def test_pictures_that_cannot_be_made_are_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        scan_convert(sector(np.zeros(SECTOR.shape)), **arguments)


def test_a_grid_is_made_from_its_axes() -> None:
    grid = PolarGrid.from_axes([0.02, 0.021, 0.022], [-0.1, 0.1], (0.003, 0.0))

    assert grid.shape == (3, 2)
    np.testing.assert_allclose(grid.radius_mm, (20, 1))
    np.testing.assert_allclose(grid.angle_rad, (-0.1, 0.2))
    np.testing.assert_allclose(grid.apex_mm, (3, 0))
    # 0.2 rad at a mean radius of 21 mm.
    np.testing.assert_allclose(grid.mean_pixel_mm, (1, 4.2))


@pytest.mark.parametrize(
    "bad",
    [
        {"shape": (0, 4)},
        {"radius_mm": (5.0, 0.0)},
        {"radius_mm": (-1.0, 0.1)},
        {"angle_rad": (0.1, -0.1)},
        {"apex_mm": (float("nan"), 0.0)},
    ],
)
def test_a_sector_that_is_none_is_refused(bad) -> None:
    fields = {"shape": (4, 4), "radius_mm": (5.0, 0.1), "angle_rad": (0.0, 0.1)}
    with pytest.raises(ValueError, match="a polar grid needs"):
        PolarGrid(**{**fields, **bad})
