"""The point-spread function, seen through a single scatterer."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.ultrasound.simulate.speckle_field import envelope_events
from napari_usflow.ultrasound.simulate.speckle_grid import PointSpread, fine_grid

PSF = PointSpread(period_mm=0.22, sigma_axial_mm=0.25, sigma_lateral_mm=0.3)


class OneScatterer:
    """Draws a single scatterer, in the middle of all."""

    def standard_normal(self, shape: tuple[int, int], dtype: type) -> np.ndarray:
        drawn = np.zeros(shape, dtype)
        drawn[shape[0] // 2, shape[1] // 2] = 1
        return drawn


def envelope_of_a_point(psf: PointSpread, pixel_mm: tuple[float, float]) -> np.ndarray:
    grid = fine_grid((41, 31), pixel_mm, psf)
    return result_of(
        envelope_events(
            np.ones((41, 31), np.float32),
            grid,
            amplitude=lambda grey: grey,
            scatterers="normal",
            downscale="point",
            rng=OneScatterer(),  # type: ignore[arg-type]
            token=CancelToken(),
        )
    )


@pytest.mark.parametrize("pixel_mm", [(0.05, 0.1), (0.1, 0.07)])
def test_envelope_of_a_point_is_gaussian(pixel_mm: tuple[float, float]) -> None:
    envelope = envelope_of_a_point(PSF, pixel_mm)

    z, x = (np.arange(-20, 21) * pixel_mm[0], np.arange(-15, 16) * pixel_mm[1])
    expected = np.exp(
        -(z[:, None] ** 2) / (2 * 0.25**2) - x[None, :] ** 2 / (2 * 0.3**2)
    )
    np.testing.assert_allclose(envelope / envelope.max(), expected, atol=2e-4)


def test_carrier_has_at_least_eight_samples_in_a_period() -> None:
    for pixel in (0.4375, 0.01, 0.3, 1.0):
        grid = fine_grid((8, 8), (pixel, pixel), PSF)
        assert grid.spacing_mm[0] <= 0.22 / 8 * (1 + 1e-9)
        assert grid.spacing_mm[0] * grid.steps[0] == pytest.approx(pixel)


def test_paper_is_sampled_sixteen_by_four() -> None:
    assert fine_grid((8, 8), (0.4375, 0.4375), PSF).steps == (16, 4)


def test_scatterers_cover_the_whole_point_spread_function() -> None:
    grid = fine_grid((8, 8), (0.4375, 0.4375), PSF)

    for axis, sigma in enumerate((0.25, 0.3)):
        assert grid.margin[axis] * grid.spacing_mm[axis] >= 4 * sigma


def test_period_shorter_than_the_pulse_is_not_assumed() -> None:
    # Hardly a period under the envelope: the sine's own shape remains, odd and without
    # a mean, whose envelope is wider than the Gaussian.
    wide = PointSpread(period_mm=2.0, sigma_axial_mm=0.25, sigma_lateral_mm=0.3)

    envelope = envelope_of_a_point(wide, (0.05, 0.1))

    assert np.isfinite(envelope).all()
    z = np.arange(-20, 21) * 0.05
    profile = envelope[:, 15] / envelope.max()
    assert np.sum(profile > 0.5) * 0.05 > 2.355 * 0.25
    assert (profile[[0, -1]] < 0.1).all() and z[np.argmax(profile)] == 0
