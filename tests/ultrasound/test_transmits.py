from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.ultrasound.data import ChannelData
from napari_usflow.ultrasound.transmits import DivergingWave, FocusedBeam, PlaneWave


def test_a_plane_wave_is_at_the_centre_at_time_zero_and_travels_towards_its_angle():
    wave = PlaneWave(np.radians(30))

    assert wave.path_m(0.0, 0.0) == 0
    # 2 cm along its own direction, and one point beside it on the same front.
    assert wave.path_m(0.02 * np.cos(np.pi / 6), 0.01) == pytest.approx(0.02)
    assert wave.path_m(0.0, 0.01) == pytest.approx(0.005)


def test_a_diverging_wave_spreads_in_circles_from_its_source() -> None:
    wave = DivergingWave((0.0, 0.0, -0.01))

    assert wave.path_m(0.0, 0.0) == 0
    np.testing.assert_allclose(wave.path_m([0.03, 0.02], [0.03, 0.04]), [0.04, 0.04])


def test_an_element_that_fires_alone_is_its_own_origin() -> None:
    element = (0.003, 0.0, 0.0)

    assert DivergingWave(element, element).path_m(0.004, 0.0) == pytest.approx(0.005)


def test_a_beam_goes_along_its_axis_at_the_speed_of_sound() -> None:
    beam = FocusedBeam(np.radians(20), 0.04, (0.005, 0.0, 0.001))
    far = np.array([0.0, 0.01, 0.04, 0.09])

    path = beam.path_m(
        0.001 + far * np.cos(np.radians(20)), 0.005 + far * np.sin(np.radians(20))
    )

    np.testing.assert_allclose(path, far, atol=1e-15)
    np.testing.assert_allclose(
        beam.direction, (np.sin(np.pi / 9), 0, np.cos(np.pi / 9))
    )


def test_a_beam_converges_on_its_focus_and_spreads_from_it() -> None:
    beam = FocusedBeam(0.0, 0.03)

    # 4 cm before and behind the focus by the 3-4-5 triangle: 5 cm from it.
    assert beam.path_m(0.03 - 0.004, 0.003) == pytest.approx(0.03 - 0.005)
    assert beam.path_m(0.03 + 0.004, 0.003) == pytest.approx(0.03 + 0.005)


def test_a_beam_without_a_focus_is_a_plane_wave_from_its_origin() -> None:
    beam = FocusedBeam(0.2, origin_m=(0.004, 0.0, 0.0))

    np.testing.assert_allclose(
        beam.path_m(0.02, 0.01), PlaneWave(0.2).path_m(0.02, 0.006)
    )


@pytest.mark.parametrize("distance", [0.0, -0.01, float("nan")])
def test_a_focus_that_is_not_in_front_of_the_array_is_refused(distance: float) -> None:
    with pytest.raises(ValueError, match="focal distance must be positive"):
        FocusedBeam(0.0, distance)


def test_transmits_of_two_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="one class, got FocusedBeam, PlaneWave"):
        ChannelData(
            np.zeros((1, 2, 1, 8), np.float32),
            np.zeros((1, 3)),
            20e6,
            5e6,
            0.0,
            1540.0,
            np.zeros(2),
            [PlaneWave(0.0), FocusedBeam(0.0)],
        )
