"""Axes of the benchmark's figure: sparing, with times said as people say them."""

from __future__ import annotations

from typing import Any

__all__ = ["Styles", "spare", "time_ticks"]

Styles = dict[str, dict[str, Any]]
"""Of each label, see :func:`~napari_usflow.evaluate.figures.line_styles`."""

_TICKS = {
    1e-4: "0.1 ms",
    1e-3: "1 ms",
    1e-2: "10 ms",
    1e-1: "0.1 s",
    1.0: "1 s",
    10.0: "10 s",
    60.0: "1 min",
    600.0: "10 min",
    3600.0: "1 h",
}


def spare(axis: Any) -> None:
    """Leave out of the axes what says nothing."""
    axis.grid(color="0.93", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)


def time_ticks(axis: Any, low: float, high: float, *, which: str = "x") -> None:
    """Label a logarithmic axis of seconds as people say times."""
    ticks = {t: name for t, name in _TICKS.items() if low <= t <= high}
    set_ticks = axis.set_xticks if which == "x" else axis.set_yticks
    set_ticks(list(ticks), list(ticks.values()))
    set_ticks([], minor=True)
