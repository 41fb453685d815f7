"""A choice among the layers of a viewer."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox

from napari_usflow._napari.layers.views import is_view
from napari_usflow._napari.shared.layer_changes import (
    follow_layers,
    unfollow_layers,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["LayerCombo"]


class LayerCombo(QComboBox):
    """Lists layers of a kind and follows the layer list; the active one comes first.

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
            self._choose(viewer.layers.selection.active)

    def layer(self) -> Layer | None:
        """Give the chosen layer; None when there is none, or none is chosen."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Layer) -> None:
        """Choose a layer of the list."""
        self._choose(layer)

    def let_go(self) -> None:
        """Stop following the viewer, which outlives this widget."""
        unfollow_layers(self._viewer, self._refresh)
        self._layers = []

    def _choose(self, layer: Any) -> None:
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))

    def _refresh(self, event: Any = None) -> None:
        chosen = self.layer()
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
        self._choose(chosen)
        self.blockSignals(False)
        if self.layer() is not chosen:
            self.currentIndexChanged.emit(self.currentIndex())
