"""Profiles along a line, and numbers over a clip: one curve an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import QSize

__all__ = ["CURVE_COLORS", "CurvePlot"]

CURVE_COLORS = ("#9aa5b1", "#ffd166", "#4fb3d9", "#e5707e", "#7bc86c", "#b58ae0")
"""Of the image before, then of its results."""

_HEIGHT, _WIDTH = 190, 320

Floats = npt.NDArray[np.float64]


class CurvePlot(pg.PlotWidget):  # type: ignore[misc]
    """A plot with a curve an image, a legend, and a line for what is looked at.

    Parameters
    ----------
    x_label, y_label : str
        Of the axes.
    """

    def __init__(self, x_label: str, y_label: str = "") -> None:
        super().__init__()
        self._foreground = "#ffffff"
        self.setMinimumHeight(_HEIGHT)
        self.setMenuEnabled(False)
        item = self.getPlotItem()
        item.showGrid(x=True, y=True, alpha=0.15)
        item.setLabel("bottom", x_label)
        for side in ("bottom", "left"):
            item.getAxis(side).enableAutoSIPrefix(False)
        self._legend = self.addLegend(offset=(-6, 4), verSpacing=-6)
        self._marker = pg.InfiniteLine(angle=90, pen=pg.mkPen("#adb5bd", width=1))
        self._curves: dict[str, pg.PlotDataItem] = {}
        self.set_y_label(y_label)

    def sizeHint(self) -> QSize:
        """Ask for the width of a form."""
        return QSize(_WIDTH, _HEIGHT)

    def set_labels(self, x_label: str, y_label: str) -> None:
        """Name the axes."""
        self.getPlotItem().setLabel("bottom", x_label)
        self.set_y_label(y_label)

    def set_y_label(self, text: str) -> None:
        """Name the upright axis."""
        self.getPlotItem().setLabel("left", text)

    def show_curves(self, curves: Sequence[tuple[str, Floats, Floats]]) -> None:
        """Draw curves in place of those that were there.

        Parameters
        ----------
        curves : sequence of (str, ndarray, ndarray)
            Name, and positions and values, NaN where there is none.
        """
        names = [name for name, _, _ in curves]
        if list(self._curves) != names:
            for name in list(self._curves):
                self.removeItem(self._curves.pop(name))
            for number, name in enumerate(names):
                color = CURVE_COLORS[number % len(CURVE_COLORS)]
                self._curves[name] = self.plot(pen=pg.mkPen(color, width=2), name=name)
        for name, x, y in curves:
            self._curves[name].setData(x, y, connect="finite")
        self._legend.setVisible(bool(curves))
        self._legend.setLabelTextColor(self._foreground)

    def curves(self) -> dict[str, tuple[Floats, Floats]]:
        """Return what is drawn, by name."""
        return {name: curve.getData() for name, curve in self._curves.items()}

    def mark(self, x: float | None) -> None:
        """Draw an upright line; None for no line."""
        shown = self._marker.scene() is not None
        if x is None:
            if shown:
                self.removeItem(self._marker)
            return
        self._marker.setPos(x)
        if not shown:
            self.addItem(self._marker, ignoreBounds=True)

    def set_colors(self, background: str, foreground: str) -> None:
        """Take the colours of the window."""
        self._foreground = foreground
        self.setBackground(background)
        self._legend.setLabelTextColor(foreground)
        for name in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(name)
            axis.setPen(pg.mkPen(foreground, width=1))
            axis.setTextPen(foreground)
