"""Layers that only show others: no input for a method, gone with their window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["is_view", "view_metadata"]

_KEY = "usflow_view"


def view_metadata() -> dict[str, Any]:
    """Return the metadata of a layer that only shows others."""
    return {_KEY: True}


def is_view(layer: Layer) -> bool:
    """Return whether a layer only shows others."""
    return bool(layer.metadata.get(_KEY))
