"""The figure of clinical pictures: input, results, what was removed, where in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.denoising.settings import Settings
from napari_usflow.evaluate.figures import (
    extent_mm,
    new_figure,
    save_figure,
    shown_name,
)
from napari_usflow.lab.figures.clinical import DOUBTS, NETWORK, ClinicalView
from napari_usflow.ultrasound.data import PixelGrid

__all__ = ["write_clinical"]

_LARGEST_REMOVED_DB = 15
_LARGEST_DOUBT_DB = 5
_GAMMA = 0.7  # clinical pictures are dark


def write_clinical(views: Sequence[ClinicalView], folder: Path) -> list[Path]:
    """Write ``clinical.png``, whole or not at all.

    Returns
    -------
    list of Path
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "clinical.png"
    save_figure(_figure(views), path)
    return [path]


def _figure(views: Sequence[ClinicalView]) -> Any:
    """A row a clip; the last columns are in decibels of a range of 60."""
    methods = list(views[0].results)
    columns = 2 + len(methods) + len(DOUBTS)
    tall = [_height_to_width(view) for view in views]
    figure = new_figure(2.0 * columns + 1.0, 2.0 * sum(tall) + 0.3 * len(views))
    axes = figure.subplots(len(views), columns, squeeze=False, height_ratios=tall)
    for row, view in zip(axes, views, strict=True):
        noisy = np.asarray(view.image.data[0])
        images = {
            f"input, noise {view.sigma_db:.1f} dB": noisy,
            **{shown_name(name): view.results[name] for name in methods},
        }
        for axis, (title, frame) in zip(row, images.items(), strict=False):
            _draw(axis, view, (np.clip(frame, 0, 255) / 255) ** _GAMMA, title)
        span_db = Settings.dynamic_range_db
        removed = span_db / 255 * (noisy - view.results[NETWORK])
        taken = _draw(
            row[len(images)],
            view,
            removed,
            f"input minus {NETWORK}",
            cmap="RdBu_r",
            vmin=-_LARGEST_REMOVED_DB,
            vmax=_LARGEST_REMOVED_DB,
        )
        for axis, kind in zip(row[len(images) + 1 :], DOUBTS, strict=True):
            doubt = _draw(
                axis,
                view,
                view.doubts[kind],
                f"{kind}, {100 * view.strong[kind]:.1f} % strong",
                cmap="inferno",
                vmax=_LARGEST_DOUBT_DB,
            )
        row[0].set_ylabel(view.clip.title, fontsize=9)
    for drawn, label in ((taken, "removed (dB)"), (doubt, "in doubt (dB)")):
        figure.colorbar(drawn, ax=axes, label=label, shrink=0.3, aspect=30, pad=0.01)
    return figure


def _height_to_width(view: ClinicalView) -> float:
    assert isinstance(view.image.grid, PixelGrid)
    left, right, bottom, top = extent_mm(view.image.grid)
    return (bottom - top) / (right - left)


def _draw(axis: Any, view: ClinicalView, frame: Any, title: str, **look: Any) -> Any:
    """Draw a frame at its size in mm."""
    assert isinstance(view.image.grid, PixelGrid)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(title, fontsize=8)
    look = {"cmap": "gray", "vmin": 0, "vmax": 1, **look}
    return axis.imshow(frame, extent=extent_mm(view.image.grid), **look)
