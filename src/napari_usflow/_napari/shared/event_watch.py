"""Events of several layers that call one method, until they are let go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["EventWatch"]


class EventWatch:
    """Calls something when any of the watched events is sent.

    It lives apart from the widget that it tells, so that it can let go when Qt has
    deleted that.

    Parameters
    ----------
    changed : callable
        Called with the event.
    """

    def __init__(self, changed: Callable[[Any], None]) -> None:
        self._changed = changed
        self._watched: list[Any] = []

    def watch(self, emitters: Iterable[Any]) -> None:
        """Watch these events and no others."""
        self._unwatch()
        for emitter in emitters:
            emitter.connect(self._tell)
            self._watched.append(emitter)

    def stop(self, *_: object) -> None:
        """Watch nothing any more, and forget whom to tell; fits any signal."""
        self._unwatch()
        self._changed = _ignore

    def _unwatch(self) -> None:
        for emitter in self._watched:
            emitter.disconnect(self._tell)
        self._watched = []

    def _tell(self, event: Any = None) -> None:
        self._changed(event)


def _ignore(event: Any) -> None:
    """Take the place of the callback once nobody listens."""
