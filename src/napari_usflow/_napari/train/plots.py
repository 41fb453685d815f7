"""The curves of a training run, drawn with pyqtgraph as the events come in."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_usflow._napari.train.loss_curve import Curve, shown_range
from napari_usflow._napari.train.run_history import RunHistory
from napari_usflow.training.events import TrainStep, Validated

__all__ = ["TrainPlots"]

_REDRAW_S = 0.5
_LEVEL_COLORS = ("#4fb3d9", "#7bc86c", "#f2b84b", "#e5707e", "#b58ae0", "#c9a27e")
_LINE_COLOR = "#4fb3d9"
_RAW_COLOR, _RAW_ALPHA = "#8a919c", 130
_LEAST_HEIGHT = 130
_AXIS_WIDTH = 48
_WIDTH = 320
_LEGEND_ROOM = 0.25
_TITLE_SIZE = "9pt"
_BITS, _SPECKLE = "Held-out bits/dim", "Held-out PSNR on speckle (dB)"
_POSTERIOR_MEAN = "Held-out PSNR of the posterior mean (dB)"
_WHITE_NOISE = "Held-out PSNR on white noise (dB)"


class TrainPlots(QWidget):
    """Training loss, held-out bits/dim and held-out PSNR over the steps.

    A network has no bits/dim; its PSNR on speckle takes their place.

    Attributes
    ----------
    of_network : bool
        Whether it is a network that is trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.of_network = False
        self.loss_plot = _Plot("Training loss")
        self.bits_plot = _Plot(_BITS)
        self.psnr_plot = _Plot(_POSTERIOR_MEAN, "step", headroom=_LEGEND_ROOM)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self._plots = (self.loss_plot, self.bits_plot, self.psnr_plot)
        for plot in self._plots:
            layout.addWidget(plot, 1)
        for plot in self._plots[1:]:
            plot.setXLink(self.loss_plot)
        self._raw = self.loss_plot.plot(pen=_pen(_RAW_COLOR, 1, _RAW_ALPHA))
        self._smooth = self.loss_plot.plot(pen=_pen(_LINE_COLOR, 2))
        self._bits = self.bits_plot.plot(**_dots(_LINE_COLOR))
        self._levels: dict[float, pg.PlotDataItem] = {}
        self._legend = self.psnr_plot.addLegend(
            offset=(-8, 2), colCount=4, verSpacing=-6, horSpacing=12
        )
        self.clear()

    def clear(self) -> None:
        """Forget the curves."""
        self.loss = Curve()
        self.validations: list[Validated] = []
        self._due = 0.0
        for level in self._levels.values():
            self.psnr_plot.removeItem(level)
        self._levels = {}
        self.redraw()

    def show_history(self, history: RunHistory, *, until: int | None = None) -> None:
        """Show the curves of a run, up to a step."""
        self.clear()
        last = float("inf") if until is None else until
        for step, loss in zip(history.steps, history.losses, strict=True):
            if step <= last:
                self.loss.append(step, loss)
        self.validations = [v for v in history.validations if v.step <= last]
        self.redraw()

    def add_steps(self, steps: Iterable[TrainStep]) -> None:
        """Go on with the loss; drawn twice a second, where it can be seen."""
        for step in steps:
            self.loss.append(step.step, step.loss)
        if self.isVisible() and time.monotonic() >= self._due:
            self.redraw()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Draw what came in while another tab was open."""
        self.redraw()
        super().showEvent(event)

    def add_validation(self, event: Validated) -> None:
        """Go on with the held-out curves."""
        self.validations.append(event)
        self.redraw()

    def redraw(self) -> None:
        """Draw all that is known."""
        self._due = time.monotonic() + _REDRAW_S
        raw = self.loss.raw()
        self._raw.setData(*raw)
        self._smooth.setData(*self.loss.smoothed())
        self.loss_plot.follow(raw[1])
        steps = np.array([v.step for v in self.validations], float)
        self.bits_plot.set_title(_SPECKLE if self.of_network else _BITS)
        self.psnr_plot.set_title(_WHITE_NOISE if self.of_network else _POSTERIOR_MEAN)
        bits = np.array(
            [
                v.speckle_psnr_db if self.of_network else v.bits_per_dim
                for v in self.validations
            ],
            float,
        )
        self._bits.setData(steps, bits)
        self.bits_plot.follow(bits)
        everything = [
            self._draw_level(sigma)
            for sigma in sorted({s for v in self.validations for s in v.psnr_db})
        ]
        self.psnr_plot.setVisible(bool(everything) or not self.validations)
        self.psnr_plot.follow(np.concatenate([np.empty(0), *everything]))

    def set_colors(self, background: str, foreground: str) -> None:
        """Take the colours of the window."""
        for plot in self._plots:
            plot.set_colors(background, foreground)
        self._legend.setLabelTextColor(foreground)

    def _draw_level(self, sigma: float) -> npt.NDArray[np.float64]:
        """Draw the PSNR at a noise level, and give its values."""
        if sigma not in self._levels:
            color = _LEVEL_COLORS[len(self._levels) % len(_LEVEL_COLORS)]
            self._levels[sigma] = self.psnr_plot.plot(
                **_dots(color), name=f"σ {sigma:g}"
            )
        points = [
            (v.step, v.psnr_db[sigma]) for v in self.validations if sigma in v.psnr_db
        ]
        steps, values = np.array(points, np.float64).T
        self._levels[sigma].setData(steps, values)
        return np.asarray(values)


class _Plot(pg.PlotWidget):  # type: ignore[misc]
    """A plot whose range follows the values until the user zooms.

    The small A in its corner, pyqtgraph's own, lets it follow again.

    Parameters
    ----------
    title : str
    x_label : str
        Below the axis; none when empty.
    headroom : float
        Room for a legend above the values, as a share of their range.
    """

    def __init__(self, title: str, x_label: str = "", *, headroom: float = 0.0) -> None:
        super().__init__()
        self._title = title
        self._foreground: str | None = None
        self._headroom = headroom
        self._following = True
        self.setMinimumHeight(_LEAST_HEIGHT)
        item = self.getPlotItem()
        item.setTitle(title, size=_TITLE_SIZE)
        item.showGrid(x=True, y=True, alpha=0.15)
        item.setMenuEnabled(False)
        item.getAxis("left").setWidth(_AXIS_WIDTH)
        # Else an empty axis counts in thousandths of a step.
        item.getAxis("bottom").enableAutoSIPrefix(False)
        if x_label:
            item.setLabel("bottom", x_label)
        item.getViewBox().sigRangeChangedManually.connect(self._let_go)
        item.autoBtn.clicked.connect(self._follow_again)

    def follow(self, values: npt.NDArray[np.float64]) -> None:
        """Fit the range to the values, unless the user has zoomed."""
        if self._following and (limits := shown_range(values)) is not None:
            low, high = limits
            self.setYRange(low, high + self._headroom * (high - low), padding=0)

    def set_title(self, title: str) -> None:
        """Set the title of the plot."""
        if title != self._title:
            self._title = title
            self.getPlotItem().setTitle(title, size=_TITLE_SIZE, color=self._foreground)

    def sizeHint(self) -> QSize:
        """Return the width of a form rather than that of a screen."""
        return QSize(_WIDTH, _LEAST_HEIGHT)

    def set_colors(self, background: str, foreground: str) -> None:
        """Take the colours of the window."""
        self.setBackground(background)
        self._foreground = foreground
        item = self.getPlotItem()
        item.setTitle(self._title, size=_TITLE_SIZE, color=foreground)
        for name in ("left", "bottom"):
            axis = item.getAxis(name)
            axis.setPen(pg.mkPen(foreground, width=1))
            axis.setTextPen(foreground)

    def _let_go(self, *_: object) -> None:
        self._following = False

    def _follow_again(self, *_: object) -> None:
        self._following = True


def _pen(color: str, width: int, alpha: int = 255) -> pg.QtGui.QPen:
    shade = pg.mkColor(color)
    shade.setAlpha(alpha)
    return pg.mkPen(shade, width=width, style=Qt.PenStyle.SolidLine)


def _dots(color: str) -> dict[str, object]:
    return {
        "pen": _pen(color, 2),
        "symbol": "o",
        "symbolSize": 5,
        "symbolBrush": color,
        "symbolPen": None,
    }
