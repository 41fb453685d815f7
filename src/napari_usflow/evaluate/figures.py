"""Figures without a window: one colour scheme, written atomically."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.files import write_beside
from napari_usflow.ultrasound.data import PixelGrid

__all__ = [
    "extent_mm",
    "line_styles",
    "name_lines",
    "new_figure",
    "save_figure",
    "shown_name",
]

# Okabe and Ito's colours, told apart with any colour vision, for what is ours; greys
# for what it is compared with.
_OURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_PEERS: dict[str, dict[str, Any]] = {
    "bm3d": {"color": "black", "linestyle": "-"},
    "deepinv-bm3d": {"color": "black", "linestyle": "--"},
    "sar2sar": {"color": "black", "linestyle": ":"},
    "mulog": {"color": "black", "linestyle": "-."},
    "epll": {"color": "0.35", "linestyle": "--"},
    "patchnr": {"color": "0.35", "linestyle": ":"},
    "nlm": {"color": "0.6", "linestyle": "-"},
    "obnlm": {"color": "0.45", "linestyle": "-."},
    "srad": {"color": "0.6", "linestyle": ":"},
    "tv": {"color": "0.6", "linestyle": "--"},
    "skimage-nlm": {"color": "0.6", "linestyle": "-"},
}
_NAMES = {
    "bm3d": "BM3D",
    "deepinv-bm3d": "BM3D (deepinv)",
    "sar2sar": "SAR2SAR",
    "mulog": "MuLoG",
    "epll": "EPLL",
    "patchnr": "PatchNR",
    "nlm": "NLM",
    "obnlm": "OBNLM",
    "srad": "SRAD",
    "tv": "TV",
    "skimage-nlm": "scikit-image NLM",
}


def new_figure(width: float, height: float) -> Any:
    """Make a figure of a size in inches that needs no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with write_beside(path) as beside:
        figure.savefig(beside, format="png")


def shown_name(label: str) -> str:
    """Name of a method in a figure: the usual capitals of those of others."""
    method = re.split("[ ,]", label)[0]
    return _NAMES.get(method, method) + label[len(method) :]


def line_styles(methods: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Line style of every label, given its method: colours for ours, greys else."""
    ours = [n for n, method in methods.items() if method not in _PEERS]
    return {
        label: {**_PEERS[method], "linewidth": 1.3, "markersize": 3}
        if method in _PEERS
        else {
            "color": _OURS[ours.index(label) % len(_OURS)],
            "linestyle": "-",
            "linewidth": 2.0,
            "markersize": 4,
        }
        for label, method in methods.items()
    }


def name_lines(
    axis: Any, names: Sequence[str], *, size: float = 8.5, height: float = 0.075
) -> None:
    """Write each line's name at its end, in its colour; names that touch move apart.

    The limits of the axis must be known: call it last.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    names : sequence of str
        Of its lines, in the order in which they were drawn.
    size : float
        Of the font, in points.
    height : float
        That a name takes, as a share of the axis.
    """
    # In units in which the axis is linear, be it logarithmic.
    low, high = (axis.transScale.transform((1.0, y))[1] for y in axis.get_ylim())
    ends = []
    for line, name in zip(axis.get_lines(), names, strict=True):
        end = axis.transScale.transform(line.get_xydata()[-1])[1]
        ends.append(((end - low) / (high - low), name, line.get_color()))
    ends.sort(key=lambda end: end[0])
    heights = np.array([end for end, _, _ in ends])
    for _ in range(200):
        overlap = np.maximum(height - np.diff(heights), 0) / 2
        heights[:-1] -= overlap
        heights[1:] += overlap
    for (_, name, color), place in zip(ends, heights, strict=True):
        axis.annotate(
            name,
            (1.02, place),
            xycoords="axes fraction",
            color=color,
            fontsize=size,
            va="center",
            annotation_clip=False,
        )


def extent_mm(grid: PixelGrid) -> tuple[float, float, float, float]:
    """Edges of an image for ``imshow``: left, right, bottom, top in mm."""
    z, x = grid.axes_mm()
    half_z, half_x = (spacing / 2 for spacing in grid.spacing_mm)
    return (
        float(x[0]) - half_x,
        float(x[-1]) + half_x,
        float(z[-1]) + half_z,
        float(z[0]) - half_z,
    )
