"""Frames on demand: the window never waits, and everyone else gets the frame."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari.beamform.on_demand import FrameFollower, OnDemandStack
from napari_usflow.ultrasound.bmode import SILENCE_DB

FRAMES = -np.arange(6 * 8 * 7, dtype=np.float32).reshape(6, 8, 7)


class Slow:
    """Frames that take their time, and say in which thread they were made."""

    shape, dtype = FRAMES.shape, FRAMES.dtype

    def __init__(self, seconds: float = 0.05) -> None:
        self.seconds = seconds
        self.begun: list[int] = []
        self.made: list[int] = []
        self.threads: set[int] = set()

    def __getitem__(self, index: int) -> np.ndarray:
        self.begun.append(index)
        time.sleep(self.seconds)
        self.made.append(index)
        self.threads.add(threading.get_ident())
        return FRAMES[index]


@pytest.fixture
def source() -> Slow:
    return Slow()


@pytest.fixture
def stack(source) -> OnDemandStack:
    return OnDemandStack(source, FRAMES[0])


@pytest.fixture
def viewer(qapp, stack):
    viewer = ViewerModel()
    stack.followed = True
    viewer.add_image(stack, contrast_limits=(-60, 0))
    viewer.dims.set_current_step(0, 0)
    yield viewer
    viewer.layers.clear()


def test_without_a_window_frames_are_made_where_they_are_asked_for(stack, source):
    np.testing.assert_array_equal(stack[4], FRAMES[4])
    np.testing.assert_array_equal(stack[1:3, 2], FRAMES[1:3, 2])
    np.testing.assert_array_equal(stack[-1, ..., 3], FRAMES[-1, ..., 3])
    assert source.made == [4, 1, 2, 5]


def test_frames_are_kept(stack, source):
    for _ in range(3):
        stack[2]

    assert source.made == [2]


def test_as_an_array_it_is_whole(stack):
    np.testing.assert_array_equal(np.asarray(stack), FRAMES)


def test_the_window_gets_black_at_once_and_the_frame_when_it_is_made(
    qtbot, viewer, stack, source
):
    (layer,) = viewer.layers
    follower = FrameFollower(viewer, layer)
    refreshed = []
    layer.events.set_data.connect(lambda event: refreshed.append(stack.knows(3)))

    source.seconds = 0.5
    start = time.monotonic()
    viewer.dims.set_current_step(0, 3)
    black = np.asarray(stack[3])
    seconds = time.monotonic() - start

    assert seconds < 0.4
    assert (black == SILENCE_DB).all()
    qtbot.waitUntil(lambda: stack.knows(3) and not follower.at_work)
    assert refreshed[-1]
    np.testing.assert_array_equal(layer.data[3], FRAMES[3])
    assert threading.get_ident() not in source.threads


def test_other_threads_get_the_frame_itself(viewer, stack):
    FrameFollower(viewer, viewer.layers[0])

    with ThreadPoolExecutor(1) as pool:
        frame = pool.submit(lambda: stack[5]).result()

    np.testing.assert_array_equal(frame, FRAMES[5])


def test_of_many_positions_of_the_slider_the_last_is_made(qtbot, viewer, stack, source):
    follower = FrameFollower(viewer, viewer.layers[0])
    source.seconds = 0.3

    viewer.dims.set_current_step(0, 1)
    # The slider goes on only when the first is in work.
    qtbot.waitUntil(lambda: 1 in source.begun)
    for index in (2, 3, 4):
        viewer.dims.set_current_step(0, index)

    qtbot.waitUntil(lambda: stack.knows(4) and not follower.at_work)
    assert source.made == [1, 4]


def test_a_removed_layer_is_followed_no_more(qtbot, viewer, stack, source):
    (layer,) = viewer.layers
    FrameFollower(viewer, layer)

    viewer.layers.remove(layer)
    viewer.dims.set_current_step(0, 5)
    qtbot.wait(50)

    assert source.made == []
    assert stack.follower is None
