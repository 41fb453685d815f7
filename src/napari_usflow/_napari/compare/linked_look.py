"""Layers that are seen alike: contrast, gamma and colours of one are those of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["LinkedLook"]

_NAMES = ("contrast_limits", "gamma", "colormap")


class LinkedLook:
    """Keeps the look of layers alike until it is told to stop.

    napari's own link of layers cannot be taken off without taking off what the user
    linked as well.

    Parameters
    ----------
    layers : sequence of napari.layers.Image
        The first one gives its look to the others.
    """

    def __init__(self, layers: list[Image]) -> None:
        self._layers = layers
        self._spreading = False
        for name in _NAMES:
            self._spread(layers[0], name)
        for layer in layers:
            for name in _NAMES:
                getattr(layer.events, name).connect(self._on_change)

    def stop(self) -> None:
        """Let each layer go its own way."""
        for layer in self._layers:
            for name in _NAMES:
                getattr(layer.events, name).disconnect(self._on_change)
        self._layers = []

    def _on_change(self, event: Any) -> None:
        if not self._spreading:
            self._spread(event.source, event.type)

    def _spread(self, source: Image, name: str) -> None:
        self._spreading = True
        try:
            for layer in self._layers:
                if layer is not source:
                    setattr(layer, name, getattr(source, name))
        finally:
            self._spreading = False
