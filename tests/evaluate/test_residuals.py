"""Residuals and offsets against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.evaluate.residuals import (
    amplitude_ratio_db,
    fitted_offset,
    mean_bias,
    residual_report,
    residual_whiteness,
)


def white(seed: int = 0, size: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(size, size))


def test_white_noise_has_the_energy_of_its_finite_size() -> None:
    found = np.mean([residual_whiteness(white(seed, 100)) for seed in range(20)])

    # 24 lags of variance 1 / N each; the mean of 20 is known to about 7 %.
    assert found == pytest.approx(24 / 100**2, rel=0.25)


@pytest.mark.parametrize("axis", [0, 1])
def test_sum_of_two_neighbours_is_half_correlated(axis: int) -> None:
    noise = white()
    moving = noise + np.roll(noise, 1, axis)

    # rho = 1/2 one pixel along the axis and 0 elsewhere
    assert residual_whiteness(moving) == pytest.approx(0.25, abs=0.01)


def test_lags_in_both_diagonal_directions_count() -> None:
    noise = white()
    for shift in (1, -1):
        moving = noise + np.roll(noise, (1, shift), (0, 1))

        assert residual_whiteness(moving, max_lag=2) == pytest.approx(0.25, abs=0.01)


def test_a_checkerboard_is_fully_correlated_at_every_lag() -> None:
    board = np.indices((40, 40)).sum(axis=0) % 2

    # |rho| = 1 at the 4 lags up to 1, and at the 12 up to 2
    assert residual_whiteness(board, max_lag=1) == pytest.approx(4, rel=0.01)
    assert residual_whiteness(board, max_lag=2) == pytest.approx(12, rel=0.01)


def test_structure_in_the_residual_raises_it() -> None:
    noise = white()
    edge = np.where(np.arange(400) < 200, 1.0, -1.0)

    # noise of variance 1 and structure of variance 1: rho is about 1/2 at all 24 lags
    assert residual_whiteness(noise + edge) == pytest.approx(24 / 4, rel=0.05)


def test_level_and_scale_of_a_residual_do_not_matter() -> None:
    noise = white(size=50)

    assert residual_whiteness(3 * noise - 7) == pytest.approx(residual_whiteness(noise))


def test_a_constant_residual_has_no_whiteness() -> None:
    assert np.isnan(residual_whiteness(np.full((9, 9), 0.25)))


def test_mean_bias_is_result_minus_reference() -> None:
    reference = white(size=20)

    assert mean_bias(reference - 2.5, reference) == pytest.approx(-2.5)


def test_mean_of_log_speckle_lies_euler_gamma_below_the_log_of_its_mean() -> None:
    intensity = np.random.default_rng(1).exponential(size=400_000)

    # E[ln I] = -gamma for an exponential of mean 1: 10 gamma / ln 10 = 2.507 dB
    found = fitted_offset(10 * np.log10(intensity), np.zeros_like(intensity))

    assert found == pytest.approx(10 * np.euler_gamma / np.log(10), abs=0.04)


def test_fitted_offset_is_the_best_of_all() -> None:
    result, reference = white(2, 30), white(3, 30) + 4
    best = fitted_offset(result, reference)

    errors = [np.mean((result + best + d - reference) ** 2) for d in (-0.01, 0, 0.01)]

    assert np.argmin(errors) == 1


def test_an_offset_is_fitted_within_its_region() -> None:
    result = np.array([[0.0, 1.0], [50.0, 3.0]])
    reference = np.array([[2.0, 3.0], [0.0, 5.0]])

    assert fitted_offset(result, reference, reference > 0) == pytest.approx(2)
    with pytest.raises(ValueError, match="empty"):
        fitted_offset(result, reference, reference > 9)


def test_frames_of_different_shape_are_refused() -> None:
    for compare in (mean_bias, fitted_offset):
        with pytest.raises(ValueError, match="differ"):
            compare(np.zeros((2, 3)), np.zeros((3, 2)))


def test_white_noise_that_was_taken_away_is_called_white_and_even() -> None:
    report = residual_report(2.0 * white(size=256) + 0.5)

    assert report is not None
    assert report.is_white and report.is_even
    assert report.std == pytest.approx(2.0, rel=0.02)
    assert report.mean == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(report.lengths, 1.0, atol=0.15)


def test_speckle_that_was_taken_away_is_correlated_over_its_grains() -> None:
    from scipy.ndimage import gaussian_filter

    # Gaussian smoothing of width s gives rho = exp(-t^2 / (4 s^2)), whose sum over all
    # lags is 2 s sqrt(pi).
    report = residual_report(gaussian_filter(white(size=256), (0.8, 1.2)))

    assert report is not None
    assert not report.is_white
    assert report.is_even
    assert report.lengths[0] == pytest.approx(2 * 0.8 * np.sqrt(np.pi), rel=0.12)
    assert report.lengths[1] == pytest.approx(2 * 1.2 * np.sqrt(np.pi), rel=0.12)


def test_an_edge_that_was_taken_away_is_found() -> None:
    residual = white(size=256)
    residual[100:120] += 6.0 * np.sign(np.arange(20) - 9.5)[:, None]

    report = residual_report(residual)

    assert report is not None
    assert not report.is_even
    # Rows 96 to 127 are one of eight rows of windows.
    assert report.strong_share == pytest.approx(1 / 8)


def test_nothing_taken_away_and_a_tiny_frame_give_no_report() -> None:
    assert residual_report(np.zeros((100, 100))) is None
    assert residual_report(white()[:20]) is None


def test_pixels_that_are_not_there_do_not_count() -> None:
    residual = white(size=256)
    residual[:, :64] = np.nan

    report = residual_report(residual)

    assert report is not None
    assert report.std == pytest.approx(1.0, rel=0.02)


def test_ratio_of_amplitudes_is_in_decibels_and_finite_at_zero() -> None:
    before = np.array([[1.0, 10.0, 0.0, 0.0]])
    after = np.array([[1.0, 1.0, 0.0, 10.0]])

    ratio = amplitude_ratio_db(before, after)

    np.testing.assert_allclose(ratio, [[0.0, 20.0, 0.0, -120.0]], atol=1e-4)
