"""Beamforming of files made by others, against what is known of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow.io import read_channel_data
from napari_usflow.io.picmus import read_phantom
from napari_usflow.ultrasound.beamform import beamform
from napari_usflow.ultrasound.data import UltrasoundImage

pytestmark = pytest.mark.real_data

HALF_WAVELENGTH_MM = 0.148


@pytest.fixture(scope="module")
def resolution_images(real_data: Path) -> dict[str, UltrasoundImage]:
    """One acquisition, from its RF and from its IQ file."""
    folder = real_data / "ultrasound" / "picmus-insilico"
    return {
        kind: beamform(
            read_channel_data(folder / f"resolution_simu_dataset_{kind}.hdf5")
        )
        for kind in ("rf", "iq")
    }


def brightest(
    image: UltrasoundImage, z_mm: float, x_mm: float, reach_mm: float = 1.8
) -> tuple[float, float]:
    z, x = image.grid.axes_mm()
    near = (np.abs(z - z_mm) <= reach_mm)[:, None] & (np.abs(x - x_mm) <= reach_mm)
    place = np.where(near, image.data[0], -np.inf).argmax()
    row, column = np.unravel_index(place, near.shape)
    return float(z[row]), float(x[column])


@pytest.mark.parametrize("kind", ["rf", "iq"])
def test_points_of_the_picmus_phantom_come_out_in_their_places(
    real_data: Path, resolution_images: dict[str, UltrasoundImage], kind: str
) -> None:
    phantom = read_phantom(
        real_data
        / "ultrasound/picmus-phantoms-scan/resolution_distorsion_simu_phantom.hdf5"
    )
    assert len(phantom.points_mm) == 20

    for z, x in phantom.points_mm:
        found = brightest(resolution_images[kind], z, x)
        np.testing.assert_allclose(found, (z, x), atol=HALF_WAVELENGTH_MM)


def test_rf_and_iq_files_agree(resolution_images: dict[str, UltrasoundImage]) -> None:
    rf, iq = (resolution_images[kind].data[0] for kind in ("rf", "iq"))

    difference = np.abs(rf - iq)[rf > -40]

    assert np.percentile(difference, 95) < 0.5


@pytest.mark.parametrize("angles", [1, 3])
def test_points_of_a_field_ii_simulation_are_on_the_axis_at_their_depths(
    real_data: Path, angles: int
) -> None:
    data = read_channel_data(
        real_data / "ultrasound/pybf-fieldii-points/rf_dataset.hdf5"
    )

    image = beamform(data, angles=angles)

    for depth_mm in (10.35, 22.18, 34.00, 45.83):
        found = brightest(image, depth_mm, 0.0, 1.0)
        np.testing.assert_allclose(found, (depth_mm, 0.0), atol=HALF_WAVELENGTH_MM)


def test_the_deep_aponeurosis_stands_out_of_the_muscle(real_data: Path) -> None:
    data = read_channel_data(
        real_data / "ultrasound/muscle-rf-gastrocnemius/rf_dataset.hdf5"
    )

    image = beamform(data)

    # A bright band from 20.5 mm at the left to 24 mm at the right.
    z, x = image.grid.axes_mm()
    middle = np.abs(x) < 15
    band = z[np.newaxis, :].T - (22.3 + 0.07 * x)
    for frame in image.data:
        inside = frame[:, middle][np.abs(band[:, middle]) < 0.7].mean()
        around = np.abs(np.abs(band[:, middle]) - 4) < 2
        assert inside > frame[:, middle][around].mean() + 10
    assert image.data.shape[0] == 2
