"""The newest of many requests, computed in a thread.

For what follows every turn of a knob: a request that a newer one has overtaken is
stopped, and nothing of it is reported.
"""

from __future__ import annotations

from collections.abc import Callable

from napari_usflow._napari.jobs.worker import EventSource, guarded
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Event

__all__ = ["Latest"]


class Latest:
    """Runs one small job at a time, always the last that was asked for.

    It may run beside a :class:`~napari_usflow._napari.jobs.worker.Job`, as it is short.

    Parameters
    ----------
    on_event : callable
        Called in the window's thread with each event of the newest request.
    on_error : callable
        Called there with what went wrong in it.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[Event], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._on_event = on_event
        self._on_error = on_error
        self._token: CancelToken | None = None
        self._next: EventSource | None = None
        self._worker: object = None

    @property
    def running(self) -> bool:
        """Whether a thread is at work, if only to stop."""
        return self._token is not None

    def ask(self, source: EventSource) -> None:
        """Compute this, and whatever was asked before no more."""
        self._next = source
        if self._token is None:
            self._start()
        else:
            self._token.cancel()

    def cancel(self) -> None:
        """Stop, and report nothing of what was asked."""
        self._next = None
        if self._token is not None:
            self._token.cancel()

    def _start(self) -> None:
        from superqt.utils import create_worker

        source, self._next = self._next, None
        token = self._token = CancelToken()
        self._worker = create_worker(
            guarded,
            source,
            token,
            _connect={
                "yielded": lambda event: self._receive(token, event),
                "returned": lambda outcome: self._finish(token, outcome.error),
                "errored": lambda error: self._finish(token, error),
            },
        )

    def _receive(self, token: CancelToken, event: Event) -> None:
        if not token.cancelled:
            self._on_event(event)

    def _finish(self, token: CancelToken, error: Exception | None) -> None:
        self._token = self._worker = None
        if self._next is not None:
            self._start()
        elif not (error is None or isinstance(error, Cancelled) or token.cancelled):
            self._on_error(error)
