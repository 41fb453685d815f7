"""Keys of the viewer that a widget has while it is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ViewerKeys"]


class ViewerKeys:
    """Binds keys of the viewer where they are free, and lets them go again.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    actions : mapping of str to callable
        What each key does; the user's own bindings stay.
    """

    def __init__(self, viewer: Any, actions: Mapping[str, Callable[[], None]]) -> None:
        self._viewer = viewer
        self.bound: list[str] = []
        for key, action in actions.items():
            try:
                viewer.bind_key(key, lambda _, action=action: action())
            except ValueError:  # The user has bound it already, and keeps it.
                continue
            self.bound.append(key)

    def release(self, *_: object) -> None:
        """Take the keys away; can be connected to any signal."""
        for key in self.bound:
            self._viewer.bind_key(key, None)
        self.bound = []
