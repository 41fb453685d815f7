"""Real files: every one is told apart in milliseconds and described."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow import io
from napari_usflow.io import picmus

pytestmark = pytest.mark.real_data

KINDS = {
    "picmus-das-images/1.hdf5": "picmus-image",
    "picmus-das-images/2.hdf5": "picmus-image",
    "picmus-das-images/3.hdf5": "picmus-image",
    "picmus-das-images/4.hdf5": "picmus-image",
    "picmus-insilico/contrast_simu_dataset_iq.hdf5": "picmus-dataset",
    "picmus-insilico/resolution_simu_dataset_iq.hdf5": "picmus-dataset",
    "picmus-insilico/resolution_simu_dataset_rf.hdf5": "picmus-dataset",
    "picmus-phantoms-scan/contrast_speckle_expe_phantom.hdf5": "picmus-phantom",
    "picmus-phantoms-scan/contrast_speckle_expe_scan.hdf5": "picmus-scan",
    "picmus-phantoms-scan/contrast_speckle_simu_phantom.hdf5": "picmus-phantom",
    "picmus-phantoms-scan/resolution_distorsion_expe_phantom.hdf5": "picmus-phantom",
    "picmus-phantoms-scan/resolution_distorsion_simu_phantom.hdf5": "picmus-phantom",
    "pybf-fieldii-points/rf_dataset.hdf5": "pybf",
    "muscle-rf-gastrocnemius/rf_dataset.hdf5": "pybf",
    "picmus-das-images/DAS75_carotid_cross.mat": "matlab-image",
    "picmus-das-images/DAS75_contrast_expe.mat": "matlab-image",
    "pymust-rotating-disk/PWI_disk.mat": "matlab-must",
    "pymust-rotating-disk/bmode_PWI_disk.mat": "matlab-image",
    "clarius-carotid-doppler/carotid_env.raw": "clarius",
    "clarius-carotid-doppler/carotid_env.yml": "clarius",
    "clarius-carotid-doppler/carotid_iq.raw": "clarius",
    "clarius-carotid-doppler/carotid_iq.yml": "clarius",
    "dicom-us-pydicom/examples_ybr_color.dcm": "dicom-ultrasound",
    "dicom-us-pydicom/US1_UNCR.dcm": "dicom-ultrasound",
}


@pytest.mark.parametrize("name", KINDS)
def test_a_real_file_is_told_apart_in_milliseconds(real_data: Path, name: str) -> None:
    path = real_data / "ultrasound" / name
    io.detect(path)  # the first look at a file waits for the disk

    start = time.perf_counter()
    kind = io.detect(path)

    assert kind == KINDS[name]
    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind])
def test_a_real_file_is_described(real_data: Path, name: str) -> None:
    summary = io.describe(real_data / "ultrasound" / name)

    assert json.loads(json.dumps(summary))["kind"] == KINDS[name]


def test_the_official_scan_is_the_known_grid(real_data: Path) -> None:
    path = real_data / "ultrasound/picmus-phantoms-scan"

    grid = picmus.read_scan(path / "contrast_speckle_expe_scan.hdf5")

    assert grid.shape == (609, 387)
    np.testing.assert_allclose(grid.spacing_mm, (0.07392, 0.09857), rtol=1e-4)
    np.testing.assert_allclose(grid.origin_mm, (5, -19.05), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "points", "cysts", "regions"),
    [
        ("contrast_speckle_expe", 0, 2, 3),
        ("contrast_speckle_simu", 0, 9, 4),
        ("resolution_distorsion_expe", 5, 0, 0),
        ("resolution_distorsion_simu", 20, 0, 0),
    ],
)
def test_the_official_phantoms_have_their_targets(
    real_data: Path, name: str, points: int, cysts: int, regions: int
) -> None:
    path = real_data / f"ultrasound/picmus-phantoms-scan/{name}_phantom.hdf5"

    phantom = picmus.read_phantom(path)
    positions, amplitudes = phantom.scatterers()

    found = (len(phantom.points_mm), len(phantom.cysts), len(phantom.speckle_regions))
    assert found == (points, cysts, regions)
    assert positions.shape == (phantom.n_scatterers, 3)
    assert amplitudes.shape == (phantom.n_scatterers,)


def test_rf_and_iq_of_one_acquisition_are_told_apart(real_data: Path) -> None:
    folder = real_data / "ultrasound/picmus-insilico"

    rf, iq = (
        usf.read_channel_data(folder / f"resolution_simu_dataset_{kind}.hdf5")
        for kind in ("rf", "iq")
    )

    assert (rf.is_iq, iq.is_iq) == (False, True)
    assert rf.samples.shape == (1, 11, 128, 1394)
    assert iq.samples.shape == (1, 11, 128, 349)
    assert rf.demodulation_frequency_hz == 0
    assert iq.demodulation_frequency_hz == 5.208e6
    assert rf.metadata["notes"] == iq.metadata["notes"] == []


@pytest.mark.parametrize(
    ("name", "transmits", "start_s"),
    [("pybf-fieldii-points", 3, -3.6625e-6), ("muscle-rf-gastrocnemius", 1, 0.0)],
)
def test_real_pybf_files_give_their_times(real_data, name, transmits, start_s) -> None:
    data = usf.read_channel_data(real_data / f"ultrasound/{name}/rf_dataset.hdf5")

    assert data.samples.shape[1:3] == (transmits, 192)
    np.testing.assert_allclose(data.start_time_s, np.full(transmits, start_s))
    assert data.element_positions_m[-1, 0] == pytest.approx(0.23e-3 * 191 / 2)


def test_real_pybf_samples_are_read_as_stored(real_data: Path) -> None:
    import h5py

    path = real_data / "ultrasound/pybf-fieldii-points/rf_dataset.hdf5"
    with h5py.File(path) as file:
        shot = file["data/rf_data/frame_1/shot_2"][()]

    np.testing.assert_array_equal(usf.read_channel_data(path).samples[0, 1], shot)
