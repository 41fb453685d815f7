"""A volume's own noise is found where it is known, and can be cleaned."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_usflow.mri.acquisition_noise import (
    OwnNoise,
    clean_slice,
    estimate_own_noise,
)
from napari_usflow.mri.resampling import resample_slices


def phantom(seed: int, size: int = 192) -> np.ndarray:
    """Ellipses on an ellipse in air, under a slow shading, blurred as a scan is."""
    rng = np.random.default_rng(seed)
    z, x = np.mgrid[:size, :size] / size
    body = ((z - 0.5) / 0.45) ** 2 + ((x - 0.5) / 0.4) ** 2 < 1
    image = np.where(body, 0.4, 0.0)
    for _ in range(20):
        r, c = rng.uniform(0.15, 0.85, 2)
        a, b = rng.uniform(0.02, 0.15, 2)
        inside = ((z - r) / a) ** 2 + ((x - c) / b) ** 2 < 1
        image[inside & body] += rng.uniform(-0.15, 0.3)
    shading = 1 + 0.2 * np.sin(3 * z) + 0.2 * np.cos(2 * x)
    return ndimage.gaussian_filter(np.clip(image, 0, 1) * shading, 0.7)


def noise_like(shape, std: float, band: float, rng) -> np.ndarray:
    """White noise, of which a filled k-space leaves the middle."""
    spectrum = np.fft.fft2(rng.standard_normal(shape))
    for axis in (0, 1):
        low = np.abs(np.fft.fftfreq(shape[axis])) <= 0.5 * band
        spectrum *= np.expand_dims(low, 1 - axis)
    noise = np.fft.ifft2(spectrum).real
    return std * noise / noise.std()


@pytest.mark.parametrize("kind", ["gaussian", "rician"])
@pytest.mark.parametrize("band", [1.0, 0.7, 0.5])
@pytest.mark.parametrize("std", [0.005, 0.02, 0.06])
def test_noise_is_estimated_within_15_percent(kind, band, std) -> None:
    rng = np.random.default_rng(7)
    slices = []
    for seed in range(3):
        clean = phantom(seed)
        real, imaginary = (noise_like(clean.shape, std, band, rng) for _ in range(2))
        noisy = clean + real
        if kind == "rician":
            noisy = np.hypot(noisy, imaginary)
        slices.append(noisy.astype(np.float32))
    found = estimate_own_noise(slices)
    assert found.std == pytest.approx(std, rel=0.15)
    assert found.band == pytest.approx(band, abs=0.08)


def test_air_does_not_count() -> None:
    # Rician noise in the air has 0.655 of the standard deviation it has in tissue.
    rng = np.random.default_rng(0)
    image = np.zeros((200, 200))
    image[80:120, 80:120] = 0.8
    noisy = np.hypot(
        image + 0.05 * rng.standard_normal(image.shape),
        0.05 * rng.standard_normal(image.shape),
    ).astype(np.float32)
    assert estimate_own_noise([noisy]).std == pytest.approx(0.05, rel=0.15)


def test_nothing_is_claimed_of_air_alone() -> None:
    air = np.abs(0.02 * np.random.default_rng(0).standard_normal((64, 64)))
    assert estimate_own_noise([air.astype(np.float32)]).std == 0.0


@pytest.mark.parametrize("pixel", [0.2, 0.4375, 1.0])
@pytest.mark.parametrize("band", [1.0, 0.6])
def test_noise_at_the_priors_pixel_is_what_resampling_leaves(pixel, band) -> None:
    rng = np.random.default_rng(3)
    noise = 0.5 + noise_like((200, 220), 0.03, band, rng)[None].astype(np.float32)
    left = resample_slices(noise, (pixel, pixel), 0.4375).std()
    given = OwnNoise(0.03, band).at_pixel((pixel, pixel), 0.4375)
    assert given == pytest.approx(left, rel=0.06)


def test_cleaning_takes_noise_and_leaves_edges() -> None:
    clean = phantom(0).astype(np.float32)
    rng = np.random.default_rng(0)
    noisy = clean + 0.03 * rng.standard_normal(clean.shape).astype(np.float32)
    result = clean_slice(noisy, OwnNoise(0.03))
    assert result.dtype == np.float32
    assert np.std(result - clean) < 0.55 * 0.03
    steep = ndimage.gaussian_gradient_magnitude(clean, 1.0) > 0.05
    assert np.mean((result - clean)[steep]) == pytest.approx(0.0, abs=0.005)


def test_cleaning_without_noise_changes_nothing() -> None:
    image = phantom(1).astype(np.float32)
    np.testing.assert_array_equal(clean_slice(image, OwnNoise(0.0)), image)
