"""Scores with and without a clean reference, against what they should be."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoising.settings import Settings
from napari_usflow.evaluate.criteria import (
    ReferencePsnr,
    ResidualWhiteness,
    unit_frame,
)
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

INFO = {"sigma": 0.1, "grain": (0.2, 0.2)}


def image_of(data: np.ndarray, values: str) -> UltrasoundImage:
    grid = PixelGrid(data.shape[1:], (0.4375, 0.4375), (0.0, 0.0))
    return UltrasoundImage(data.astype(np.float32), values, grid)


def test_psnr_is_that_of_the_error_that_is_left_when_the_offset_is_gone() -> None:
    clean = np.full((20, 20), 0.5, np.float32)
    error = 0.01 * np.where(np.arange(20) % 2, 1.0, -1.0)
    result = (clean + error - 0.04).astype(np.float32)

    fitted = ReferencePsnr(clean).score(0, clean, result, INFO)
    plain = ReferencePsnr(clean, fit_offset=False).score(0, clean, result, INFO)

    assert fitted == pytest.approx(40.0, abs=1e-3)  # an error of 0.01
    assert plain == pytest.approx(10 * np.log10(1 / (0.01**2 + 0.04**2)), abs=1e-3)


def test_offset_is_fitted_where_the_reference_is_not_black() -> None:
    clean = np.zeros((10, 20), np.float32)
    clean[:, :5] = 0.5
    result = clean - np.float32(0.04)

    assert ReferencePsnr(clean).score(0, clean, result, INFO) > 27.9 + 60


def test_each_frame_has_its_own_reference_unless_there_is_one() -> None:
    clean = np.stack([np.full((9, 9), 0.2), np.full((9, 9), 0.6)])
    frame = np.full((9, 9), 0.6, np.float32)

    own = ReferencePsnr(clean, fit_offset=False)
    one = ReferencePsnr(clean[1], fit_offset=False)

    assert own.score(0, frame, frame, INFO) == pytest.approx(
        10 * np.log10(1 / 0.4**2), abs=1e-3
    )
    assert own.score(1, frame, frame, INFO) > 100
    assert one.score(7, frame, frame, INFO) > 100


def test_reference_of_another_size_is_refused() -> None:
    frame = np.zeros((9, 9), np.float32)

    with pytest.raises(ValueError, match=r"\(8, 9\).*\(9, 9\)"):
        ReferencePsnr(np.zeros((8, 9))).score(0, frame, frame, INFO)


def test_white_residual_of_the_right_strength_scores_best() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (200, 200)).astype(np.float32)
    z = np.zeros_like(noise)
    smooth = np.zeros((200, 200), np.float32)
    smooth[::40] = 3.0
    criterion = ResidualWhiteness()

    right = criterion.score(0, noise, z, INFO)
    half_left = criterion.score(0, noise, noise / 2, INFO)
    structure_gone = criterion.score(0, noise + smooth, z, INFO)

    # 24 lags of a white residual of 40000 pixels have an energy of 24 / 40000.
    assert right == pytest.approx(-24 / 40_000, abs=3e-4)
    assert half_left == pytest.approx(-0.25, abs=0.01)
    assert structure_gone < -1


def test_a_wide_grain_is_judged_at_a_pixel_of_its_size() -> None:
    """Noise that repeats twice along x is white in each of two sampled frames."""
    noise = np.random.default_rng(0).normal(0, 0.1, (120, 60)).repeat(2, axis=1)
    noise = noise.astype(np.float32)
    z = np.zeros_like(noise)
    criterion = ResidualWhiteness()

    apart = criterion.score(0, noise, z, {"sigma": 0.1, "grain": (0.2, 1.5)})
    together = criterion.score(0, noise, z, INFO)

    assert apart == pytest.approx(0, abs=0.02)
    assert together == pytest.approx(-0.25, abs=0.03)  # rho is 1/2 at one lag


def test_nothing_taken_away_has_no_score() -> None:
    frame = np.ones((20, 20), np.float32)

    assert np.isnan(ResidualWhiteness().score(0, frame, frame, INFO))


@pytest.mark.parametrize(
    ("values", "data", "expected"),
    [
        ("db", [[-60.0, 0.0]], [[0, 1]]),
        ("display", [[0, 255.0]], [[0, 1]]),
        ("envelope", [[1e-3, 1.0]], [[0, 1]]),
    ],
)
def test_every_kind_of_values_is_brought_to_its_range(values, data, expected) -> None:
    image = image_of(np.array([data]), values)

    unit = unit_frame(image, 0, Settings())

    np.testing.assert_allclose(unit, expected, atol=1e-6)


def test_an_envelope_that_lost_its_peak_keeps_its_level() -> None:
    image = image_of(np.array([[[0.1, 10.0]]]), "envelope")

    unit = unit_frame(image, 0, Settings(), of=np.array([[0.1, 1.0]], np.float32))

    np.testing.assert_allclose(unit, [[1 - 40 / 60, 1 - 20 / 60]], atol=1e-6)
