"""Values along lines and bands of a plane, which are known everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.evaluate.profile import band_profile, line_length_mm, line_profile
from napari_usflow.ultrasound.data import PixelGrid

GRID = PixelGrid((301, 301), (0.1, 0.1), (10.0, -15.0))
Z_MM, X_MM = GRID.axes_mm()


def test_profiles_follow_a_plane() -> None:
    plane = 2 * Z_MM[:, None] - 3 * X_MM[None]
    points = [[15.0, -10.0], [25.0, -10.0], [25.0, 10.0]]

    distance, values = line_profile(plane, GRID, points)

    assert line_length_mm(points) == pytest.approx(30)
    assert distance[-1] == pytest.approx(30)
    down = distance < 10
    np.testing.assert_allclose(values[down], 2 * (15 + distance[down]) + 30, atol=1e-6)
    right = distance > 10
    np.testing.assert_allclose(
        values[right], 50 - 3 * (distance[right] - 20), atol=1e-6
    )
    # Beyond the frame there is nothing.
    _, outside = line_profile(plane, GRID, [[15, 0], [15, 30]])
    assert np.isnan(outside).any() and np.isfinite(outside).any()


def test_band_averages_across_its_shorter_side() -> None:
    plane = 2 * Z_MM[:, None] - 3 * X_MM[None]

    distance, values = band_profile(plane, GRID, [[24, -6], [24, 6], [26, 6], [26, -6]])

    assert distance[-1] == pytest.approx(12)
    np.testing.assert_allclose(values, 50 - 3 * (distance - 6), atol=1e-6)
