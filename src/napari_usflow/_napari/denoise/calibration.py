"""The pixel size of a picture, from a line of known length drawn over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.layers.results import source_of
from napari_usflow._napari.layers.views import view_metadata

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

__all__ = ["Calibration", "calibrate"]

_TYPICAL_MM = 10.0
_LONGEST_MM = 1000.0
_SHORTEST_PX = 2.0
_DECIMALS = 3


def calibrate(layer: Image, line: npt.ArrayLike, length_mm: float) -> float:
    """Give a layer square pixels by a line of known length.

    Parameters
    ----------
    layer : napari.layers.Image
        Its scale and units change; its corner goes to the origin.
    line : array, shape (2, ndim)
        Ends of the line, in pixels of the layer.
    length_mm : float
        Its length.

    Returns
    -------
    float
        The pixel size in mm.

    Raises
    ------
    ValueError
        When the line is too short to measure with.
    """
    ends = np.asarray(line, float)[:, -2:]
    pixels = float(np.linalg.norm(ends[1] - ends[0]))
    if pixels < _SHORTEST_PX:
        raise ValueError(
            f"the line is {pixels:.1f} pixels long; draw one of at least "
            f"{_SHORTEST_PX:.0f} pixels"
        )
    size = length_mm / pixels
    # Units and scale together: napari compares the units of all layers at each.
    layer.units = [*layer.units[:-2], "mm", "mm"]
    layer.scale = [*layer.scale[:-2], size, size]
    layer.translate = [*layer.translate[:-2], 0.0, 0.0]
    return size


class Calibration:
    """A layer to draw one line on; the line then asks for its length.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the layer until the line is drawn.
    layer : napari.layers.Image
        The picture.
    on_end : callable
        Called with the closing sentence.
    """

    def __init__(
        self, viewer: ViewerModel, layer: Image, on_end: Callable[[str], None]
    ) -> None:
        self._viewer, self._layer, self._on_end = viewer, layer, on_end
        self.lines: Any = viewer.add_shapes(
            ndim=layer.ndim,
            name="calibration line",
            scale=layer.scale,
            translate=layer.translate,
            units=layer.units,
            axis_labels=layer.axis_labels,
            edge_color="yellow",
            edge_width=2,
            metadata=view_metadata(),
        )
        self.lines.mode = "add_line"
        self.lines.events.data.connect(self._on_data)
        viewer.layers.events.removed.connect(self._on_removed)

    def stop(self) -> None:
        """Take the layer away."""
        lines, self.lines = self.lines, None
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        if lines is not None:
            lines.events.data.disconnect(self._on_data)
            if lines in self._viewer.layers and lines.visible:
                self._viewer.layers.remove(lines)

    def length_mm(self) -> float | None:
        """Ask for the length of the line; None when the user thinks better of it."""
        from qtpy.QtWidgets import QInputDialog

        length, accepted = QInputDialog.getDouble(
            None,
            "Calibrate by a line",
            "Length of the line in mm",
            _TYPICAL_MM,
            10**-_DECIMALS,
            _LONGEST_MM,
            _DECIMALS,
        )
        return float(length) if accepted else None

    def _on_data(self, event: Any) -> None:
        action = getattr(event, "action", "")
        if self.lines is None or str(getattr(action, "value", action)) != "added":
            return
        from qtpy.QtCore import QTimer

        # The mouse is still held by the canvas.
        QTimer.singleShot(0, self._finish)

    def _finish(self) -> None:
        if self.lines is None or not len(self.lines.data):
            return
        line = self.lines.data[-1]
        length = self.length_mm()
        self.stop()
        sentence = "The picture is not calibrated."
        if length is not None:
            try:
                size = calibrate(self._layer, line, length)
                self._show_in_place()
                sentence = f"Pixel size: {size:.4g} mm, by a line of {length:g} mm."
            except ValueError as error:
                sentence = f"The picture is not calibrated: {error}."
            self._viewer.layers.selection.active = self._layer
        self._on_end(sentence)

    def _show_in_place(self) -> None:
        """Move the layer's results along, and keep the picture in view."""
        layer: Any = self._layer
        for other in self._viewer.layers:
            if source_of(other) == layer:
                other.units, other.scale = layer.units, layer.scale
                other.translate = layer.translate
        self._viewer.reset_view()

    def _on_removed(self, event: Any) -> None:
        gone: Layer | None = event.value
        if gone is not None and gone in (self.lines, self._layer):
            if gone == self.lines:
                self.lines = None
            self.stop()
            self._on_end("The picture is not calibrated.")
