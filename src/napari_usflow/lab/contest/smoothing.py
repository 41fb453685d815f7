"""Bringing filters to the same smoothing, so that they are compared on equal terms.

A filter can buy contrast with smoothing. Here each gets the strength at which the
speckle that it leaves in homogeneous regions is as strong as that which another
leaves; what it does to edges and points can then be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, fields
from math import exp, log
from typing import Any

from napari_usflow.denoising.algorithms import method_class
from napari_usflow.jobs import Event, share_of

__all__ = [
    "STRENGTHS",
    "Match",
    "Strength",
    "match_events",
    "window_parameters",
]


@dataclass(frozen=True)
class Strength:
    """The parameter that says how strongly a method smooths, and where it is sought."""

    name: str
    low: float
    high: float


STRENGTHS = {
    "nlm": Strength("h", 0.05, 10.0),
    "obnlm": Strength("h", 0.05, 10.0),
    "srad": Strength("variation", 0.1, 5.0),
    "tv": Strength("weight", 0.05, 20.0),
}
"""The methods whose smoothing can be chosen."""

_WINDOWS = {
    "nlm": ("patch_size", "patch_distance"),
    "obnlm": ("search_radius", "block_radius"),
}
"""The parameters in pixels, which a finer grid needs larger for the same tissue."""

_TRIES = 9
_PLATEAU = 0.1


@dataclass(frozen=True)
class Match:
    """The strength that was found, and the spread in dB that it leaves."""

    strength: float
    spread_db: float


def window_parameters(method: str, factor: int) -> dict[str, int]:
    """Return a method's windows on a grid so many times as fine, within their limits.

    Odd sides stay odd.
    """
    defaults = method_class(method).Params()
    most = {field.name: field.metadata["maximum"] for field in fields(defaults)}
    sides = {name: getattr(defaults, name) for name in _WINDOWS.get(method, ())}
    return {
        name: min(side * factor | side & 1, most[name]) for name, side in sides.items()
    }


def match_events(
    spread_db: Callable[[Any], Generator[Event, None, float]],
    target_db: float,
    parameter: Strength,
    *,
    tolerance: float = 0.02,
) -> Generator[Event, None, Match]:
    """Find the strength at which the spread that is left meets a target.

    By bisection of the logarithm of the strength; the spread falls as it rises. Some
    filters come to a floor above the target, however strong they are, and from there
    on only blur: of the strengths tried that leave as little, to a tenth of the
    target, the weakest is taken.

    Parameters
    ----------
    spread_db : callable
        Takes a strength, gives a generator of events that returns the spread in dB.
    target_db : float
    parameter : Strength
        Where to look.
    tolerance : float
        Relative error of the spread at which the search ends.

    Returns
    -------
    Match
        The best that was tried.
    """
    low, high = log(parameter.low), log(parameter.high)
    tries: list[Match] = []
    for number in range(_TRIES):
        strength = exp((low + high) / 2)
        run = spread_db(strength)
        score = yield from share_of(run, number, _TRIES, parameter.name)
        tries.append(Match(strength, score))
        if _miss(tries[-1], target_db) <= tolerance * target_db:
            return tries[-1]
        if score > target_db:
            low = log(strength)
        else:
            high = log(strength)
    closest = min(tries, key=lambda match: _miss(match, target_db))
    if any(match.spread_db < target_db for match in tries):
        return closest
    as_close = (
        match
        for match in tries
        if abs(match.spread_db - closest.spread_db) <= _PLATEAU * target_db
    )
    return min(as_close, key=lambda match: match.strength)


def _miss(match: Match, target_db: float) -> float:
    return abs(match.spread_db - target_db)
