"""Layers with a purpose of their own: views, which only show others, and marks.

A view is no input for a method and gone with its window; marks are not measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["MARKS", "is_marks", "is_view", "view_metadata"]

MARKS = "usflow_marks"
"""In the metadata of a layer of marks: the name of the image that is marked."""

_KEY = "usflow_view"


def view_metadata() -> dict[str, Any]:
    """Return the metadata of a layer that only shows others."""
    return {_KEY: True}


def is_view(layer: Layer) -> bool:
    """Return whether a layer only shows others."""
    return bool(layer.metadata.get(_KEY))


def is_marks(layer: Layer) -> bool:
    """Tell whether a layer holds marks."""
    return bool(layer.metadata.get(MARKS))
