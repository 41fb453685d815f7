"""Noise levels are recovered from images whose noise is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_usflow.denoise.noise import (
    speckle_correlation,
    speckle_std,
    white_noise_std,
)
from napari_usflow.ultrasound.speckle_statistics import gaussian_psf_correlation


def log_speckle(shape: tuple[int, int], seed: int, psf_px: float = 0.0) -> np.ndarray:
    """Fully developed speckle in dB, with a Gaussian point-spread function."""
    rng = np.random.default_rng(seed)
    field = rng.standard_normal((2, *shape))
    if psf_px:
        field = gaussian_filter(field, (0, psf_px, psf_px))
    return 10 * np.log10((field**2).sum(axis=0))


@pytest.mark.parametrize("sigma", [0.1, 0.2, 0.3])
def test_white_noise_is_recovered_within_five_per_cent(sigma: float) -> None:
    z, x = np.mgrid[:192, :192]
    clean = 0.5 + 0.3 * np.sin(z / 20) + 0.2 * (np.hypot(z - 96, x - 96) < 40)
    noisy = clean + np.random.default_rng(1).normal(0, sigma, clean.shape)

    assert white_noise_std([noisy]) == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_white_speckle_is_recovered_within_five_per_cent(seed: int) -> None:
    speckle = log_speckle((128, 128), seed)

    assert speckle_std([speckle]) == pytest.approx(5.570, rel=0.05)


@pytest.mark.parametrize("psf_px", [0.5, 0.7, 1.0])
def test_correlated_speckle_is_recovered_where_wavelets_fail(psf_px: float) -> None:
    speckle = log_speckle((192, 192), 0, psf_px)

    assert speckle_std([speckle]) == pytest.approx(5.570, rel=0.07)
    assert white_noise_std([speckle]) < 0.93 * 5.570


def test_speckle_estimate_ignores_edges_and_brightness() -> None:
    speckle = log_speckle((128, 128), 2)
    z, x = np.mgrid[:128, :128]
    speckle += np.where(np.hypot(z - 64, x - 64) < 30, -25.0, 0.0) - 0.1 * z

    assert speckle_std([speckle]) == pytest.approx(5.570, rel=0.07)


def test_black_border_does_not_count() -> None:
    speckle = log_speckle((128, 128), 3)
    speckle[:, :70] = -60.0

    assert speckle_std([speckle]) == pytest.approx(5.570, rel=0.07)


def test_flat_grey_near_black_does_not_count() -> None:
    speckle = log_speckle((128, 128), 6, psf_px=0.7)
    z = np.arange(128)[:, None]
    # Tissue at the top half of a 60 dB map; below, the map has a tenth of its slope.
    grey = np.where(z < 40, 0.6 + speckle / 60, 0.03 + speckle / 600)

    assert speckle_std([grey], above=0.1) == pytest.approx(5.570 / 60, rel=0.07)
    assert speckle_std([grey]) < 0.02


def test_image_that_is_dark_all_over_is_measured_all_the_same() -> None:
    speckle = log_speckle((96, 96), 7) / 600

    assert speckle_std([speckle], above=0.1) == speckle_std([speckle])


def test_interleaved_images_are_pooled() -> None:
    speckle = log_speckle((96, 96), 4)
    parts = [speckle[i::3, j::3] for i in range(3) for j in range(3)]

    assert speckle_std(parts) == pytest.approx(5.570, rel=0.06)


@pytest.mark.parametrize("estimate", [speckle_std, white_noise_std])
def test_estimates_scale_with_the_image_and_ignore_its_level(estimate) -> None:
    speckle = log_speckle((64, 64), 5)

    assert estimate([3 * speckle + 7]) == pytest.approx(
        3 * estimate([speckle]), rel=0.02
    )


@pytest.mark.parametrize("estimate", [speckle_std, white_noise_std])
@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (32, 32)])
def test_nothing_to_see_gives_zero(estimate, shape: tuple[int, int]) -> None:
    assert estimate([np.full(shape, -60.0, np.float32)]) < 1e-9
    assert estimate([]) == 0.0


@pytest.mark.parametrize("psf_px", [0.0, 1.0])
def test_correlation_of_speckle_is_found_among_edges_and_voids(psf_px: float) -> None:
    speckle = log_speckle((192, 192), 6, psf_px)
    z, x = np.mgrid[:192, :192]
    speckle += np.where(np.hypot(z - 64, x - 64) < 30, -25.0, 0.0)
    speckle[:, 150:] = -60.0

    rho = speckle_correlation(speckle.astype(np.float32), 3)

    expected = np.zeros((7, 7))
    expected[3, 3] = 1
    if psf_px:
        expected = gaussian_psf_correlation(3, pixel_size_mm=1, sigma_mm=(psf_px,) * 2)
    np.testing.assert_allclose(rho, expected, atol=0.06)


@pytest.mark.parametrize("shape", [(1, 1), (12, 40), (32, 32)])
def test_image_without_speckle_has_no_correlation(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"has no homogeneous window of 16 x 16"):
        speckle_correlation(np.full(shape, -60.0, np.float32))
