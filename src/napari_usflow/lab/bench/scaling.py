"""Scaling of the run time with pixels, frames and workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from napari_usflow.evaluate.figures import name_lines, shown_name
from napari_usflow.lab.bench.axes import Styles, spare, time_ticks
from napari_usflow.lab.bench.scores import BenchScore, largest_clip

__all__ = ["growth_panels"]

_NAME_HEIGHT = 0.05  # share of the axis


def growth_panels(
    scores: Sequence[BenchScore], alone: Sequence[BenchScore], styles: Styles
) -> list[Callable[[Any], None]]:
    """Return what draws each panel into an axis; none for what did not grow.

    Parameters
    ----------
    scores : sequence of BenchScore
        All of them.
    alone : sequence of BenchScore
        Those without workers that are to be shown.
    styles : mapping
    """
    panels: list[Callable[[Any], None]] = []
    frames = [s for s in alone if s.frames == 1]
    if len({s.size for s in frames}) > 1:
        panels.append(partial(_draw_pixels, scores=frames, styles=styles))
    clip = largest_clip([s.size for s in alone])
    shape = (clip.rows, clip.columns) if clip else ()
    clips = [s for s in alone if (s.rows, s.columns) == shape]
    if len({s.size for s in clips}) > 1:
        panels.append(partial(_draw_frames, scores=clips, styles=styles))
    scaled = [s for s in scores if s.workers and s.timed]
    if scaled:
        panels.append(partial(_draw_workers, scaled=scaled, alone=alone, styles=styles))
    return panels


def _draw_pixels(axis: Any, scores: Sequence[BenchScore], styles: Styles) -> None:
    """Time of a frame against its pixels."""
    _draw_lines(axis, scores, lambda s: s.rows * s.columns, styles)
    axis.set_title("Seconds a frame, against its size", fontsize=10, loc="left")
    ticks = {s.rows * s.columns: s.size.label for s in scores}
    axis.set_xticks(list(ticks), list(ticks.values()))


def _draw_frames(axis: Any, scores: Sequence[BenchScore], styles: Styles) -> None:
    """Time of a frame against the number of frames."""
    _draw_lines(axis, scores, lambda s: s.frames, styles)
    frame = f"{scores[0].rows} × {scores[0].columns}"
    title = f"Seconds a frame of {frame}, against their number"
    axis.set_title(title, fontsize=10, loc="left")
    counts = sorted({s.frames for s in scores})
    axis.set_xticks(counts, [f"{n}" for n in counts])


def _draw_lines(
    axis: Any,
    scores: Sequence[BenchScore],
    of: Callable[[BenchScore], int],
    styles: Styles,
) -> None:
    """A line a method, both axes logarithmic."""
    axis.set_xscale("log")
    axis.set_yscale("log")
    spare(axis)
    labels = list(dict.fromkeys(s.label for s in scores))
    for label in labels:
        mine = sorted((s for s in scores if s.label == label), key=of)
        seconds = [s.seconds / s.frames for s in mine]
        axis.plot([of(s) for s in mine], seconds, marker="o", **styles[label])
    axis.minorticks_off()
    time_ticks(axis, *axis.get_ylim(), which="y")
    name_lines(
        axis, [shown_name(label) for label in labels], size=8, height=_NAME_HEIGHT
    )


def _draw_workers(
    axis: Any, scaled: Sequence[BenchScore], alone: Sequence[BenchScore], styles: Styles
) -> None:
    """Frames per second against the number of workers; dotted: in proportion."""
    spare(axis)
    clip = scaled[0].size
    labels = list(dict.fromkeys(s.label for s in scaled))
    counts = sorted({s.workers for s in scaled})
    ideals = {}
    for label in labels:
        mine = sorted((s for s in scaled if s.label == label), key=lambda s: s.workers)
        rates = [s.frames_per_second for s in mine]
        axis.plot([s.workers for s in mine], rates, marker="o", **styles[label])
        ideals[label] = [rates[0] * n / mine[0].workers for n in counts]
    here = [s.frames_per_second for s in alone if s.label in labels and s.size == clip]
    most = max(here + [rate for line in ideals.values() for rate in line])
    axis.set_ylim(0, 1.05 * most)
    axis.set_xlim(-0.35, max(counts) + 0.15)
    names = [shown_name(label) for label in labels]
    name_lines(axis, names, size=8, height=_NAME_HEIGHT)
    for label, line in ideals.items():
        color = styles[label]["color"]
        axis.plot(counts, line, color=color, linestyle=":", linewidth=1, zorder=0)
        for score in alone:
            if score.label == label and score.size == clip:
                rate = score.frames_per_second
                axis.plot(0, rate, "o", color=color, markerfacecolor="white")
    axis.set_xticks([0, *counts], ["this process", *(str(n) for n in counts)])
    axis.set_xlabel("workers of one thread each; dotted: in proportion", fontsize=8)
    axis.set_title(f"Frames a second, {clip.label}", fontsize=10, loc="left")
