from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Progress
from napari_usflow.ultrasound.beamform import beamform
from napari_usflow.ultrasound.data import PixelGrid
from napari_usflow.ultrasound.simulate.plane_waves import (
    LinearArray,
    simulate_acquisition,
    simulate_acquisition_events,
)
from napari_usflow.ultrasound.simulate.scene import Scene

ARRAY = LinearArray(n_elements=32)


def points(
    *places_mm: tuple[float, float], amplitudes: tuple[float, ...] = ()
) -> Scene:
    """Scatterers at (axial, lateral) places."""
    z, x = 1e-3 * np.array(places_mm).T
    return Scene(
        np.stack([x, 0 * x, z], axis=1), np.array(amplitudes or (1.0,) * len(x))
    )


def test_a_scatterer_sends_the_pulse_of_the_model_to_every_element() -> None:
    angles = np.radians([-12.0, 0.0, 7.0])

    data = simulate_acquisition(
        points((14.0, 2.0), amplitudes=(-3.0,)),
        angles_rad=angles,
        array=ARRAY,
        noise_db=None,
    )

    carrier_hz, speed = 5.208e6, 1540.0
    time = np.arange(data.samples.shape[-1]) / (4 * carrier_hz)
    x_element = 0.3e-3 * (np.arange(32) - 15.5)
    distance = np.hypot(2e-3 - x_element, 14e-3)
    delay = 14e-3 * np.cos(angles)[:, None] + 2e-3 * np.sin(angles)[:, None] + distance
    since = time - delay[..., None] / speed
    # In time, the Gaussian that is half as strong 0.335 carriers off the carrier.
    pulse = np.exp(-((np.pi * 0.335 * carrier_hz * since) ** 2) / np.log(2))
    cosine, sine = 14e-3 / distance, (x_element - 2e-3) / distance
    directivity = cosine * np.sinc(0.27e-3 * carrier_hz / speed * sine)
    strength = -3 * directivity / np.sqrt(distance / 1e-3)
    expected = strength[:, None] * pulse * np.cos(2 * np.pi * carrier_hz * since)
    np.testing.assert_allclose(
        data.samples[0], expected, atol=0.01 * np.abs(expected).max()
    )


def test_the_record_holds_the_last_echo_to_its_end() -> None:
    data = simulate_acquisition(
        points((30.0, 8.0)), angles_rad=[0.2], array=ARRAY, noise_db=None
    )

    trace = np.abs(data.samples[0, 0])
    assert trace[:, -1].max() < 1e-3 * trace.max()
    assert (trace.max(axis=1) > 0.1 * trace.max()).all()


def test_echoes_before_time_zero_do_not_come_back_at_the_end() -> None:
    # At the end of the array that the wave meets first.
    data = simulate_acquisition(
        points((1.0, -4.6), (25.0, 0.0), amplitudes=(1.0, 1e-6)),
        angles_rad=[0.27],
        array=ARRAY,
        noise_db=None,
    )

    trace = np.abs(data.samples[0, 0])
    assert trace[:, 400:].max() < 1e-3 * trace.max()


def test_echoes_add_up() -> None:
    places = ((12.0, -1.0), (12.1, 0.5))
    options = {"angles_rad": [0.0], "array": ARRAY, "noise_db": None}

    both, first, second = (
        simulate_acquisition(points(*places, amplitudes=weights), **options).samples
        for weights in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0))
    )

    np.testing.assert_allclose(both, first + second, atol=1e-6)


def test_noise_has_the_stated_level() -> None:
    scene = points((12.0, 0.0), (18.0, 2.0))
    options = {"angles_rad": [0.0, 0.1], "array": ARRAY}
    clean = simulate_acquisition(scene, noise_db=None, **options).samples

    noisy = simulate_acquisition(scene, noise_db=-20.0, **options).samples

    level = 20 * np.log10(np.std(noisy - clean) / np.sqrt(np.mean(clean**2)))
    assert level == pytest.approx(-20, abs=0.1)


def test_the_noise_is_decided_by_its_seed() -> None:
    def samples(seed: int) -> np.ndarray:
        return simulate_acquisition(
            points((12.0, 0.0)), angles_rad=[0.0], array=ARRAY, seed=seed
        ).samples

    np.testing.assert_array_equal(samples(1), samples(1))
    assert np.abs(samples(1) - samples(2)).max() > 0


def test_points_are_beamformed_to_their_places_within_half_a_wavelength() -> None:
    places = [(10.0, 0.0), (15.0, -3.3), (21.0, 2.7)]
    data = simulate_acquisition(
        points(*places), angles_rad=np.radians([-10.0, 0.0, 10.0]), array=ARRAY
    )
    grid = PixelGrid((280, 120), (0.05, 0.08), (8.5, -4.8))

    image = beamform(data, grid=grid)

    z, x = grid.axes_mm()
    for place in places:
        near = (abs(z - place[0]) < 1.8)[:, None] & (abs(x - place[1]) < 1.8)
        brightest = np.where(near, image.data[0], -np.inf).argmax()
        row, column = np.unravel_index(brightest, near.shape)
        np.testing.assert_allclose((z[row], x[column]), place, atol=0.148)


def test_what_the_acquisition_says_of_itself() -> None:
    data = simulate_acquisition(
        points((12.0, 0.0)), angles_rad=[-0.1, 0.1], array=ARRAY, sound_speed_m_s=1480.0
    )

    assert not data.is_iq
    assert data.sampling_frequency_hz == 4 * 5.208e6
    assert data.sound_speed_m_s == 1480.0
    assert [t.angle_rad for t in data.transmits] == [-0.1, 0.1]
    np.testing.assert_allclose(
        data.element_positions_m[[0, -1], 0], [-4.65e-3, 4.65e-3]
    )
    assert not data.start_time_s.any()


def test_progress_counts_the_elements() -> None:
    events = simulate_acquisition_events(
        points((12.0, 0.0)), angles_rad=[0.0], array=ARRAY
    )

    assert list(events) == [Progress(n + 1, 32, "simulating") for n in range(32)]


def test_cancelling_stops_between_elements() -> None:
    token = CancelToken()
    events = simulate_acquisition_events(
        points((12.0, 0.0)), angles_rad=[0.0], array=ARRAY, token=token
    )
    next(events)

    token.cancel()

    with pytest.raises(Cancelled):
        next(events)


@pytest.mark.parametrize(
    ("scene", "angles", "message"),
    [
        (points((12.0, 0.0)), [], "at least one angle"),
        (Scene(np.empty((0, 3)), np.empty(0)), [0.0], "one scatterer"),
        (points((-1.0, 0.0)), [0.0], "below the array, one is at a depth of -1 mm"),
        (points((1e5, 0.0)), [0.0] * 75, "MiB, more than 1024"),
    ],
)
def test_acquisitions_that_cannot_be_are_refused(scene, angles, message) -> None:
    with pytest.raises(ValueError, match=message):
        simulate_acquisition(scene, angles_rad=angles)
