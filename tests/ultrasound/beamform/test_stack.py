"""Stacks beamformed on demand: the same frames, relative to the first."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace

import numpy as np
import pytest

from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.ultrasound.beamform import beamform, beamform_events
from napari_usflow.ultrasound.beamform.params import BeamformParams
from napari_usflow.ultrasound.beamform.stack import beamform_stack_events
from napari_usflow.ultrasound.data import ChannelData, PixelGrid

AROUND = PixelGrid((21, 17), (0.1, 0.1), (11.0, 0.3))
GAINS = np.array([1.0, 0.5, 2.0], np.float32)


class Records:
    """Samples of many frames that are made when they are read."""

    def __init__(self, one: np.ndarray, frames: int) -> None:
        self._one = one
        self.shape, self.dtype, self.ndim = (frames, *one.shape[1:]), one.dtype, 4
        self.read: set[int] = set()

    def __getitem__(self, key):
        first, *rest = key if isinstance(key, tuple) else (key,)
        chosen = np.arange(self.shape[0])[first]
        self.read |= set(np.atleast_1d(chosen).tolist())
        gains = GAINS[chosen % len(GAINS)]
        if np.ndim(chosen) == 0:
            return gains * self._one[0][tuple(rest)]
        return np.stack([g * self._one[0] for g in gains])[(slice(None), *rest)]


@pytest.fixture
def stack(one_point) -> ChannelData:
    data = one_point.rf()
    return replace(data, samples=Records(data.samples, 1000))


def test_a_thousand_frames_open_by_reading_the_first(stack) -> None:
    image = result_of(beamform_stack_events(stack, grid=AROUND))

    assert image.data.shape == (1000, 21, 17)
    assert image.data.chunks[0] == (1,) * 1000
    assert stack.samples.read == {0}
    np.asarray(image.data[700])
    assert stack.samples.read == {0, 700}


def test_frames_are_those_of_the_eager_beamformer(stack, one_point) -> None:
    image = result_of(beamform_stack_events(stack, grid=AROUND))

    alone = beamform(one_point.rf(), grid=AROUND).data[0]
    gains_db = 20 * np.log10(GAINS)
    for index in (0, 1, 2, 5):
        expected = alone + gains_db[index % 3]
        np.testing.assert_allclose(np.asarray(image.data[index]), expected, atol=1e-3)
    assert image.metadata["reference_frame"] == 0


def test_a_stack_larger_than_the_budget_is_made_on_demand(stack) -> None:
    image = result_of(
        beamform_events(stack, grid=AROUND, memory_budget_bytes=2 * 2**20)
    )

    assert not isinstance(image.data, np.ndarray)
    assert stack.samples.read == {0}


def test_a_lazy_stack_can_go_to_another_process(one_point) -> None:
    data = one_point.rf()
    two = replace(data, samples=np.concatenate([data.samples, 2 * data.samples]))
    image = result_of(beamform_stack_events(two, grid=AROUND))

    copy = pickle.loads(pickle.dumps(image.data))

    np.testing.assert_array_equal(np.asarray(copy[1]), np.asarray(image.data[1]))


def test_the_first_frame_can_be_cancelled(stack) -> None:
    token = CancelToken()
    events = beamform_stack_events(stack, grid=AROUND, token=token)
    next(events)
    token.cancel()

    start = time.perf_counter()
    with pytest.raises(Cancelled):
        result_of(events)
    assert time.perf_counter() - start < 0.5


def test_params_lay_their_pixels_over_the_usual_ones(one_point) -> None:
    params = BeamformParams(
        depth_from_mm=10.0, depth_to_mm=14.0, pixel_axial_mm=0.05, sound_speed_m_s=1500
    )
    stored = PixelGrid((100, 40), (0.2, 0.3), (5.0, -6.0))

    grid = params.grid(params.channel_data(one_point.rf()), stored)

    assert grid.shape == (81, 40)
    assert grid.spacing_mm == (0.05, 0.3)
    assert grid.origin_mm == (10.0, -6.0)


def test_params_without_wishes_change_nothing(one_point) -> None:
    data = one_point.rf()
    stored = PixelGrid((100, 40), (0.2, 0.3), (5.0, -6.0))

    params = BeamformParams()

    assert params.channel_data(data) is data
    assert params.angles(data) is None
    grid = params.grid(data, stored)
    assert grid.shape == stored.shape
    np.testing.assert_allclose(grid.spacing_mm, stored.spacing_mm)


def test_more_plane_waves_than_there_are_means_all(one_point) -> None:
    assert BeamformParams(plane_waves=75).angles(one_point.rf()) == 3
    assert BeamformParams(plane_waves=1).angles(one_point.rf()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth_from_mm": 30.0, "depth_to_mm": 20.0}, "let the last depth"),
        ({"pixel_axial_mm": 0.001, "pixel_lateral_mm": 0.001}, "larger pixels"),
    ],
)
def test_params_that_make_no_image_are_refused(one_point, changes, message) -> None:
    stored = PixelGrid((100, 40), (0.2, 0.3), (5.0, -6.0))

    with pytest.raises(ValueError, match=message):
        BeamformParams(**changes).grid(one_point.rf(), stored)
