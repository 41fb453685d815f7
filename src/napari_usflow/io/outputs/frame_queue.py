"""Frames for a library that asks for them itself, with progress all the same."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from napari_usflow.errors import Cancelled
from napari_usflow.io.outputs.contract import Frame, stored, written
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["supply_frames"]

_POLL_S = 0.1

Handed = queue.Queue[Frame | None]


def supply_frames(
    consume: Callable[[Iterator[Frame]], None],
    image: UltrasoundImage,
    token: CancelToken,
) -> Generator[Event, None, None]:
    """Run ``consume`` in a thread of its own and hand it the frames one by one.

    Parameters
    ----------
    consume : callable
        Takes an iterator of all frames, which fails in it when the work is stopped;
        what it raises is raised here.
    image : UltrasoundImage
        Whose frames; at most two of them are in memory at a time.
    token : CancelToken
        Looked at between two frames.
    """
    handed: Handed = queue.Queue(1)
    with ThreadPoolExecutor(1, thread_name_prefix="usflow-write") as pool:
        future = pool.submit(consume, _taken(handed, image.data.shape[0]))
        try:
            for index, frame in stored(image, token):
                if not _hand_over(handed, frame, future):
                    break
                yield written(index, image)
            future.result()
        finally:
            # Nothing more will come: what still waits for a frame must fail.
            if not future.done():
                _hand_over(handed, None, future)


def _taken(handed: Handed, count: int) -> Iterator[Frame]:
    for _ in range(count):
        frame = handed.get()
        if frame is None:
            raise Cancelled("stopped on request")
        yield frame


def _hand_over(handed: Handed, frame: Frame | None, future: Future[None]) -> bool:
    """Wait until a frame is taken; False when nobody is there to take it."""
    while not future.done():
        try:
            handed.put(frame, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False
