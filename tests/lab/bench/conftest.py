"""A benchmark of made-up methods: foretold times, no processes, no noise worth it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from lab.bench.fakes import Clock, Timed, apart_taking
from napari_usflow.lab.bench import entrants
from napari_usflow.lab.bench import measurements as cells
from napari_usflow.lab.bench.contest import bench_events
from napari_usflow.lab.bench.process import CLOCKS

COSTS = {"skimage-nlm": [10.0], "tv": [2.0], "srad": [40.0]}


@dataclass
class Bench:
    """Runs ``bench_events`` on stand-ins.

    ``turns`` are the calls in this process, ``apart`` those in processes.
    """

    run: Callable
    clock: Clock
    turns: list = field(default_factory=list)
    apart: list = field(default_factory=list)
    costs: dict = field(default_factory=lambda: dict(COSTS))
    failing: dict = field(default_factory=dict)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Bench:
    made = Bench(None, Clock())

    def events(self, token, *, decibels=True):
        yield from ()
        costs = made.costs[self.method]
        return Timed(self.method, made.clock, costs, made.turns, shift=-0.02)

    def run(**wanted):
        given = {"methods": ["tv", "srad"], "sizes": ["32x32"], "workers": ()}
        fake = apart_taking(made.costs, made.apart, made.failing)
        monkeypatch.setattr(cells, "apart_events", fake)
        return bench_events(**{"fits": tmp_path / "fits", **given, **wanted})

    monkeypatch.setattr(entrants.Entrant, "events", events)
    monkeypatch.setitem(CLOCKS, "wall", made.clock)
    made.run = run
    return made
