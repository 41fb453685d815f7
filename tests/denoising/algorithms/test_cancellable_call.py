"""Calls that cannot be interrupted: their result, their failure, their end."""

from __future__ import annotations

import threading
import time

import pytest

from napari_usflow.denoising.algorithms.cancellable_call import call_in_thread
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken


def test_gives_what_the_call_gives() -> None:
    assert call_in_thread(lambda: 42, CancelToken()) == 42


def test_failure_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        call_in_thread(lambda: 1 // 0, CancelToken())


def test_call_is_abandoned_on_request() -> None:
    released, token = threading.Event(), CancelToken()
    threading.Timer(0.1, token.cancel).start()
    start = time.perf_counter()

    with pytest.raises(Cancelled):
        call_in_thread(lambda: released.wait(20), token)

    took = time.perf_counter() - start
    released.set()
    assert took < 0.6


def test_result_that_comes_after_the_request_is_thrown_away() -> None:
    token = CancelToken()

    with pytest.raises(Cancelled):
        call_in_thread(token.cancel, token)
