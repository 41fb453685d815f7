"""PICMUS phantoms: the targets, without the entries that mean "none"."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.io.picmus import (
    Cyst,
    Phantom,
    SpeckleRegion,
    describe_phantom,
    read_phantom,
)

CYSTS = {
    "phantom_occlusionCenterX": [-1e-3, 2e-3],
    "phantom_occlusionCenterZ": [15e-3, 43e-3],
    "phantom_occlusionDiameter": [4.5e-3, 4e-3],
}


def test_points_are_depth_first_in_millimetres(write_phantom) -> None:
    path = write_phantom(phantom_xPts=[-1e-3, 2e-3], phantom_zPts=[20e-3, 30e-3])

    phantom = read_phantom(path)

    np.testing.assert_allclose(phantom.points_mm, [[20, -1], [30, 2]], rtol=1e-6)
    assert phantom.cysts == phantom.speckle_regions == ()
    assert phantom.name == "targets"


def test_cysts_have_a_centre_and_a_diameter(write_phantom) -> None:
    first, second = read_phantom(write_phantom(**CYSTS)).cysts

    assert first.center_mm == pytest.approx((15, -1))
    assert first.diameter_mm == pytest.approx(4.5)
    assert second.center_mm == pytest.approx((43, 2))


def test_speckle_regions_are_so_many_resolutions(write_phantom) -> None:
    path = write_phantom(
        phantom_RoiCenterX=[8e-3],
        phantom_RoiCenterZ=[21e-3],
        phantom_RoiPsfTimeX=[8],
        phantom_RoiPsfTimeZ=[6],
    )

    (region,) = read_phantom(path).speckle_regions

    assert region.center_mm == pytest.approx((21, 8))
    assert region.half_size_mm == pytest.approx((6 * 0.4, 8 * 0.6))


def test_the_default_point_of_a_phantom_of_cysts_is_none(write_phantom) -> None:
    assert read_phantom(write_phantom(**CYSTS)).points_mm.shape == (0, 2)
    assert read_phantom(write_phantom()).points_mm.shape == (1, 2)
    beside = write_phantom(**CYSTS, phantom_xPts=[5e-3], phantom_zPts=[20e-3])
    assert read_phantom(beside).points_mm.shape == (1, 2)


def test_scatterers_are_read_when_asked_for(write_phantom) -> None:
    phantom = read_phantom(write_phantom())

    positions, amplitudes = phantom.scatterers()

    assert phantom.n_scatterers == 2
    np.testing.assert_allclose(positions, [[1e-3, 0, 3e-3], [2e-3, 0, 4e-3]], rtol=1e-6)
    np.testing.assert_array_equal(amplitudes, [1, 2])


def test_scatterers_that_do_not_fit_are_refused(write_phantom) -> None:
    phantom = read_phantom(write_phantom(scatterers_positions=np.zeros((3, 5))))

    with pytest.raises(FileFormatError, match=r"do not fit .* shape \(3, 5\)"):
        phantom.scatterers()
    with pytest.raises(ValueError, match="no file"):
        Phantom().scatterers()


def test_columns_of_different_length_are_refused(write_phantom) -> None:
    path = write_phantom(phantom_xPts=[0, 1], phantom_zPts=[1, 2, 3])

    with pytest.raises(FileFormatError, match="3 zPts, 2 xPts"):
        read_phantom(path)


def test_the_summary_is_plain() -> None:
    phantom = Phantom(
        points_mm=np.array([[20.0, 1.0]]),
        cysts=(Cyst((15, 0), 4),),
        speckle_regions=(SpeckleRegion((30, 2), (3, 4)),),
    )

    summary = json.loads(json.dumps(describe_phantom(phantom)))

    assert summary["points_mm"] == [[20, 1]]
    assert summary["cysts_mm"] == [{"center": [15, 0], "diameter": 4}]
    assert summary["speckle_regions_mm"] == [{"center": [30, 2], "half_size": [3, 4]}]
