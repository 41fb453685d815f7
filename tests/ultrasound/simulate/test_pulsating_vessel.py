"""The in-silico clip that moves."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.ultrasound.simulate.pulsating_vessel import (
    CENTER_MM,
    INTERVAL_S,
    lumen_radius_mm,
    vessel_clip_events,
)


@pytest.fixture(scope="module")
def clip():
    return result_of(vessel_clip_events(seed=1, frames=8))


def distances(clip) -> np.ndarray:
    z, x = clip.grid.axes_mm()
    return np.hypot(z[:, None] - CENTER_MM[0], x[None, :] - CENTER_MM[1])


def test_it_is_in_decibels_seconds_and_millimetres(clip) -> None:
    assert clip.values == "db"
    assert clip.data.max() == 0
    assert clip.frame_interval_s == INTERVAL_S
    assert clip.spacing_mm == (0.15, 0.15)


def test_the_lumen_is_as_wide_as_the_pulse_makes_it(clip) -> None:
    distance = distances(clip)
    for frame in range(len(clip.data)):
        radius = lumen_radius_mm(frame * INTERVAL_S)
        # Means of rings of 0.3 mm: dark inside, bright in the wall.
        inner = clip.data[frame][distance < radius - 0.6]
        wall = clip.data[frame][(distance > radius + 0.1) & (distance < radius + 0.4)]
        assert wall.mean() - inner.mean() > 20


def test_the_vessel_pulsates() -> None:
    radii = [lumen_radius_mm(frame * INTERVAL_S) for frame in range(20)]

    assert min(radii) == pytest.approx(4.0, abs=0.05)
    assert max(radii) == pytest.approx(4.7, abs=0.05)


def test_its_speckle_is_fully_developed(clip) -> None:
    z, x = clip.grid.axes_mm()
    # Muscle below the vessel, away from sheets and points.
    rows, columns = (z > 22.5) & (z < 25.5), np.abs(x) < 9
    envelope = 10 ** (clip.data[:, rows][:, :, columns] / 20)

    # sqrt(pi / (4 - pi)) of a Rayleigh distribution.
    assert envelope.mean() / envelope.std() == pytest.approx(1.913, rel=0.06)


def test_a_seed_repeats_it() -> None:
    first, second = (result_of(vessel_clip_events(seed=4, frames=1)) for _ in range(2))

    np.testing.assert_array_equal(first.data, second.data)


def test_it_can_be_cancelled() -> None:
    token = CancelToken()
    events = vessel_clip_events(token=token)
    next(events)
    token.cancel()
    with pytest.raises(Cancelled):
        next(events)
