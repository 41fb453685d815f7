"""The loss as it is drawn: thinned, smoothed, and in a range that shows something."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_usflow._napari.train.loss_curve import Curve, shown_range


def curve_of(values) -> Curve:
    curve = Curve()
    for step, value in enumerate(values, 1):
        curve.append(step, value)
    return curve


def test_short_curve_is_drawn_as_it_is():
    curve = curve_of([3.0, 2.0, 1.0])
    steps, values = curve.raw()
    np.testing.assert_array_equal(steps, [1, 2, 3])
    np.testing.assert_array_equal(values, [3, 2, 1])
    assert len(curve) == 3


def test_long_curve_is_thinned_and_keeps_its_extremes_and_its_end():
    rng = np.random.default_rng(0)
    values = rng.normal(size=100_000)
    values[54_321] = 99.0
    curve = curve_of(values)
    steps, raw = curve.raw()
    assert len(steps) == len(raw) < 2000
    assert raw.max() == 99.0
    assert raw.min() == values.min()
    assert (np.diff(steps) >= 0).all()
    assert curve.smoothed()[0][-1] == 100_000


def test_hundred_thousand_steps_are_ready_to_draw_within_a_frame():
    curve = curve_of(np.zeros(100_000))
    start = time.perf_counter()
    curve.raw()
    curve.smoothed()
    # A sixtieth of a second is a frame; a busy machine is given ten.
    assert time.perf_counter() - start < 10 / 60


def test_smoothed_line_of_a_constant_is_that_constant_from_the_first_step():
    _, smooth = curve_of([5.0] * 200).smoothed()
    np.testing.assert_allclose(smooth, 5.0)


def test_smoothing_averages_noise_away():
    rng = np.random.default_rng(1)
    _, smooth = curve_of(2.0 + rng.normal(size=5000)).smoothed()
    # An exponential average of decay d has (1 - d) / (1 + d) of the variance.
    expected = np.sqrt((1 - 0.98) / (1 + 0.98))
    assert smooth[100:].std() == pytest.approx(expected, rel=0.2)
    assert smooth[100:].mean() == pytest.approx(2.0, abs=0.05)


def test_step_that_was_not_finite_leaves_a_gap_but_does_not_spoil_the_average():
    curve = curve_of([1.0, np.nan, np.inf, 1.0])
    assert np.isnan(curve.raw()[1][1])
    np.testing.assert_allclose(curve.smoothed()[1], 1.0)


def test_range_leaves_out_the_first_steep_steps():
    values = np.concatenate([[1e6, 1e3], np.linspace(2.0, 1.0, 500)])
    low, high = shown_range(values)
    assert low < 1.0
    assert 2.0 < high < 3.0


def test_range_of_a_constant_is_not_empty_and_of_nothing_is_none():
    low, high = shown_range(np.array([4.0, 4.0]))
    assert low < 4.0 < high
    assert shown_range(np.array([np.nan])) is None
