from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.ultrasound.data import DivergingWave, FocusedBeam, PlaneWave
from napari_usflow.ultrasound.simulate.focused_beams import (
    simulate_transmits,
    simulate_transmits_events,
)
from napari_usflow.ultrasound.simulate.heart import heart_beams, heart_scene
from napari_usflow.ultrasound.simulate.plane_waves import LinearArray
from napari_usflow.ultrasound.simulate.scene import Scene

ARRAY = LinearArray(32, 0.3e-3, 0.27e-3, 5e6, 0.6)
SPEED = 1540.0


def points(*places_mm: tuple[float, float]) -> Scene:
    z, x = 1e-3 * np.array(places_mm).T
    return Scene(np.stack([x, 0 * x, z], axis=1), np.ones(len(z)))


def arrival_s(record: np.ndarray, rate_hz: float) -> float:
    """Centre of the pulse: the maximum of its envelope."""
    from scipy.signal import hilbert, resample

    envelope = np.abs(hilbert(resample(record, 8 * record.size)))
    return float(envelope.argmax()) / rate_hz / 8


@pytest.mark.parametrize(
    "transmit",
    [
        FocusedBeam(0.15, 0.02),
        FocusedBeam(0.0, 0.02, (2e-3, 0.0, 0.0)),
        PlaneWave(0.1),
        DivergingWave((1e-3, 0.0, -0.02)),
    ],
    ids=["steered beam", "beam straight down", "plane wave", "diverging wave"],
)
def test_the_pulses_of_the_elements_meet_where_the_transmit_says(transmit) -> None:
    # At the focus of the beams: there the elements' pulses are one.
    place = (20 * np.cos(0.15), 20 * np.sin(0.15))
    if getattr(transmit, "origin_m", (0,))[0] == 2e-3:
        place = (20.0, 2.0)

    data = simulate_transmits(
        points(place), transmits=[transmit], array=ARRAY, noise_db=None
    )

    z, x = 1e-3 * np.array(place)
    elements = data.element_positions_m[:, 0]
    for number in (0, 15, 31):
        expected = transmit.path_m(z, x) + np.hypot(x - elements[number], z)
        found = arrival_s(data.samples[0, 0, number], data.sampling_frequency_hz)
        # Half a sample; a wavelength takes four.
        assert found == pytest.approx(expected / SPEED, abs=0.5 / 20e6)


def test_a_focus_is_louder_than_its_surroundings() -> None:
    beam = FocusedBeam(0.0, 0.02)

    def loudness(*place: float) -> float:
        data = simulate_transmits(
            points(place), transmits=[beam], array=ARRAY, noise_db=None
        )
        return float(np.abs(data.samples[0, 0, 15]).max())

    assert loudness(20.0, 0.0) > 4 * loudness(20.0, 2.0)


def test_an_aperture_is_centred_on_the_beam() -> None:
    # Its elements are 4 mm aside; without them nothing is heard from there.
    beam = FocusedBeam(0.0, 0.02, (-4e-3, 0.0, 0.0))

    data = simulate_transmits(
        points((20.0, -4.0), (20.0, 4.0)),
        transmits=[beam],
        array=ARRAY,
        aperture_m=3e-3,
        noise_db=None,
    )

    near, far = (
        1e-3 * np.hypot(20, x + 4) / SPEED + 1e-3 * 20 / SPEED for x in (-4.0, 4.0)
    )
    record = np.abs(data.samples[0, 0, 2])
    at = [round(t * 20e6) for t in (near, far)]
    assert record[at[0] - 4 : at[0] + 5].max() > 5 * record[at[1] - 4 : at[1] + 5].max()


def test_the_acquisition_says_how_it_was_made() -> None:
    beams = [FocusedBeam(0.0, 0.02), FocusedBeam(0.1, 0.02)]

    data = simulate_transmits(points((10.0, 0.0)), transmits=beams, array=ARRAY)
    again = simulate_transmits(points((10.0, 0.0)), transmits=beams, array=ARRAY)

    assert data.transmits == beams and data.is_focused
    assert data.sampling_frequency_hz == 20e6 and data.samples.dtype == np.float32
    np.testing.assert_array_equal(data.start_time_s, [0, 0])
    np.testing.assert_array_equal(data.samples, again.samples)


def test_a_cancel_is_obeyed() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        result_of(
            simulate_transmits_events(
                points((10.0, 0.0)),
                transmits=[PlaneWave(0.0)],
                array=ARRAY,
                token=token,
            )
        )


@pytest.mark.parametrize(
    ("transmits", "scene", "message"),
    [
        ([], points((10.0, 0.0)), "at least one transmit"),
        ([PlaneWave(0.0)], points((-1.0, 0.0)), "below the array"),
        ([PlaneWave(0.0)] * 900, points((200.0, 0.0)), "take fewer of them"),
    ],
)
def test_what_cannot_be_simulated_is_refused(transmits, scene, message) -> None:
    with pytest.raises(ValueError, match=message):
        simulate_transmits(scene, transmits=transmits, array=ARRAY)


def test_the_heart_has_cavities_without_echoes_in_bright_walls() -> None:
    scene = heart_scene()

    z, x = 1e3 * scene.positions_m[:-4, [2, 0]].T
    strength = np.abs(scene.amplitudes[:-4])
    gain = (np.hypot(z, x) / 60) ** 1.5
    # Well within the left chamber, and in its wall beside the middle of it.
    assert not (np.hypot(z - 58, x - 13) < 8).any()
    wall = np.hypot(z - 58, x - 13 - 18) < 2
    assert wall.sum() > 20
    np.testing.assert_allclose(strength[wall], gain[wall])
    assert len(scene.points_mm) == 4
    angles = [beam.angle_rad for beam in heart_beams()]
    assert len(angles) == 96 and np.degrees(angles[-1]) == pytest.approx(38)
