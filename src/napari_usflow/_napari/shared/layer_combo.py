"""A choice among the layers of a viewer."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox

from napari_usflow._napari.layers.results import source_of
from napari_usflow._napari.layers.views import is_view
from napari_usflow._napari.shared.layer_changes import (
    follow_layers,
    unfollow_layers,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["LayerCombo"]


_SETTLED_MS = 50


class LayerCombo(QComboBox):
    """The image layers of a viewer; follows the layer list and its active layer.

    Of a result its input is chosen, unless the user chooses the result here.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its layers are offered.
    without : callable, optional
        Tells which of them are not.
    kinds : collection of str
        Classes of the layers that are offered; images by default.
    none : str
        What stands first, chosen until a layer is, for "no layer"; where it is empty
        one must be chosen.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        *,
        without: Callable[[Layer], bool] = lambda layer: False,
        kinds: Collection[str] = ("Image",),
        none: str = "",
    ) -> None:
        super().__init__()
        self._without, self._none, self._kinds = without, none, kinds
        self.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.setMinimumContentsLength(12)
        self._viewer = viewer
        self._layers: list[Layer | None] = []
        follow_layers(viewer, self._refresh)
        self._refresh()
        if not none:
            self._seen = viewer.layers.selection.active
            self._choose(source_of(self._seen) or self._seen)
            # Adding a layer changes the active one for a moment; what is left counts.
            self._settled = QTimer(self)
            self._settled.setSingleShot(True)
            self._settled.timeout.connect(self._follow_active)
            viewer.layers.selection.events.active.connect(self._on_active)

    def layer(self) -> Layer | None:
        """Return the chosen layer; None when there is none, or none is chosen."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Layer) -> None:
        """Choose a layer of the list."""
        self._choose(layer)

    def let_go(self) -> None:
        """Stop following the viewer, which outlives this widget."""
        unfollow_layers(self._viewer, self._refresh)
        if not self._none:
            active = self._viewer.layers.selection.events.active
            active.disconnect(self._on_active)
        self._layers = []

    def _on_active(self, event: Any = None) -> None:
        self._settled.start(_SETTLED_MS)

    def _follow_active(self) -> None:
        active = self._viewer.layers.selection.active
        # Not "is": a plugin's viewer wraps its layers anew each time.
        if active != self._seen:
            self._seen = active
            self._choose(source_of(active) or active)

    def _choose(self, layer: Any) -> None:
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))

    def _refresh(self, event: Any = None) -> None:
        selected = self.layer()
        offered = [
            layer
            for layer in self._viewer.layers
            if type(layer).__name__ in self._kinds
            and not is_view(layer)
            and not self._without(layer)
        ]
        self._layers = [None, *offered] if self._none else [*offered]
        self.blockSignals(True)
        self.clear()
        self.addItems([self._none] if self._none else [])
        self.addItems([layer.name for layer in offered])
        self.setCurrentIndex(0 if self._layers else -1)
        self._choose(selected)
        self.blockSignals(False)
        if self.layer() is not selected:
            self.currentIndexChanged.emit(self.currentIndex())
