"""Panels of pictures beside each other, as the paper's figures have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.figures import extent_mm, new_figure, save_figure
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.scan_convert import as_picture

__all__ = ["Panel", "draw_panels", "picture_panel"]


@dataclass(frozen=True)
class Panel:
    """A grey picture.

    Attributes
    ----------
    image : ndarray, shape (Z, X)
    title : str
    limits : (float, float)
        Values of black and white.
    extent : tuple, optional
        Edges in mm (left, right, bottom, top); pixels without it.
    note : str
        Below the picture.
    """

    image: npt.NDArray[Any]
    title: str
    limits: tuple[float, float] = (0.0, 1.0)
    extent: tuple[float, float, float, float] | None = None
    note: str = ""


def picture_panel(image: UltrasoundImage, title: str, range_db: float) -> Panel:
    """Make a panel of the last frame of an image in decibels; a sector as a picture."""
    shown = as_picture(image)
    assert isinstance(shown.grid, PixelGrid)
    frame = np.asarray(shown.data[-1])
    return Panel(frame, title, (-range_db, 0.0), extent_mm(shown.grid))


def draw_panels(
    rows: Sequence[Sequence[Panel]],
    path: Path,
    *,
    title: str = "",
    window: tuple[float, float, float, float] | None = None,
) -> None:
    """Draw rows of panels, the shorter ones filled with nothing.

    Parameters
    ----------
    rows : sequence of sequence of Panel
    path : Path
        PNG.
    title : str
        Above the figure.
    window : tuple, optional
        Part (left, right, bottom, top) in mm that is repeated below each row.
    """
    columns = max(map(len, rows))
    repeats = 1 if window is None else 2
    figure = new_figure(2.4 * columns, 2.7 * repeats * len(rows) + 0.4)
    axes = figure.subplots(repeats * len(rows), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, row in enumerate(rows):
        for column, panel in enumerate(row):
            for repeat in range(repeats):
                axis = axes[repeats * number + repeat, column]
                _show(axis, panel, is_zoom=repeat == 1)
                if window is not None and repeat == 1:
                    axis.set_xlim(*window[:2])
                    axis.set_ylim(*window[2:])
                elif window is not None:
                    _outline(axis, window)
    if title:
        figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def _show(axis: Any, panel: Panel, *, is_zoom: bool) -> None:
    low, high = panel.limits
    axis.imshow(panel.image, cmap="gray", vmin=low, vmax=high, extent=panel.extent)
    if not is_zoom:
        axis.set_title(panel.title, fontsize=9)
        if panel.note:
            place = {"ha": "center", "va": "top", "transform": axis.transAxes}
            axis.text(0.5, -0.02, panel.note, fontsize=8, **place)


def _outline(axis: Any, window: tuple[float, float, float, float]) -> None:
    left, right, bottom, top = window
    line = ([left, right, right, left, left], [bottom, bottom, top, top, bottom])
    axis.plot(*line, color="#D55E00", linewidth=0.8)
