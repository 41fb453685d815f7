"""A choice of several among the image layers of a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_usflow._napari.shared.layer_changes import (
    follow_layers,
    unfollow_layers,
)
from napari_usflow._napari.train.previews import is_preview

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["LayerChecklist"]

_ROWS_SHOWN = 4


class LayerChecklist(QListWidget):
    """Lists the image layers, each with a tick, and follows the layer list.

    The pictures a training run shows are left out.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its layers are offered.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._layers: list[Image] = []
        follow_layers(viewer, self._refresh)
        self.itemChanged.connect(self.changed)
        self._refresh()

    def chosen(self) -> list[Image]:
        """Return the layers with a tick."""
        return [
            layer
            for layer, item in zip(self._layers, self._items(), strict=True)
            if item.checkState() == Qt.CheckState.Checked
        ]

    def choose(self, layers: list[Image]) -> None:
        """Tick these layers and no others."""
        for layer, item in zip(self._layers, self._items(), strict=True):
            item.setCheckState(_tick(layer in layers))

    def let_go(self) -> None:
        """Stop following the viewer, which outlives this widget."""
        unfollow_layers(self._viewer, self._refresh)
        self._layers = []

    def sizeHint(self) -> QSize:
        """Return the height of a few rows."""
        hint = super().sizeHint()
        line = self.fontMetrics().height() + 6
        return QSize(hint.width(), _ROWS_SHOWN * line + 2 * self.frameWidth())

    def _items(self) -> list[QListWidgetItem]:
        items = (self.item(i) for i in range(self.count()))
        return [item for item in items if item is not None]

    def _refresh(self, event: Any = None) -> None:
        ticked = self.chosen()
        self._layers = [
            layer
            for layer in self._viewer.layers
            if type(layer).__name__ == "Image" and not is_preview(layer)
        ]
        self.blockSignals(True)
        self.clear()
        for layer in self._layers:
            item = QListWidgetItem(layer.name, self)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(_tick(layer in ticked))
        self.blockSignals(False)
        if self.chosen() != ticked:
            self.changed.emit()


def _tick(checked: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked
