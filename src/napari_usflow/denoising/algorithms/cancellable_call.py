"""Calls into libraries that cannot be interrupted, and stop all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from napari_usflow.jobs import CancelToken

__all__ = ["call_in_thread"]

T = TypeVar("T")

_POLL_S = 0.05


def call_in_thread(call: Callable[[], T], token: CancelToken) -> T:
    """Run a call in a thread, and abandon it when asked to stop.

    What the library is still computing then is thrown away.

    Raises
    ------
    Cancelled
        Within 0.05 s of the token being set.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - handed to the caller below
            failure.append(error)

    thread = threading.Thread(target=work, name="usflow-library", daemon=True)
    thread.start()
    while thread.is_alive():
        token.raise_if_cancelled()
        thread.join(_POLL_S)
    token.raise_if_cancelled()
    if failure:
        raise failure[0]
    return outcome[0]
