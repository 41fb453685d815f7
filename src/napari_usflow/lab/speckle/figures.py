"""The table and the figures of the test of speckle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.evaluate.figures import (
    line_styles,
    new_figure,
    save_figure,
    shown_name,
)
from napari_usflow.evaluate.metrics import psnr
from napari_usflow.evaluate.tables import write_table
from napari_usflow.lab.speckle.scores import (
    DYNAMIC_RANGE_DB,
    UNIFORM,
    SpeckleExample,
    SpeckleScore,
    SpeckleTest,
)
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

__all__ = ["write_speckle"]

_FORMATS = {
    "sigma_db": ".3f",
    "psnr_db": ".3f",
    "ssim": ".4f",
    "offset_db": "+.3f",
    "plain_psnr_db": ".3f",
    "plain_ssim": ".4f",
    "bias_db": "+.3f",
    "residual_db": ".3f",
    "whiteness": ".4f",
    "spread_db": ".3f",
    "seconds": ".3g",
}
_METRICS = {
    "psnr_db": "PSNR (dB)",
    "ssim": "SSIM",
    "residual_db": "std of what was removed (dB)",
    "whiteness": "whiteness of it (0: white)",
}
_UNIFORM_METRICS = {
    "spread_db": "std of what is left (dB)",
    "bias_db": "level moved (dB)",
    "residual_db": "",
    "whiteness": "",
}
_MARKERS = {"given": "o", "estimated": "D"}
_MEANINGS = {"display": "a display map", "amplitude": "the amplitude of the echo"}
_INSET_SHARE = 0.24
_INSET_COLOR = "#E69F00"
_LARGEST_REMOVED_DB = 20


def write_speckle(test: SpeckleTest, folder: Path) -> list[Path]:
    """Write ``speckle.csv``, ``speckle.png`` and ``speckle_ANATOMY_READING.png``.

    Each is written beside and renamed, so that a file with a final name is whole.

    Returns
    -------
    list of Path
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "speckle.csv", folder / "speckle.png"]
    write_table(paths[0], test.scores, _FORMATS)
    save_figure(_dots(test.scores), paths[1])
    for example in test.examples:
        name = f"speckle_{example.anatomy}_{example.reading}.png"
        paths.append(folder / name)
        save_figure(_example(example), paths[-1])
    return paths


def _dots(scores: Sequence[SpeckleScore]) -> Any:
    """One dot a method and noise level: a column a metric, a row a map."""
    maps = list(dict.fromkeys((s.anatomy, s.reading) for s in scores))
    ours = [s for s in scores if s.method != "input"]
    labels = list(dict.fromkeys(s.label for s in ours))
    styles = line_styles({s.label: s.method for s in ours})
    figure = new_figure(
        3.0 * len(_METRICS) + 1.0, len(maps) * (0.62 + 0.2 * len(labels)) + 0.6
    )
    axes = figure.subplots(len(maps), len(_METRICS), squeeze=False, sharey=True)
    for row, key in zip(axes, maps, strict=True):
        here = [s for s in scores if (s.anatomy, s.reading) == key]
        speckle = next(s for s in here if s.method == "input")
        uniform = key[0] == UNIFORM
        metrics = _UNIFORM_METRICS if uniform else _METRICS
        for axis, (metric, title) in zip(row, metrics.items(), strict=True):
            _draw_dots(axis, here, metric, labels, styles)
            if metric in ("residual_db", "whiteness"):
                # What the residual would be if the speckle alone were taken away.
                truth = getattr(speckle, metric)
                axis.axvline(truth, color="0.5", linewidth=0.8, linestyle="--")
            named = title if uniform or key == maps[0] else ""
            axis.set_title(named, fontsize=9, loc="left")
        row[0].set_ylabel(f"{key[0]}\n{key[1]}", fontsize=9)
    axes[0, 0].set_yticks(range(len(labels)), [shown_name(n) for n in labels])
    axes[0, 0].invert_yaxis()
    axes[-1, 0].set_xlabel("filled: noise level given; open: estimated", fontsize=8)
    axes[-1, 2].set_xlabel("dashed: the speckle itself", fontsize=8)
    return figure


