"""The scores of a grid search: a curve, or a map over two of its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import QRectF, QSize
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_usflow._napari.shared.form_parts import combo, row
from napari_usflow.evaluate.tune import value_text

if TYPE_CHECKING:
    from napari_usflow.evaluate.tune import Tuning

__all__ = ["ScorePlot"]

_HEIGHT, _WIDTH = 210, 320
_MARGIN = 6
_COLORS = "viridis"
_LINE = "#4fb3d9"
_BEST = "#f2b84b"
_BEST_CELL = "#d62728"  # on the yellow of the highest score
_TEXT_SIZE = "8pt"


class ScorePlot(QWidget):
    """Shows a :class:`~napari_usflow.evaluate.tune.Tuning` as it grows.

    The filter strength, the last parameter of a grid, lies along the horizontal axis.
    One of the others can be chosen for the vertical one; each field then has the best
    score over all that are not shown.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tuning: Tuning | None = None
        self._label = ""
        self._foreground = "#ffffff"
        self.parameter_combo = combo([])
        self.parameter_combo.setToolTip(
            "Parameter of the vertical axis; a field shows the best over all others"
        )
        self.parameter_combo.currentIndexChanged.connect(self._draw)
        self._choice = row(QLabel("Vertical axis"), self.parameter_combo)
        self.plot = pg.PlotWidget()
        self.plot.setMinimumHeight(_HEIGHT)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.getPlotItem().setContentsMargins(0, 0, _MARGIN, _MARGIN)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)
        layout.addWidget(self._choice)

    def sizeHint(self) -> QSize:
        """Return the width of a form."""
        return QSize(_WIDTH, _HEIGHT)

    def clear(self) -> None:
        """Forget the search."""
        self._tuning = None
        self.plot.clear()

    def show_tuning(self, tuning: Tuning, label: str) -> None:
        """Draw what is known of a search.

        Parameters
        ----------
        tuning : Tuning
        label : str
            What the scores are.
        """
        first = self._tuning is None or self._tuning.grid is not tuning.grid
        self._tuning, self._label = tuning, label
        if first:
            *others, _ = tuning.grid
            self.parameter_combo.blockSignals(True)
            self.parameter_combo.clear()
            # The one with the most values first.
            for name in sorted(others, key=lambda n: -len(tuning.grid[n])):
                self.parameter_combo.addItem(_words(name), name)
            self.parameter_combo.blockSignals(False)
            self._choice.setVisible(len(others) > 1)
        self._draw()

    def set_colors(self, background: str, foreground: str) -> None:
        """Take the colours of the window."""
        self._foreground = foreground
        self.plot.setBackground(background)
        for name in ("left", "bottom"):
            axis = self.plot.getPlotItem().getAxis(name)
            axis.setPen(pg.mkPen(foreground, width=1))
            axis.setTextPen(foreground)
        self._draw()

    def _draw(self) -> None:
        tuning = self._tuning
        self.plot.clear()
        if tuning is None or not tuning.scored:
            return
        *others, strength = tuning.grid
        item = self.plot.getPlotItem()
        item.setTitle(self._label, size="9pt", color=self._foreground)
        item.setLabel("bottom", _words(strength))
        _set_ticks(item.getAxis("bottom"), tuning.grid[strength])
        best = tuning.best.setting
        if not others:
            self._draw_curve(tuning.surface(strength))
            return
        shown = self.parameter_combo.currentData() or others[0]
        item.setLabel("left", _words(shown))
        _set_ticks(item.getAxis("left"), tuning.grid[shown])
        place = (
            list(tuning.grid[strength]).index(best[strength]),
            list(tuning.grid[shown]).index(best[shown]),
        )
        self._draw_map(tuning.surface(strength, shown), place)

    def _draw_curve(self, scores: npt.NDArray[np.float64]) -> None:
        self.plot.getPlotItem().setLabel("left", "")
        self.plot.getPlotItem().getAxis("left").setTicks(None)
        known = np.flatnonzero(np.isfinite(scores))
        self.plot.plot(
            known,
            scores[known],
            pen=pg.mkPen(_LINE, width=2),
            symbol="o",
            symbolSize=5,
            symbolBrush=_LINE,
            symbolPen=None,
        )
        top = int(np.nanargmax(scores))
        self.plot.plot(
            [top],
            [scores[top]],
            pen=None,
            symbol="o",
            symbolSize=11,
            symbolBrush=None,
            symbolPen=pg.mkPen(_BEST, width=2),
        )
        self.plot.setXRange(-0.6, len(scores) - 0.4, padding=0)
        self.plot.enableAutoRange(axis="y")

    def _draw_map(self, scores: npt.NDArray[np.float64], best: tuple[int, int]) -> None:
        width, height = scores.shape
        low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
        span = high - low or 1.0
        image = pg.ImageItem(scores, levels=(low, low + span))
        image.setColorMap(pg.colormap.get(_COLORS))
        image.setRect(QRectF(-0.5, -0.5, width, height))
        self.plot.addItem(image)
        for (i, j), score in np.ndenumerate(scores):
            if np.isfinite(score):
                # Dark letters on the bright end of the colours.
                color = "#000000" if (score - low) / span > 0.6 else "#ffffff"
                text = pg.TextItem(
                    f"{score:.{_digits(span)}f}", color=color, anchor=(0.5, 0.5)
                )
                text.setPos(i, j)
                self.plot.addItem(text)
        frame = pg.QtWidgets.QGraphicsRectItem(best[0] - 0.5, best[1] - 0.5, 1, 1)
        frame.setPen(pg.mkPen(_BEST_CELL, width=3))
        self.plot.addItem(frame)
        # Wide enough for the frame of a field at the edge.
        self.plot.setXRange(-0.55, width - 0.45, padding=0.01)
        self.plot.setYRange(-0.58, height - 0.42, padding=0.01)


def _digits(span: float) -> int:
    return 1 if span >= 1 else 2


def _set_ticks(axis: Any, values: Any) -> None:
    axis.setTicks([[(i, value_text(value)) for i, value in enumerate(values)]])


def _words(name: str) -> str:
    return name.replace("_", " ")
