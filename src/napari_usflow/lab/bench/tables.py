"""The benchmark's tables: a line a cell as CSV, a line a method as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from napari_usflow.evaluate.figures import shown_name
from napari_usflow.files import write_beside
from napari_usflow.lab.bench.entrants import REFERENCE
from napari_usflow.lab.bench.scores import (
    BenchScore,
    BenchTest,
    Size,
    duration,
    largest_clip,
    two_digits,
)

__all__ = ["FORMATS", "front", "markdown", "measured", "shown_size", "write_markdown"]

FORMATS = {
    "added_mib": ".1f",
    "peak_mib": ".1f",
    "gpu_mib": ".1f",
    "white_psnr_db": ".3f",
    "white_ssim": ".4f",
    "speckle_psnr_db": ".3f",
    "speckle_ssim": ".4f",
}
"""Formats of floats in the CSV."""


def shown_size(scores: Sequence[BenchScore]) -> Size | None:
    """Return the largest frame size that all ran on who ran on any; for the figure."""
    timed = [s for s in scores if s.timed and not s.workers and s.frames == 1]
    sizes = sorted({s.size for s in timed})
    ran = {size: {s.method for s in timed if s.size == size} for size in sizes}
    most = max((len(methods) for methods in ran.values()), default=0)
    return max((s for s in sizes if len(ran[s]) == most), default=None)


def front(scores: Sequence[BenchScore], metric: str) -> list[BenchScore]:
    """Return the lines that no other beats in both time and quality, fastest first.

    Parameters
    ----------
    scores : sequence of BenchScore
        Of one size.
    metric : str
        Name of a score of which more is better.
    """
    best: list[BenchScore] = []
    known = [s for s in scores if s.timed and measured(s, metric)]
    for score in sorted(known, key=lambda s: (s.seconds, -_value(s, metric))):
        if not best or _value(score, metric) > _value(best[-1], metric):
            best.append(score)
    return best


def measured(score: BenchScore, metric: str) -> bool:
    """Return whether a score is finite."""
    return math.isfinite(_value(score, metric))


def _value(score: BenchScore, metric: str) -> float:
    return float(getattr(score, metric))


def write_markdown(test: BenchTest, path: Path) -> None:
    """Write :func:`markdown` to a file, whole or not at all."""
    with write_beside(path) as beside:
        beside.write_text(markdown(test), encoding="utf-8")


def markdown(test: BenchTest) -> str:
    """Return the table for people: one line a method, the sizes side by side.

    Below it how the clip goes with workers, and what was left out and why.
    """
    alone = [s for s in test.scores if not s.workers]
    sizes = sorted({s.size for s in alone}, key=lambda s: (s.frames > 1, s))
    how = (
        "Seconds, smallest of several turns (times scikit-image's NLM in the same "
        "run). Memory is what a run over the largest frame added, and the most that "
        "its process had. Quality: PSNR in dB / SSIM, defaults and the noise level "
        f"given; {test.pictures['speckle']}, {test.pictures['white']}. In bold: "
        "nothing quicker is better under speckle."
    )
    parts = [f"{test.machine}.", how, _table(alone, sizes)]
    scaled = _workers_table(test.scores)
    notes = [
        f"- {shown_name(s.method)}, {s.size.label}"
        f"{f', {s.workers} workers' if s.workers else ''}: {s.note}"
        for s in test.scores
        if s.note
    ]
    parts += [scaled] * bool(scaled) + ["\n".join(notes)] * bool(notes)
    return "\n\n".join(parts) + "\n"


def _table(scores: Sequence[BenchScore], sizes: Sequence[Size]) -> str:
    clip = largest_clip(sizes)
    heads = ["", *(size.label for size in sizes)]
    heads += ["frames/s"] * (clip is not None)
    heads += ["memory: added, all", "speckle", "white noise"]
    shown = shown_size(scores)
    here = {s.method: s for s in scores if s.size == shown}
    best = {s.method for s in front(list(here.values()), "speckle_psnr_db")}
    methods = sorted(
        dict.fromkeys(s.method for s in scores),
        key=lambda m: here[m].seconds if m in here and here[m].timed else float("inf"),
    )
    lines = [heads, ["---"] * len(heads)]
    for method in methods:
        mine = {s.size: s for s in scores if s.method == method}
        name = shown_name(method) if method == REFERENCE else f"`{method}`"
        cells = [f"**{name}**" if method in best else name]
        cells += [_time_cell(mine.get(size)) for size in sizes]
        if clip is not None:
            cells.append(_rate_cell(mine.get(clip)))
        cells.append(_memory_cell(list(mine.values())))
        last = list(mine.values())[-1]
        for psnr, ssim in (
            (last.speckle_psnr_db, last.speckle_ssim),
            (last.white_psnr_db, last.white_ssim),
        ):
            cells.append(f"{psnr:.2f} / {ssim:.3f}" if psnr == psnr else "")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _time_cell(score: BenchScore | None) -> str:
    if score is None or not score.timed:
        return ""
    if score.times_nlm != score.times_nlm:
        return duration(score.seconds)
    return f"{duration(score.seconds)} ({two_digits(score.times_nlm)})"


def _rate_cell(score: BenchScore | None) -> str:
    if score is None or not score.timed:
        return ""
    return two_digits(score.frames_per_second)


def _memory_cell(scores: Sequence[BenchScore]) -> str:
    """Memory of the largest frame that was measured."""
    frames = [s for s in scores if s.frames == 1 and s.added_mib == s.added_mib]
    if not frames:
        return ""
    largest = max(frames, key=lambda s: s.size)
    text = f"+{largest.added_mib:.0f}, {largest.peak_mib:.0f} MiB"
    if largest.gpu_mib == largest.gpu_mib:
        text += f", GPU {largest.gpu_mib:.0f} MiB"
    return text


def _workers_table(scores: Sequence[BenchScore]) -> str:
    """Frames per second on the clip, alone and with workers; empty without any."""
    scaled = [s for s in scores if s.workers]
    if not scaled:
        return ""
    counts = sorted({s.workers for s in scaled})
    clip = scaled[0].size
    heads = [f"{clip.label}, frames/s", "this process"]
    heads += [f"{n} worker{'s' if n > 1 else ''}" for n in counts]
    lines = [heads, ["---"] * len(heads)]
    for method in dict.fromkeys(s.method for s in scaled):
        mine = {s.workers: s for s in scores if s.method == method and s.size == clip}
        cells = [_rate_cell(mine.get(n)) for n in (0, *counts)]
        lines.append([f"`{method}`", *cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
