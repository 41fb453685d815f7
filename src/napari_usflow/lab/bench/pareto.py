"""Quality against time: who is best in which time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from napari_usflow.evaluate.figures import shown_name
from napari_usflow.lab.bench.axes import Styles, spare, time_ticks
from napari_usflow.lab.bench.scores import BenchScore, duration
from napari_usflow.lab.bench.tables import front, measured

__all__ = ["draw_front", "name_points"]

_LIVE_S = 1 / 25
_STRIP = 0.055  # height of the strip of the best, of the axis
_MARGIN = 2.5  # of the time axis, as a factor

# Offsets in points and alignments of a name, the best first.
_ABOVE_STAIRS = [
    (-4, 6, "right", "bottom"),
    (0, 9, "center", "bottom"),
    (-6, 8, "left", "bottom"),
]
_BESIDE = [
    (8, 0, "left", "center"),
    (0, 8, "center", "bottom"),
    (0, -8, "center", "top"),
    (-8, 0, "right", "center"),
    (7, 7, "left", "bottom"),
    (7, -7, "left", "top"),
    (-7, 7, "right", "bottom"),
    (-7, -7, "right", "top"),
    (7, 17, "left", "bottom"),
    (7, -17, "left", "top"),
    (-7, 17, "right", "bottom"),
    (-7, -17, "right", "top"),
]
_POINT = 8  # half the side of the square that a point keeps free, in pixels
_LINE = 2  # the same of a stair


def draw_front(
    axis: Any, scores: Sequence[BenchScore], metric: str, styles: Styles
) -> None:
    """Quality against time, the Pareto front as stairs, who is best as a strip."""
    scores = [s for s in scores if measured(s, metric)]
    axis.set_xscale("log")
    spare(axis)
    axis.set_ylabel("PSNR (dB)", fontsize=9)
    if not scores:
        return
    best = front(scores, metric)
    times = [s.seconds for s in scores]
    left, right = min(times) / _MARGIN, max(times) * 2 * _MARGIN
    values = [getattr(s, metric) for s in scores]
    span = max(values) - min(values) or 1.0
    low, high = min(values) - 0.22 * span, max(values) + 0.12 * span
    axis.set_xlim(left, right)
    axis.set_ylim(low, high)
    time_ticks(axis, left, right)
    if left < _LIVE_S < right:
        axis.axvline(_LIVE_S, color="0.75", linewidth=0.8, linestyle=(0, (4, 3)))
        axis.text(
            _LIVE_S,
            high,
            " 25 frames/s",
            fontsize=7.5,
            color="0.5",
            va="top",
            ha="left",
        )
    steps = [(s.seconds, getattr(s, metric)) for s in best]
    x = [t for t, _ in steps] + [right]
    y = [v for _, v in steps] + [steps[-1][1]]
    axis.step(x, y, where="post", color="0.3", linewidth=1.2, zorder=1)
    axis.fill_between(x, y, low, step="post", color="0.955", linewidth=0, zorder=0)
    for score in scores:
        color, leads = styles[score.label]["color"], score in best
        axis.plot(
            score.seconds,
            getattr(score, metric),
            "o",
            color=color,
            markersize=8 if leads else 5.5,
            markerfacecolor=color if leads else "white",
            markeredgewidth=1.3,
            zorder=3,
        )
    _draw_strip(axis, best, right, styles)


def _draw_strip(
    axis: Any, best: Sequence[BenchScore], right: float, styles: Styles
) -> None:
    """Label the best method for each time along the time axis."""
    from matplotlib.transforms import blended_transform_factory

    across = blended_transform_factory(axis.transData, axis.transAxes)
    ends = [*(s.seconds for s in best[1:]), right]
    log = axis.transScale.transform
    whole = log((right, 1))[0] - log((axis.get_xlim()[0], 1))[0]
    for score, end in zip(best, ends, strict=True):
        axis.barh(
            _STRIP / 2,
            end - score.seconds,
            _STRIP,
            left=score.seconds,
            color=styles[score.label]["color"],
            alpha=0.85,
            transform=across,
            edgecolor="white",
            linewidth=1,
            zorder=2,
        )
        share = (log((end, 1))[0] - log((score.seconds, 1))[0]) / whole
        name = shown_name(score.label)
        if share > 0.014 * len(name):
            axis.text(
                (end * score.seconds) ** 0.5,
                _STRIP / 2,
                name,
                transform=across,
                color="white",
                fontsize=7.5,
                ha="center",
                va="center_baseline",
                zorder=4,
            )


def name_points(
    axis: Any, scores: Sequence[BenchScore], metric: str, styles: Styles
) -> None:
    """Write each method's name and time where no name, point or stair is.

    The figure must have its final layout.
    """
    scores = [s for s in scores if measured(s, metric)]
    if not scores:
        return
    best = front(scores, metric)
    inside = axis.get_window_extent()
    taken = _occupied(axis, scores, best, metric)
    for score in sorted(scores, key=lambda s: (s not in best, s.seconds)):
        leads = score in best
        places = [*_ABOVE_STAIRS, *_BESIDE] if leads else _BESIDE
        # Where nothing is free, better on top of another than not at all.
        for number, (dx, dy, ha, va) in enumerate([*places, places[0]]):
            label = axis.annotate(
                f"{shown_name(score.label)}  {duration(score.seconds)}",
                (score.seconds, getattr(score, metric)),
                (dx, dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                fontsize=9 if leads else 8,
                fontweight="bold" if leads else "normal",
                color=styles[score.label]["color"],
                zorder=5,
            )
            box = label.get_window_extent()
            fits = inside.x0 <= box.x0 and box.x1 <= inside.x1 and box.y1 <= inside.y1
            free = fits and not any(box.overlaps(other) for other in taken)
            if free or number == len(places):
                break
            label.remove()
        taken.append(box)


def _occupied(
    axis: Any, scores: Sequence[BenchScore], best: Sequence[BenchScore], metric: str
) -> list[Any]:
    """Boxes in pixels around all points and stairs."""
    from matplotlib.transforms import Bbox

    def pixels(seconds: float, value: float) -> tuple[float, float]:
        x, y = axis.transData.transform((seconds, value))
        return float(x), float(y)

    boxes = []
    for score in scores:
        x, y = pixels(score.seconds, getattr(score, metric))
        boxes.append(Bbox([[x - _POINT, y - _POINT], [x + _POINT, y + _POINT]]))
    corners = [pixels(s.seconds, getattr(s, metric)) for s in best]
    corners.append((float(axis.get_window_extent().x1), corners[-1][1]))
    for (x, y), (right, top) in pairwise(corners):
        boxes.append(Bbox([[x, y - _LINE], [right, y + _LINE]]))
        boxes.append(Bbox([[right - _LINE, y], [right + _LINE, top]]))
    return boxes
