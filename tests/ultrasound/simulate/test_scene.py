from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.ultrasound.simulate.scene import Scene, sample_scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return sample_scene()


def strengths_in(scene: Scene, cyst: np.ndarray) -> np.ndarray:
    x, z = 1e3 * scene.positions_m[:, 0], 1e3 * scene.positions_m[:, 2]
    return scene.amplitudes[np.hypot(z - cyst[0], x - cyst[1]) < cyst[2] / 2]


def test_two_cysts_are_empty_one_is_faint_and_one_bright(scene: Scene) -> None:
    left, middle, right, deep = (strengths_in(scene, c) for c in scene.cysts_mm)

    assert left.size == deep.size == 0
    assert 20 * np.log10(np.abs(middle)) == pytest.approx(-12)
    assert 20 * np.log10(np.abs(right)) == pytest.approx(10)
    # 60 a square millimetre, Poisson distributed.
    assert middle.size == pytest.approx(60 * np.pi * 9, abs=4 * np.sqrt(60 * np.pi * 9))


def test_the_vessel_is_empty_between_bright_walls(scene: Scene) -> None:
    x, z = 1e3 * scene.positions_m[:, 0], 1e3 * scene.positions_m[:, 2]
    radius = np.abs(z - (12 + np.tan(np.radians(4)) * x)) * np.cos(np.radians(4))
    level = 20 * np.log10(np.abs(scene.amplitudes))

    assert radius.min() >= 2.2
    for inner, outer, expected in ((2.2, 2.5, 14), (2.5, 3.0, -8), (3.0, 3.6, 16)):
        layer = level[(radius > inner) & (radius < outer)]
        np.testing.assert_allclose(layer, expected, atol=1e-6)


def test_speckle_regions_are_of_the_background(scene: Scene) -> None:
    x, z = 1e3 * scene.positions_m[:, 0], 1e3 * scene.positions_m[:, 2]
    for axial, lateral, half_z, half_x in scene.speckle_regions_mm:
        inside = (abs(z - axial) < half_z) & (abs(x - lateral) < half_x)
        assert set(np.abs(scene.amplitudes[inside])) == {1.0}


def test_points_stand_apart_from_every_other_target(scene: Scene) -> None:
    np.testing.assert_allclose(
        1e3 * scene.positions_m[-5:, [2, 0]], scene.points_mm, atol=1e-12
    )
    for z, x in scene.points_mm:
        for axial, lateral, diameter in scene.cysts_mm:
            assert np.hypot(z - axial, x - lateral) > diameter / 2 + 1.8


def test_a_seed_decides_the_scatterers_and_not_the_targets(scene: Scene) -> None:
    again, other = sample_scene(0), sample_scene(1)

    np.testing.assert_array_equal(again.positions_m, scene.positions_m)
    assert not np.array_equal(other.amplitudes[:100], scene.amplitudes[:100])
    np.testing.assert_array_equal(other.cysts_mm, scene.cysts_mm)


def test_positions_and_amplitudes_must_belong_together() -> None:
    with pytest.raises(ValueError, match=r"got \(3, 3\) and \(2,\)"):
        Scene(np.zeros((3, 3)), np.zeros(2))