def _draw_dots(
    axis: Any,
    scores: Sequence[SpeckleScore],
    metric: str,
    labels: Sequence[str],
    styles: dict[str, dict[str, Any]],
) -> None:
    for score in scores:
        if score.method == "input":
            continue
        color = styles[score.label]["color"]
        axis.plot(
            getattr(score, metric),
            labels.index(score.label),
            _MARKERS[score.level],
            color=color,
            markerfacecolor=color if score.level == "given" else "none",
            markersize=6 if score.level == "given" else 8,
        )
    axis.margins(x=0.12, y=0.12)
    axis.grid(axis="both", color="0.92")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)


def _example(example: SpeckleExample) -> Any:
    """Maps with an inset in one grey window, and below what each method removed."""
    shown = {"clean map": example.clean, "B-mode": example.noisy, **example.results}
    columns = len(shown)
    figure = new_figure(1.95 * columns + 0.7, 4.9)
    axes = figure.subplots(2, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    window = _most_structured(example)
    for (label, frame), (image, removed) in zip(shown.items(), axes.T, strict=True):
        image.imshow(frame, cmap="gray", vmin=0, vmax=1)
        _draw_inset(image, frame, window)
        if label == "clean map":
            image.set_title(label, fontsize=9)
            removed.text(
                1.0,
                0.5,
                "removed:\nB-mode minus\nmap or result",
                transform=removed.transAxes,
                ha="right",
                va="center",
                fontsize=8,
                color="0.3",
            )
            continue
        score = psnr(np.clip(frame, 0, 1), example.clean, data_range=1.0)
        name = shown_name(label).replace(" (", "\n(")
        image.set_title(f"{name}\n{score:.1f} dB", fontsize=9)
        taken = example.noisy - (example.clean if label == "B-mode" else frame)
        scale = removed.imshow(
            DYNAMIC_RANGE_DB * taken,
            cmap="RdBu_r",
            vmin=-_LARGEST_REMOVED_DB,
            vmax=_LARGEST_REMOVED_DB,
        )
    what = (
        "uniform map"
        if example.anatomy == UNIFORM
        else f"{example.anatomy}, MRI read as {_MEANINGS[example.reading]}"
    )
    figure.suptitle(
        f"{what}; 56 mm, {DYNAMIC_RANGE_DB:g} dB; speckle of {SPECKLE_DB:.2f} dB",
        fontsize=10,
    )
    figure.colorbar(scale, ax=axes, shrink=0.4, pad=0.01, label="removed (dB)")
    return figure


def _most_structured(example: SpeckleExample) -> tuple[slice, slice]:
    """Window of the clean map with the largest variance, on a coarse grid."""
    side = round(_INSET_SHARE * min(example.clean.shape))
    places = [
        (slice(z, z + side), slice(x, x + side))
        for z in range(0, example.clean.shape[0] - side + 1, side // 2)
        for x in range(0, example.clean.shape[1] - side + 1, side // 2)
    ]
    return max(places, key=lambda place: float(example.clean[place].var()))


def _draw_inset(axis: Any, frame: Any, window: tuple[slice, slice]) -> None:
    """Show the window twice as large in the corner that is farther from it."""
    from matplotlib.patches import Rectangle

    rows, columns = window
    left = columns.start + columns.stop > frame.shape[1]
    low = rows.start + rows.stop < frame.shape[0]
    share = 2 * _INSET_SHARE
    corner = (0.0 if left else 1 - share, 0.0 if low else 1 - share)
    inset = axis.inset_axes((*corner, share, share))
    inset.imshow(frame[window], cmap="gray", vmin=0, vmax=1)
    inset.set_xticks([])
    inset.set_yticks([])
    for spine in inset.spines.values():
        spine.set_color(_INSET_COLOR)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    box = Rectangle(
        (columns.start, rows.start), *size, fill=False, ec="#E69F00", lw=0.8
    )
    axis.add_patch(box)
