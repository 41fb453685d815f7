"""The strength at which a filter leaves as much speckle as another."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import fields

import pytest

from napari_usflow.denoising.algorithms import method_class
from napari_usflow.jobs import Event, Progress, result_of
from napari_usflow.lab.contest.smoothing import (
    STRENGTHS,
    Strength,
    match_events,
    window_parameters,
)


def filter_that_leaves(law) -> tuple[list[float], object]:
    tried: list[float] = []

    def spread(strength: float) -> Generator[Event, None, float]:
        tried.append(strength)
        yield Progress(1, 1)
        return law(strength)

    return tried, spread


def test_the_strength_is_found_where_the_spread_is_that_of_the_other() -> None:
    tried, spread = filter_that_leaves(lambda h: 5.57 / (1 + h))

    match = result_of(match_events(spread, 1.0, Strength("h", 0.1, 20), tolerance=0.01))

    # 5.57 / (1 + h) = 1
    assert match.strength == pytest.approx(4.57, rel=0.015)
    assert match.spread_db == pytest.approx(1.0, rel=0.01)
    assert len(tried) < 10


@pytest.mark.parametrize(("target", "end"), [(0.01, 20), (5.5, 0.1)])
def test_a_target_out_of_reach_ends_near_the_limit(target: float, end: float) -> None:
    _, spread = filter_that_leaves(lambda h: 5 / (1 + h))

    match = result_of(match_events(spread, target, Strength("h", 0.1, 20)))

    assert match.strength == pytest.approx(end, rel=0.02)
    assert match.spread_db == 5 / (1 + match.strength)


def test_a_filter_that_only_blurs_beyond_its_floor_is_not_driven_further() -> None:
    # Leaves 0.57 dB and never less, whatever its strength above one.
    tried, spread = filter_that_leaves(lambda h: 0.57 + max(0.0, 1.0 - h))

    match = result_of(match_events(spread, 0.54, Strength("h", 0.05, 10.0)))

    assert max(tried) > 9.0
    assert match.strength == min(h for h in tried if h >= 0.95)


def test_the_best_that_was_tried_is_given_where_a_filter_is_not_steady() -> None:
    # Meets the target at the first try, then never comes as near again.
    values = iter([1.1, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0])
    tried, spread = filter_that_leaves(lambda h: next(values))

    match = result_of(match_events(spread, 1.0, Strength("h", 0.1, 10)))

    assert match.spread_db == 1.1
    assert match.strength == tried[0]


@pytest.mark.parametrize("method", STRENGTHS)
def test_every_strength_is_a_parameter_within_its_limits(method: str) -> None:
    strength = STRENGTHS[method]
    (field,) = (
        f for f in fields(method_class(method).Params) if f.name == strength.name
    )

    assert field.metadata["minimum"] <= strength.low < strength.high
    assert strength.high <= field.metadata["maximum"]


def test_windows_grow_with_the_grid_and_odd_sides_stay_odd() -> None:
    defaults = method_class("nlm").Params()

    windows = window_parameters("nlm", 2)

    assert windows["patch_size"] == 2 * defaults.patch_size + 1
    assert windows["patch_distance"] == 2 * defaults.patch_distance
    assert window_parameters("tv", 2) == {}
    for method in ("nlm", "obnlm"):
        for factor in (3, 20):  # the second is beyond what the parameters may be
            method_class(method)(
                method_class(method).Params(**window_parameters(method, factor))
            )
