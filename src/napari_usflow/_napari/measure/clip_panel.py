"""Numbers over a clip: a plot of one number of one region, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_usflow._napari.measure.clip_run import FrameMeasured
from napari_usflow._napari.measure.plots import CurvePlot
from napari_usflow._napari.shared.form_parts import combo, row
from napari_usflow.evaluate.measure import Measurement
from napari_usflow.evaluate.quantities import quantities

__all__ = ["ClipPanel"]

_START, _STOP = "Measure every frame", "Stop"
_REDRAW_FRAMES = 5


class ClipPanel(QWidget):
    """A choice of region and number, the plot, and the button that fills it."""

    def __init__(self) -> None:
        super().__init__()
        self.region = combo([])
        self.quantity = combo([(q.title, q.name) for q in quantities()])
        self.quantity.setCurrentIndex(self.quantity.findData("mean_db"))
        self.plot = CurvePlot("Frame")
        self.button = QPushButton(_START)
        self.button.setToolTip("Measure every frame in the current regions")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row(self.region, self.quantity))
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.button)
        self._names: list[str] = []
        self._rows: dict[tuple[int, int], list[Measurement]] = {}
        self._frames = 0
        for box in (self.region, self.quantity):
            box.currentIndexChanged.connect(self.redraw)

    def begin(self, names: Sequence[str], frames: int) -> None:
        """Forget what was measured; there will be so many frames of these images."""
        self._names, self._frames = list(names), frames
        self._rows = {}
        self.region.clear()
        self.redraw()

    def take(self, event: FrameMeasured) -> None:
        """Take the numbers of a frame."""
        self._rows[event.image, event.frame] = event.rows
        if self.region.count() == 0:
            for measurement in event.rows:
                self.region.addItem(measurement.region, measurement.region)
        if event.frame % _REDRAW_FRAMES == 0:
            self.redraw()

    def show_running(self, running: bool) -> None:
        """Let the button stop what is at work."""
        self.button.setText(_STOP if running else _START)

    def mark(self, frame: int | None) -> None:
        """Show which frame is looked at."""
        self.plot.mark(None if frame is None else float(frame))

    def redraw(self) -> None:
        """Draw the number that is chosen, of each image."""
        region, name = self.region.currentData(), self.quantity.currentData()
        frames = np.arange(self._frames, dtype=float)
        curves = []
        for image, title in enumerate(self._names):
            values = np.full(self._frames, np.nan)
            for frame in range(self._frames):
                for measurement in self._rows.get((image, frame), ()):
                    if measurement.region == region:
                        values[frame] = getattr(measurement, name)
            curves.append((title, frames, values))
        self.plot.set_y_label(self.quantity.currentText())
        self.plot.show_curves(curves if self._rows else [])
