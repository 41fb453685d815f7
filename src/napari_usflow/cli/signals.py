"""Ending a command from outside: SIGTERM and SIGHUP clean up as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Terminated", "terminable"]

_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Terminated(KeyboardInterrupt):
    """The process was asked to end, by kill, systemd, Slurm or a container."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextmanager
def terminable() -> Iterator[None]:
    """Raise :class:`Terminated` in the main thread when the process is to end.

    Signals that the caller ignores or handles are left alone.
    """
    usual = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                usual[number] = signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: FrameType | None) -> None:
    # A second one must not end what clears up after the first.
    signal.signal(number, signal.SIG_IGN)
    raise Terminated(number)
