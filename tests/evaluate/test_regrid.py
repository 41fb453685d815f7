"""Frames on other grids: values of a plane are known everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.evaluate.regrid import covered, resampled

Z, X = np.mgrid[:40, :30]
PLANE = (2.0 * Z - 3.0 * X).astype(np.float32)


def turn(degrees: float) -> np.ndarray:
    a = np.deg2rad(degrees)
    return np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])


@pytest.mark.parametrize("matrix", [np.eye(2), np.diag([0.5, 2.0]), turn(20)])
def test_a_plane_is_met_at_every_pixel_inside(matrix: np.ndarray) -> None:
    offset, shape = np.array([12.25, 7.5]), (25, 12)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    z = matrix[0, 0] * rows + matrix[0, 1] * columns + offset[0]
    x = matrix[1, 0] * rows + matrix[1, 1] * columns + offset[1]

    sampled = resampled(PLANE, matrix, offset, shape)

    inside = (z >= 0) & (z <= 39) & (x >= 0) & (x <= 29)
    assert inside.any()
    np.testing.assert_allclose(sampled[inside], (2 * z - 3 * x)[inside], atol=1e-3)
    outside = (z < -0.5) | (z > 39.5) | (x < -0.5) | (x > 29.5)
    assert np.isnan(sampled[outside]).all()
    assert np.isfinite(sampled[~outside]).all()


def test_rounding_loses_no_pixel_at_the_edge() -> None:
    step = np.diag([0.1 + 0.2, 0.3]) / 0.3
    sampled = resampled(PLANE, step, np.array([-1e-9, 1e-9]), PLANE.shape)

    np.testing.assert_allclose(sampled, PLANE, atol=1e-3)


def test_nothing_is_covered_by_a_frame_that_lies_elsewhere() -> None:
    assert not covered((40, 30), np.eye(2), np.array([100.0, 0.0]), (5, 5)).any()
    assert covered((40, 30), np.eye(2), np.zeros(2), (40, 30)).all()
