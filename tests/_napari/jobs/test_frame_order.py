import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari.jobs.frame_order import FrameOrder


@pytest.mark.parametrize(
    ("looked_at", "count", "order"),
    [
        (2, 6, [2, 1, 3, 0, 4, 5]),
        (0, 3, [0, 1, 2]),
        (4, 5, [4, 3, 2, 1, 0]),
        (0, 1, [0]),
        (0, 0, []),
    ],
)
def test_frames_come_from_the_one_that_is_looked_at_outwards(looked_at, count, order):
    assert list(FrameOrder(range(count), looked_at)) == order


def test_it_goes_on_from_where_the_slider_goes():
    order = FrameOrder(range(10), 0)
    frames = iter(order)

    begun = [next(frames), next(frames)]
    order.looked_at = 7
    rest = list(frames)

    assert begun == [0, 1]
    assert rest == [7, 6, 8, 5, 9, 4, 3, 2]


def test_it_is_a_collection_of_its_frames():
    order = FrameOrder([5, 3], 4)

    assert len(order) == 2
    assert 3 in order and 4 not in order
    assert list(order) == list(order) == [3, 5]


@pytest.mark.parametrize(
    ("only_current", "frames"), [(False, [2, 1, 3, 0]), (True, [2])]
)
def test_it_begins_where_the_slider_of_the_viewer_is(only_current, frames):
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((4, 8, 8)), scale=(0.5, 1, 1))
    viewer.dims.set_current_step(0, 2)

    order = FrameOrder.of_layer(viewer, layer, 4, only_current=only_current)

    assert list(order) == frames
