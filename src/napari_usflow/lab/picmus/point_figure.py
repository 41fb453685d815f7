"""Figure of the points of the PICMUS images: peak and width, point by point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_usflow.evaluate.figures import new_figure, shown_name
from napari_usflow.lab.picmus.scores import PicmusPoint

__all__ = ["points_figure"]


def points_figure(points: Sequence[PicmusPoint], labels: Sequence[str]) -> Any:
    """Draw how peak and lateral width of each point changed.

    Parameters
    ----------
    points : sequence of PicmusPoint
        At least one.
    labels : sequence of str
        Methods to draw.

    Returns
    -------
    matplotlib.figure.Figure
        A column for each scene and number of plane waves. Lost points are crosses in
        the row of the peaks and have no width.
    """
    cells = list(dict.fromkeys((p.scene, p.plane_waves) for p in points))
    figure = new_figure(3.6 * len(cells) + 0.6, 5.0)
    axes = figure.subplots(2, len(cells), squeeze=False, sharex="col", sharey="row")
    for column, (scene, count) in zip(axes.T, cells, strict=True):
        for number, label in enumerate(labels):
            mine = [
                p
                for p in points
                if (p.label, p.scene, p.plane_waves) == (label, scene, count)
            ]
            places = [i + 0.5 * number / len(labels) for i in range(len(mine))]
            for lost, marker in ((False, "o"), (True, "x")):
                shown = [
                    (place, p.peak_db)
                    for place, p in zip(places, mine, strict=True)
                    if p.lost is lost
                ]
                column[0].plot(
                    *zip(*shown, strict=True) if shown else ([], []),
                    marker,
                    color=f"C{number}",
                    markersize=4,
                    label=None if lost else shown_name(label),
                )
            ratios = [p.lateral_mm / p.input_lateral_mm for p in mine]
            column[1].plot(places, ratios, "o", color=f"C{number}", markersize=4)
        waves = "plane wave" if count == 1 else "plane waves"
        column[0].set_title(f"{scene}, {count} {waves}", fontsize=10)
        column[0].axhline(0, color="0.6", linewidth=0.8)
        column[1].axhline(1, color="0.6", linewidth=0.8)
        column[1].set_xlabel("point", fontsize=9)
    axes[0, 0].set_ylabel("peak against the input (dB)", fontsize=9)
    axes[1, 0].set_ylabel("lateral width, result / input", fontsize=9)
    axes[0, 0].legend(fontsize=8)
    return figure
