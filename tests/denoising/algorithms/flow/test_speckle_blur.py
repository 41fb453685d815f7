"""The blur of a log-compressed image, and measuring it in the speckle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_usflow.denoising.algorithms.flow.speckle_blur import (
    SpeckleBlur,
    neighbour_correlation,
)

RATE = 6 * np.log(10)


def speckle(sigma_px: tuple[float, float], size: int = 256) -> np.ndarray:
    """Log-compressed fully developed speckle; sigma of the envelope, in pixels."""
    rng = np.random.default_rng(0)
    fine = 4  # samples in a pixel
    noise = rng.standard_normal((2, fine * size, fine * size))
    field = [
        gaussian_filter(n, [fine * s for s in sigma_px], mode="wrap") for n in noise
    ]
    intensity = (field[0] ** 2 + field[1] ** 2)[::fine, ::fine]
    return np.log(intensity / intensity.mean()) / RATE


def test_flat_image_stays() -> None:
    blur = SpeckleBlur((0.3, 0.5), RATE)

    np.testing.assert_allclose(blur.apply(np.full((9, 12), 0.4)), 0.4, atol=1e-12)


def test_bright_pixel_spills_by_the_squared_point_spread_function() -> None:
    """Of an envelope of 0.6 pixels: exp(-1 / 0.36) of the intensity next to it."""
    q = float(np.exp(-1 / (2 * 0.6**2)))
    image = np.full((15, 15), -3.0)  # 180 dB below
    image[7, 7] = 1.0

    spill = SpeckleBlur((q, 0.0), RATE).apply(image)

    drop_db = 60 * (spill[7, 7] - spill[8, 7])
    assert drop_db == pytest.approx(10 * np.log10(np.e) / 0.36, rel=1e-6)
    assert spill[7, 8] == pytest.approx(-3.0, abs=1e-6)


def test_transpose_is_that_of_the_derivative() -> None:
    rng = np.random.default_rng(0)
    blur = SpeckleBlur((0.2, 0.35), RATE)
    x, direction, residual = (rng.random((12, 10)) for _ in range(3))
    step = 1e-6

    ahead, behind = blur.apply(x + step * direction), blur.apply(x - step * direction)
    forwards = float(np.sum(residual * (ahead - behind) / (2 * step)))

    back = blur.transpose(x, blur.apply(x), residual)
    assert float(np.sum(back * direction)) == pytest.approx(forwards, rel=1e-6)


def test_no_blur_passes_residuals_on() -> None:
    rng = np.random.default_rng(0)
    x, residual = rng.random((2, 12, 10))
    blur = SpeckleBlur((0.0, 0.0), RATE)

    np.testing.assert_allclose(blur.apply(x), x, atol=1e-12)
    np.testing.assert_allclose(blur.transpose(x, x, residual), residual, rtol=1e-9)


def test_speckle_tells_its_point_spread_function() -> None:
    sigma_px = (0.25 / 0.4375, 0.3 / 0.4375)

    found = SpeckleBlur.measured(speckle(sigma_px), RATE).neighbour

    expected = [np.exp(-1 / (2 * s**2)) for s in sigma_px]
    assert found == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("shape", [(200, 200), (1, 200), (5, 5)])
def test_white_or_too_small_noise_is_no_blur(shape: tuple[int, int]) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(shape)

    assert SpeckleBlur.measured(noise, RATE).neighbour == pytest.approx(
        (0, 0), abs=0.05
    )


def test_noise_that_is_all_the_same_is_no_blur() -> None:
    assert SpeckleBlur.measured(np.full((30, 30), 0.1), RATE).neighbour == (0.0, 0.0)


def test_width_that_is_told_is_that_of_a_point_in_the_envelope() -> None:
    """The envelope of a point falls by 6.02 dB half a width away, here at 2 pixels."""
    image = np.full((41, 41), -6.0)
    image[20, 20] = 1.0

    told = SpeckleBlur((0.0, neighbour_correlation(4.0)), RATE).apply(image)

    assert 60 * (told[20, 20] - told[20, 22]) == pytest.approx(6.0206, rel=1e-3)
    assert 60 * (told[20, 20] - told[20, 26]) == pytest.approx(9 * 6.0206, rel=1e-2)


def test_width_that_is_told_agrees_with_the_measured_one() -> None:
    sigma_px = (0.25 / 0.4375, 0.3 / 0.4375)
    widths = [2 * np.sqrt(2 * np.log(2)) * s for s in sigma_px]

    measured = SpeckleBlur.measured(speckle(sigma_px), RATE).neighbour

    assert [neighbour_correlation(w) for w in widths] == pytest.approx(
        measured, abs=0.03
    )
