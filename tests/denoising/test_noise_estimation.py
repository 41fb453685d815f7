"""Noise that is known is measured: its level, its grain, its kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, zoom

from napari_usflow.denoising.noise_estimation import (
    FINEST_GRAIN,
    Noise,
    measured_noise,
    residual_noise,
)
from napari_usflow.training.network.speckle_synthesis import speckle_field

SPECKLE = 5.570 / 60


def speckle(
    grain: tuple[float, float] = (0.8, 1.2), size: int = 192, seed: int = 0
) -> np.ndarray:
    """Fully developed speckle over 60 dB; its mean intensity is at 0.6."""
    field = speckle_field(
        torch.ones(1, size, size),
        torch.tensor([grain]),
        generator=torch.Generator().manual_seed(seed),
    )
    return (0.6 + 20 * field[0].abs().log10() / 60).numpy()


def gaussian(sigma: float, size: int = 128) -> np.ndarray:
    return np.random.default_rng(0).normal(0, sigma, (size, size)).astype(np.float32)


def measured(frame: np.ndarray) -> Noise:
    return measured_noise(frame, device="cpu")


# --------------------------------------------------- with the shipped network


@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_white_noise_is_measured_and_told_from_speckle(sigma: float) -> None:
    z, x = np.mgrid[:128, :128]
    scene = 0.5 + 0.1 * np.sin(z / 20) + 0.1 * (np.hypot(z - 64, x - 64) < 30)

    found = measured((scene + gaussian(sigma)).astype(np.float32))

    assert found.white
    assert found.sigma == pytest.approx(sigma, rel=0.1)
    assert found.grain == pytest.approx(FINEST_GRAIN, abs=0.15)


def scene(size: int = 128) -> np.ndarray:
    z, x = np.mgrid[:size, :size]
    inside = np.hypot(z - 64, x - 64) < 30
    return (0.5 + 0.1 * np.sin(z / 20) + 0.1 * inside).astype(np.float32)


@pytest.mark.parametrize(
    ("sigma", "certainty"), [(0.0, 0), (0.004, 0), (0.03, 1), (0.1, 1)]
)
def test_image_without_noise_is_told_from_one_with_noise(sigma, certainty) -> None:
    assert measured(scene() + gaussian(sigma)).certainty == certainty


def test_noise_in_a_third_of_the_image_is_noise() -> None:
    frame = scene(192)
    frame[:, :80] = speckle(size=192)[:, :80]
    assert measured(frame).certainty == 1


def test_noise_of_a_dark_picture_is_judged_by_its_brightest_tissue() -> None:
    """Half as bright, half as noisy: the same picture at another gain."""
    dark = 0.4 * (scene() + gaussian(0.03))
    assert measured(dark.astype(np.float32)).certainty == 1


@pytest.mark.parametrize("step", [3, 4])
def test_grain_of_many_pixels_is_measured_on_block_means(step: int) -> None:
    """The network takes it for detail: at its own pixel it finds a tenth of it."""
    fine = speckle((1.2, 1.5), size=160)
    oversampled = zoom(fine, step, order=3).astype(np.float32)

    noise = measured(oversampled)

    assert noise.certainty == 1
    assert noise.sigma == pytest.approx(SPECKLE, rel=0.3)
    assert noise.grain == pytest.approx((1.2 * step, 1.5 * step), rel=0.35)


@pytest.mark.parametrize("grain", [(0.3, 0.3), (0.8, 1.2), (1.5, 1.5), (1.8, 2.7)])
def test_speckle_of_any_grain_is_measured(grain: tuple[float, float]) -> None:
    found = measured(speckle(grain))

    assert not found.white
    assert found.sigma == pytest.approx(SPECKLE, rel=0.12)
    assert found.grain == pytest.approx(grain, rel=0.2, abs=0.1)


def test_graphics_and_black_borders_do_not_matter() -> None:
    plain = speckle()
    drawn = plain.copy()
    drawn[:, :50] = 0.0
    drawn[20:28, 60:190] = 1.0
    drawn[100:180:8, 170:190] = 1.0

    found, expected = measured(drawn), measured(plain)

    assert found.sigma == pytest.approx(expected.sigma, rel=0.06)
    assert found.grain == pytest.approx(expected.grain, rel=0.15)
    assert not found.white


def test_of_a_large_frame_the_part_that_shows_something_is_measured() -> None:
    frame = np.zeros((700, 600), np.float32)
    frame[480:, 380:] = speckle(size=256)[:220, :220]

    assert measured(frame).sigma == pytest.approx(SPECKLE, rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (32, 32)])
def test_constant_frame_has_the_least_noise_there_is(shape: tuple[int, int]) -> None:
    assert measured(np.full(shape, 0.4, np.float32)) == Noise(
        0.005, FINEST_GRAIN, white=True, certainty=0.0
    )


@pytest.mark.parametrize("shape", [(1, 40), (3, 5), (9, 30)])
def test_frame_smaller_than_a_window_is_measured_all_the_same(shape) -> None:
    found = measured((0.5 + gaussian(0.1)[: shape[0], : shape[1]]).astype(np.float32))

    assert 0.02 < found.sigma < 0.2
    assert np.isfinite(found.grain).all()


# ------------------------------------------------------- of a known residual


@pytest.mark.parametrize("grain", [(0.5, 0.5), (0.6, 1.0), (1.5, 1.5)])
def test_what_is_taken_away_tells_level_and_grain(grain: tuple[float, float]) -> None:
    frame = speckle(grain)

    found = residual_noise(frame, np.full_like(frame, 0.6))

    assert found.sigma == pytest.approx(SPECKLE, rel=0.07)
    assert found.grain == pytest.approx(grain, rel=0.1, abs=0.05)
    assert not found.white


def test_speckle_without_grain_is_speckle_by_its_skewness() -> None:
    frame = speckle((0.2, 0.2))

    found = residual_noise(frame, np.full_like(frame, 0.6))

    assert not found.white
    # A correlation of 2 % is that of a grain of 0.36.
    assert max(found.grain) < 0.45


def test_only_noise_without_grain_and_skewness_is_white() -> None:
    noise = gaussian(0.1)
    grained = 2 * gaussian_filter(noise, 0.8)
    skewed = (0.1 * np.log(np.random.default_rng(0).exponential(size=(128, 128)))).clip(
        -0.3
    )
    flat = np.full_like(noise, 0.5)

    kinds = [residual_noise(flat + n, flat).white for n in (noise, grained, skewed)]

    assert kinds == [True, False, False]


def test_edges_and_points_in_the_residual_count_little() -> None:
    noise = gaussian(0.05)
    residual = noise.copy()
    residual[64:66] += 0.4
    residual[20, ::16] += 0.5
    flat = np.full_like(noise, 0.5)

    found = residual_noise(flat + residual, flat)

    assert found.sigma == pytest.approx(0.05, rel=0.1)


def test_clipped_grey_is_left_out() -> None:
    frame = 0.5 + gaussian(0.1)
    frame[:, :64] = np.maximum(gaussian(0.1)[:, :64] - 0.1, 0)

    found = residual_noise(frame, np.where(frame < 0.1, 0, 0.5).astype(np.float32))

    assert found.sigma == pytest.approx(0.1, rel=0.1)


def test_the_level_of_a_still_with_little_tissue_is_not_that_of_its_text() -> None:
    """A small sector of speckle in black, among lines of text, a ruler and a bar."""
    draw = pytest.importorskip("PIL.ImageDraw")
    from PIL import Image

    rng = np.random.default_rng(0)
    parts = [gaussian_filter(rng.standard_normal((600, 800)), 1.2) for _ in range(2)]
    amplitude = np.hypot(*parts)
    db = 20 * np.log10(amplitude / np.sqrt((amplitude**2).mean()))
    z, x = np.mgrid[:600, :800]
    radius = np.hypot(z - 60, x - 400)
    inside = (radius > 20) & (radius < 110) & (np.abs(x - 400) < z - 60)
    grey = np.where(inside, np.clip((db + 35) / 60 * 255, 0, 255), 0)
    still = Image.fromarray(grey.astype(np.uint8))
    pen = draw.Draw(still)
    for row in range(14):
        pen.text((20, 40 + 30 * row), f"Gn {40 + row}  DR 60  MI 0.{row}", fill=200)
        pen.line((770, 40 + 26 * row, 778, 40 + 26 * row), fill=255)
    for row in range(150):
        pen.line((740, 60 + row, 752, 60 + row), fill=int(255 - 1.7 * row))

    found = measured(np.asarray(still, np.float32) / 255)

    assert 60 * found.sigma == pytest.approx(5.57, abs=0.6)
