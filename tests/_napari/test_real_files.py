"""Every real file opens in napari at its size in mm, or is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow._napari.readers import get_reader
from napari_usflow.errors import FileFormatError

pytestmark = pytest.mark.real_data

SCREEN = "in pixels: the file does not say how large one is"
# What the folder's descriptions, or the headers of the files, say of a pixel: (axial,
# lateral) in mm, one pair for each image layer.
SHALLOW_MM = 1e3 * 1540 / (2 * 15e6)
SIZES_MM = {
    "clarius-carotid-doppler/carotid_env.raw": [(SHALLOW_MM, 0.2 * 191 / 303)],
    "clarius-carotid-doppler/carotid_env.yml": [(SHALLOW_MM, 0.2 * 191 / 303)],
    "clarius-carotid-doppler/carotid_iq.raw": [(SHALLOW_MM * np.cos(np.pi / 12), 0.2)],
    "clarius-carotid-doppler/carotid_iq.yml": [(SHALLOW_MM * np.cos(np.pi / 12), 0.2)],
    "dicom-us-pydicom/JPGLosslessP14SV1_1s_1f_8b.dcm": [(0.254767, 0.254767)],
    "dicom-us-pydicom/OBXXXX1A_2frame.dcm": [(0.262288, 0.262288)],
    "dicom-us-pydicom/OBXXXX1A_rle_2frame.dcm": [(0.262288, 0.262288)],
    "dicom-us-pydicom/US1_J2KR.dcm": SCREEN,
    "dicom-us-pydicom/US1_UNCR.dcm": SCREEN,
    "dicom-us-pydicom/examples_palette.dcm": [(0.262288, 0.262288)],
    "dicom-us-pydicom/examples_rgb_color.dcm": SCREEN,
    # Reduced to a half after its region was written: 2 x 0.510497.
    "dicom-us-pydicom/examples_ybr_color.dcm": [(1.020994, 1.020994)],
    "dicom-us-pydicom/gdcm-US-ALOKA-16.dcm": [(0.382653, 0.382653)] * 2,
    "muscle-rf-gastrocnemius/rf_dataset.hdf5": [(0.0739206, 0.0985608)],
    "picmus-das-images/1.hdf5": [(36 / 255, 36 / 255)],
    "picmus-das-images/2.hdf5": [(36 / 255, 36 / 255)],
    "picmus-das-images/3.hdf5": [(36 / 255, 36 / 255)],
    "picmus-das-images/4.hdf5": [(36 / 255, 36 / 255)],
    "picmus-das-images/DAS75_carotid_cross.mat": SCREEN,
    "picmus-das-images/DAS75_contrast_expe.mat": SCREEN,
    "pymust-rotating-disk/PWI_disk.mat": [(0.296 / 4, 0.296 / 3)],
    "pymust-rotating-disk/bmode_PWI_disk.mat": SCREEN,
    "pybf-fieldii-points/rf_dataset.hdf5": [(0.0739206, 0.0985608)],
    "sonoque-cyst/sonoque_anechoic-3mm-3mm.dcm": [(0.0291, 0.0291)],
    "sonoque-cyst/sonoque_axial-lateral-resolution-2020.dcm": [(0.0291, 0.0291)],
}
# The acquisitions of eleven plane waves take a minute each to beamform.
BEAMFORMED_ELSEWHERE = {
    "picmus-insilico/contrast_simu_dataset_iq.hdf5",
    "picmus-insilico/resolution_simu_dataset_iq.hdf5",
    "picmus-insilico/resolution_simu_dataset_rf.hdf5",
}
TARGETS = {
    "picmus-phantoms-scan/contrast_speckle_expe_phantom.hdf5",
    "picmus-phantoms-scan/contrast_speckle_simu_phantom.hdf5",
    "picmus-phantoms-scan/resolution_distorsion_expe_phantom.hdf5",
    "picmus-phantoms-scan/resolution_distorsion_simu_phantom.hdf5",
}
REFUSED = {
    "picmus-phantoms-scan/contrast_speckle_expe_scan.hdf5": "only the pixel positions",
}
# Opened by napari itself, which needs no plugin for them.
PICTURES = {"clarius-carotid-doppler/carotid.jpeg"}
TEXTS = {".txt", ".md", "", ".pydicom", ".pydicom-data"}
IN_COLOUR = {
    "dicom-us-pydicom/US1_J2KR.dcm",
    "dicom-us-pydicom/US1_UNCR.dcm",
    "dicom-us-pydicom/examples_rgb_color.dcm",
}


def test_every_file_of_the_folder_is_listed_here(real_data: Path) -> None:
    folder = real_data / "ultrasound"
    found = {
        str(path.relative_to(folder).as_posix())
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in TEXTS
    }

    assert found == ({*SIZES_MM, *REFUSED} | BEAMFORMED_ELSEWHERE | TARGETS | PICTURES)


@pytest.mark.parametrize("name", SIZES_MM)
def test_a_real_file_opens_with_its_millimetres(real_data: Path, name: str) -> None:
    path = real_data / "ultrasound" / name
    reader = get_reader(path)
    assert reader is not None

    layers = reader(path)

    expected = SIZES_MM[name]
    assert all(kind == "image" for _, _, kind in layers)
    if expected is SCREEN:
        (data, kwargs, _) = layers[0]
        assert "units" not in kwargs
        assert kwargs.get("rgb", False) == (name in IN_COLOUR)
        assert data.shape[-1] == 3 or name not in IN_COLOUR
        return
    assert len(layers) == len(expected)
    for (_, kwargs, _), size in zip(layers, expected, strict=True):
        assert tuple(kwargs["units"][-2:]) == ("mm", "mm")
        np.testing.assert_allclose(kwargs["scale"][-2:], size, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_real_file_without_an_image_is_refused(real_data: Path, name: str) -> None:
    path = real_data / "ultrasound" / name

    with pytest.raises(FileFormatError, match=REFUSED[name]):
        get_reader(path)(path)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_real_phantom_opens_as_shapes_and_points(real_data: Path, name: str) -> None:
    path = real_data / "ultrasound" / name

    layers = get_reader(path)(path)

    assert {kind for _, _, kind in layers} <= {"shapes", "points"}
    assert all(kwargs["units"] == ("mm", "mm") for _, kwargs, _ in layers)


@pytest.mark.parametrize("name", sorted(BEAMFORMED_ELSEWHERE))
def test_a_real_dataset_is_claimed(real_data: Path, name: str) -> None:
    assert get_reader(real_data / "ultrasound" / name) is not None


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_picture_is_left_to_napari(real_data: Path, name: str) -> None:
    assert get_reader(real_data / "ultrasound" / name) is None
