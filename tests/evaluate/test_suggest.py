"""Suggested regions: homogeneous speckle, and its darkest neighbour."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.evaluate.measure import measure_frame
from napari_usflow.evaluate.suggest import suggested_regions
from napari_usflow.ultrasound.data import PixelGrid

GRID = PixelGrid((301, 301), (0.1, 0.1), (10.0, -15.0))
Z_MM, X_MM = GRID.axes_mm()


def speckle(depth_db: float) -> np.ndarray:
    """Fully developed speckle at 0 dB mean intensity, with a cyst."""
    rng = np.random.default_rng(0)
    frame = 10 * np.log10(rng.exponential(size=GRID.shape))
    inside = np.hypot(Z_MM[:, None] - 25, X_MM[None] - 2) <= 4
    return frame - depth_db * inside


def test_suggestion_is_speckle_and_the_dark_region_beside_it() -> None:
    frame = speckle(25)
    # A bright band is not homogeneous, and the black below lies out of the picture.
    frame[40:60] += 15
    frame[240:] = -90

    grains, dark = suggested_regions(frame, GRID)
    target, background = measure_frame(frame, GRID, [dark, grains])

    assert (grains.role, dark.role) == ("speckle", "target")
    assert background.speckle_snr == pytest.approx(1.913, rel=0.1)
    assert np.hypot(*(dark.center_mm - [25.0, 2.0])) < 2.5
    assert target.mean_db < background.mean_db - 10
    assert background.area_mm2 == pytest.approx(36, rel=0.1)


def test_dark_mixtures_of_black_and_grey_are_no_speckle_region() -> None:
    rng = np.random.default_rng(3)
    frame = np.full(GRID.shape, -60.0)
    frame[:150] = np.where(rng.random((150, 301)) < 0.3, -20, -60)
    frame[150:] = speckle(0)[150:] - 25

    grains, _ = suggested_regions(frame, GRID)

    assert grains.points_mm[:, 0].min() > 24.5


def test_a_black_lumen_is_a_target_though_it_has_no_noise() -> None:
    frame = np.clip(speckle(0) - 20, -60, 0)
    frame[140:200] = -60

    grains, dark = suggested_regions(frame, GRID)

    (target, _) = measure_frame(frame, GRID, [dark, grains])
    assert target.mean_db == -60


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (np.zeros((6, 6)), "too small"),
        (np.full((300, 300), -30.0), "no speckle"),
    ],
)
def test_nothing_to_suggest_is_said(frame: np.ndarray, said: str) -> None:
    grid = PixelGrid(frame.shape, (0.1, 0.1), (0.0, 0.0))
    with pytest.raises(ValueError, match=said):
        suggested_regions(frame, grid)


def test_pixels_without_a_size_get_regions_by_the_size_of_the_frame() -> None:
    frame = speckle(25)
    pixels = PixelGrid(GRID.shape, (1.0, 1.0), (0.0, 0.0))

    grains, _ = suggested_regions(frame, pixels, has_lengths=False)

    # A fifth of 301 pixels, in whole quarters.
    assert np.ptp(grains.points_mm, axis=0) == pytest.approx((60, 60))
