"""From a picture to the lines of its sector, and back."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.sectors.geometry import Sector
from napari_usflow.ultrasound.sectors.lines import Lines

FAN = Sector((-20.0, 64.0), (-0.5, 0.5), (30.0, 130.0))
GRID = PixelGrid((120, 130), (0.3, 0.3), (5.0, -19.0))


@pytest.fixture
def smooth() -> np.ndarray:
    z, x = np.mgrid[:120, :130]
    return (np.sin(z / 9) + np.cos(x / 11)).astype(np.float32)


def test_smooth_pictures_come_back(smooth) -> None:
    lines = Lines(FAN, GRID, width=1.0)

    back = lines.to_picture(lines.from_picture(smooth), np.full_like(smooth, 7))

    mask = FAN.mask(GRID.shape)
    np.testing.assert_allclose(back[mask], smooth[mask], atol=0.1)
    assert np.abs(back - smooth)[mask].mean() < 0.01
    assert (back[~mask] == 7).all()


def test_what_is_around_the_sector_has_no_influence(smooth) -> None:
    lines, written = Lines(FAN, GRID), smooth.copy()
    written[~FAN.mask(GRID.shape)] = 1e6

    np.testing.assert_array_equal(
        lines.from_picture(written), lines.from_picture(smooth)
    )


def test_lines_lie_where_the_picture_says_in_millimetres() -> None:
    grid = Lines(FAN, GRID).grid

    assert grid.apex_mm == pytest.approx((5.0 - 20 * 0.3, -19.0 + 64 * 0.3))
    radius, angle = grid.axes()
    assert (radius[0], radius[-1]) == pytest.approx((9.0, 39.0))
    assert (angle[0], angle[-1]) == pytest.approx((-0.5, 0.5))


def test_lazy_clips_stay_lazy_and_give_the_same(smooth) -> None:
    stack = np.stack([smooth, -smooth])
    lines = Lines(FAN, GRID)
    eager = lines.image(UltrasoundImage(stack, "display", GRID))
    lazy = lines.image(
        UltrasoundImage(da.from_array(stack, chunks=(2, 60, 60)), "display", GRID)
    )

    assert hasattr(lazy.data, "dask")
    np.testing.assert_array_equal(np.asarray(lazy.data), np.asarray(eager.data))


def test_lines_of_a_linear_probe_are_refused() -> None:
    with pytest.raises(ValueError, match="columns of the picture"):
        Lines(Sector.linear((0, 50), (0, 50)), GRID)
