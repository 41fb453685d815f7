"""The table and the figures of the test of Gaussian noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_usflow.evaluate.figures import (
    line_styles,
    name_lines,
    new_figure,
    save_figure,
    shown_name,
)
from napari_usflow.evaluate.tables import write_table
from napari_usflow.lab.contest.mri_crops import mean_psnr
from napari_usflow.lab.gaussian.scores import Example, GaussianTest, Score

__all__ = ["write_gaussian"]

_FORMATS = {
    "sigma": "g",
    "psnr_db": ".3f",
    "ssim": ".4f",
    "psnr_half_db": ".3f",
    "ssim_half": ".4f",
    "seconds": ".3g",
}
_METRICS = {"psnr_db": ("PSNR", " (dB)"), "ssim": ("SSIM", "")}
_LARGEST_ERROR = 0.25
_SIDE = {"ha": "right", "va": "center", "fontsize": 9, "color": "0.3"}


def write_gaussian(
    test: GaussianTest, folder: Path, *, name: str = "gaussian"
) -> list[Path]:
    """Write ``gaussian.csv``, ``gaussian.png`` and ``examples_ANATOMY.png``.

    Each is written beside and renamed, so that a file with a final name is whole.
    ``name`` is that of the first two.

    Returns
    -------
    list of Path
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.csv", folder / f"{name}.png"]
    write_table(paths[0], test.scores, _FORMATS)
    _draw_curves(test.scores, paths[1])
    for example in test.examples:
        paths.append(folder / f"examples_{example.anatomy}.png")
        _draw_example(example, paths[-1])
    return paths


def _draw_curves(scores: Sequence[Score], path: Path) -> None:
    """Quality against noise, and below it the difference to the strongest baseline."""
    anatomies = list(dict.fromkeys(s.anatomy for s in scores))
    labels = list(dict.fromkeys(s.label for s in scores))
    styles = line_styles({s.label: s.method for s in scores})
    base = _baseline(labels)
    figure = new_figure(3.0 * 2 * len(anatomies) + 1.2, 6.4)
    axes = figure.subplots(2, 2 * len(anatomies), squeeze=False)
    for number, (metric, (title, unit)) in enumerate(_METRICS.items()):
        columns = axes[:, number * len(anatomies) : (number + 1) * len(anatomies)]
        for row in columns:
            for axis in row[1:]:
                axis.sharey(row[0])
        for (above, below), anatomy in zip(columns.T, anatomies, strict=True):
            curves = {
                label: sorted(
                    (s.sigma, float(getattr(s, metric)))
                    for s in scores
                    if s.label == label and s.anatomy == anatomy
                )
                for label in labels
            }
            reference = dict(curves[base])
            for label, curve in curves.items():
                sigma, value = np.transpose(curve)
                above.plot(sigma, value, "o", **styles[label])
                gain = [v - reference[s] for s, v in curve]
                below.plot(sigma, gain, "o", **styles[label])
            above.set_title(f"{anatomy}: {title}{unit}", fontsize=10, loc="left")
            text = f"{anatomy}: {title} − {_name(base)}{unit}"
            below.set_title(text, fontsize=9, loc="left")
            below.set_xlabel("noise sigma, of the value range", fontsize=8)
        for axis in columns.flat:
            axis.grid(axis="y", color="0.92")
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_xticks(sorted({s.sigma for s in scores}))
            axis.tick_params(labelsize=8)
        # The limits of shared axes are known once all their lines are drawn.
        for axis in columns[:, -1]:
            name_lines(axis, [_name(label) for label in styles])
    save_figure(figure, path)


def _name(label: str) -> str:
    return "NLM, tuned" if label == "nlm" else shown_name(label)


def _baseline(labels: Sequence[str]) -> str:
    return next((name for name in ("bm3d", "nlm") if name in labels), labels[0])


def _draw_example(example: Example, path: Path) -> None:
    """Crops in one grey window, and under each result its error in one scale."""
    shown = {"clean": example.clean, "noisy": example.noisy, **example.results}
    rows, columns = len(example.clean), len(shown)
    figure = new_figure(1.55 * columns + 0.8, 3.15 * rows + 0.5)
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for column, (label, crops) in enumerate(shown.items()):
        for row, (crop, clean) in enumerate(zip(crops, example.clean, strict=True)):
            image, error = axes[2 * row : 2 * row + 2, column]
            image.imshow(crop, cmap="gray", vmin=0, vmax=1)
            name = _name(label).replace(" (", "\n(") if row == 0 else ""
            if label == "noisy":
                error.text(
                    1, 0.5, "result\nminus clean", transform=error.transAxes, **_SIDE
                )
            if label == "clean":
                image.set_title(name, fontsize=9)
                continue
            is_made = bool(np.isfinite(crop).all())
            psnr = f"{mean_psnr(clean[None], crop[None]):.1f} dB"
            text = psnr if is_made else "no image"
            image.set_title(f"{name}\n{text}".strip(), fontsize=9)
            if label != "noisy":
                limits = {"vmin": -_LARGEST_ERROR, "vmax": _LARGEST_ERROR}
                scale = error.imshow(crop - clean, cmap="RdBu_r", **limits)
    figure.suptitle(
        f"{example.anatomy}, noise sigma {example.sigma:g}; crops of 28 mm", fontsize=10
    )
    if example.results:
        figure.colorbar(scale, ax=axes, shrink=0.3, pad=0.01, label="error")
    save_figure(figure, path)
