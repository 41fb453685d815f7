"""The table and the figures of the test of generalisation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.evaluate.figures import new_figure, save_figure, shown_name
from napari_usflow.evaluate.metrics import psnr
from napari_usflow.evaluate.tables import write_table
from napari_usflow.lab.figures.generalisation import (
    GeneralisationExample,
    GeneralisationScore,
    GeneralisationTest,
)

__all__ = ["write_generalisation"]

_FORMATS = {"psnr_db": ".3f", "change_db": "+.3f", "error_db": ".3f"}
_LARGEST_CHANGE_DB = 4.0
_PICTURES = 5


def write_generalisation(test: GeneralisationTest, folder: Path) -> list[Path]:
    """Write ``generalisation.csv``, ``generalisation.png``, ``..._crops.png``.

    The first figure is the table in colours, the second shows the conditions under
    which some method loses or gains most. Each is whole or not there.

    Returns
    -------
    list of Path
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = ("generalisation.csv", "generalisation.png", "generalisation_crops.png")
    paths = [folder / name for name in names]
    write_table(paths[0], test.scores, _FORMATS)
    save_figure(_heat_map(test.scores), paths[1])
    save_figure(_crops(_worst(test)), paths[2])
    return paths


def _heat_map(scores: Sequence[GeneralisationScore]) -> Any:
    """PSNR in every cell, coloured by the change against the first condition."""
    conditions = list(dict.fromkeys(s.condition for s in scores))
    methods = list(dict.fromkeys(s.method for s in scores))
    cells = {(s.condition, s.method): s for s in scores}
    change = np.array(
        [[cells[c, m].change_db for m in methods] for c in conditions], np.float64
    )
    figure = new_figure(1.15 * len(methods) + 3.0, 0.34 * len(conditions) + 1.1)
    axis = figure.subplots()
    drawn = axis.imshow(
        change,
        cmap="RdBu",
        vmin=-_LARGEST_CHANGE_DB,
        vmax=_LARGEST_CHANGE_DB,
        aspect="auto",
    )
    for row, condition in enumerate(conditions):
        best = max(cells[condition, m].psnr_db for m in methods)
        for column, method in enumerate(methods):
            score = cells[condition, method]
            text = f"{score.psnr_db:.1f}"
            if row:
                text += f"  ({score.change_db:+.1f})".replace("-", "\N{MINUS SIGN}")
            axis.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=8,
                fontweight="bold" if score.psnr_db == best else "normal",
                color="white" if abs(score.change_db) > 2.8 else "black",
            )
    axis.set_xticks(range(len(methods)), [shown_name(m) for m in methods], fontsize=9)
    axis.set_yticks(range(len(conditions)), conditions, fontsize=9)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.colorbar(
        drawn, ax=axis, label=f"change against “{conditions[0]}” (dB)", shrink=0.8
    )
    figure.suptitle(
        "PSNR on simulated speckle (dB); bold: the highest of a line", fontsize=10
    )
    return figure


def _worst(test: GeneralisationTest) -> list[GeneralisationExample]:
    """The first condition, and those that matter most to any method."""
    change: dict[str, float] = {}
    for score in test.scores:
        if score.method != "input":
            most = max(abs(score.change_db), change.get(score.condition, 0.0))
            change[score.condition] = most
    first, *others = test.examples
    others.sort(key=lambda example: -change[example.condition])
    return [first, *others[: _PICTURES - 1]]


def _crops(examples: Sequence[GeneralisationExample]) -> Any:
    """A row a condition: map, B-mode, what each method made of it."""
    methods = list(examples[0].results)
    columns = ["map", "B-mode", *methods]
    figure = new_figure(1.9 * len(columns) + 0.4, 2.0 * len(examples) + 0.3)
    axes = figure.subplots(len(examples), len(columns), squeeze=False)
    for row, example in zip(axes, examples, strict=True):
        frames = [example.clean, example.noisy, *example.results.values()]
        for axis, frame, name in zip(row, frames, columns, strict=True):
            axis.imshow(frame, cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            title = shown_name(name)
            if name != "map":
                score = psnr(frame, example.clean, data_range=1.0)
                title += f", {score:.1f} dB"
            axis.set_title(title, fontsize=8)
        row[0].set_ylabel(example.condition, fontsize=9)
    return figure
