"""To be told when the layers of a viewer change.

napari keeps weak references to the methods that are called, but calls them until the
widget is collected, which may be long after Qt has deleted it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["follow_layers", "unfollow_layers"]


def follow_layers(viewer: ViewerModel, changed: Callable[..., object]) -> None:
    """Have a method called when a layer comes, goes, moves or gets another name."""
    for event in _events(viewer):
        event.connect(changed)


def unfollow_layers(viewer: ViewerModel, changed: Callable[..., object]) -> None:
    """Have it called no more."""
    for event in _events(viewer):
        event.disconnect(changed)


def _events(viewer: ViewerModel) -> tuple[Any, ...]:
    layers = viewer.layers.events
    return layers.inserted, layers.removed, layers.reordered, layers.renamed
