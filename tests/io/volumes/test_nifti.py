"""NIfTI: pictures and clips of ultrasound, told apart from MRI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from example_pictures import GREY, nifti, nifti_packed
from napari_usflow import io, mri
from napari_usflow.errors import FileFormatError
from napari_usflow.io.formats import is_left_to_others
from napari_usflow.io.guards.file_checks import SourceFile

nibabel = pytest.importorskip("nibabel")


def write(path: Path, data: np.ndarray, zooms, **header) -> Path:
    image = header.pop("kind", nibabel.Nifti1Image)(data, np.diag([*zooms[:3], 1.0]))
    image.header.set_zooms(zooms[: data.ndim])
    if "units" in header:
        image.header.set_xyzt_units(*header["units"])
    if "slope" in header:
        image.header.set_slope_inter(header["slope"], header["inter"])
    nibabel.save(image, path)
    return path


def test_a_picture_is_upright_and_in_millimetres(tmp_path) -> None:
    path = nifti(tmp_path)

    (image,) = usf.read(path)

    assert io.detect(path) == "nifti"
    np.testing.assert_array_equal(image.data, GREY[:1])
    assert image.grid.spacing_mm == pytest.approx((0.2, 0.3))
    assert image.metadata["name"] == "apical"
    assert not is_left_to_others(SourceFile(path))


def test_a_sequence_of_camus_is_a_clip(tmp_path) -> None:
    (image,) = usf.read(nifti_packed(tmp_path))

    np.testing.assert_array_equal(image.data, GREY)
    assert image.frame_axis == "t"


def test_a_volume_of_cetus_is_one_of_planes(tmp_path) -> None:
    path = write(tmp_path / "a.nii.gz", GREY.T, (0.3, 0.2, 0.5))

    (image,) = usf.read(path)

    assert image.frame_axis == "y"
    assert image.metadata["slice_spacing_mm"] == pytest.approx(0.5)
    np.testing.assert_array_equal(image.data, GREY)


def test_a_fourth_axis_is_time_in_its_unit(tmp_path) -> None:
    data = GREY.T[:, :, None]
    zooms = (0.0003, 0.0002, 0.001, 40.0)
    path = write(tmp_path / "a.nii", data, zooms, units=("meter", "msec"))

    (image,) = usf.read(path)

    np.testing.assert_array_equal(image.data, GREY)
    assert image.frame_interval_s == pytest.approx(0.04)
    assert image.grid.spacing_mm == pytest.approx((0.2, 0.3))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<f4", ">f8"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_numbers_are_those_of_nibabel(tmp_path, name, dtype, kind) -> None:
    numbers = (-GREY.T.astype(float) / 5).astype(dtype)
    path = write(
        tmp_path / name, numbers, (0.3, 0.2, 0.5), kind=kind, slope=0.5, inter=-2
    )

    (image,) = usf.read(path)

    expected = nibabel.load(path).get_fdata(dtype=np.float32).T
    np.testing.assert_allclose(np.asarray(image.data), expected, atol=1e-4)


def test_a_volume_that_may_be_mri_is_read_when_asked_for_only(tmp_path) -> None:
    volume = np.random.default_rng(0).integers(1, 900, (32, 24, 6)).astype(np.int16)
    path = write(tmp_path / "t1.nii.gz", volume, (0.9, 0.9, 3.0))

    assert io.detect(path) == "nifti-volume"
    assert is_left_to_others(SourceFile(path))
    opened = io.open_file(path)
    assert "MRI" in " ".join(opened.images[0].metadata["notes"])
    assert mri.read_stack(path).slices.shape == (6, 24, 32)


def test_a_picture_of_8_bits_is_not_trained_on(tmp_path) -> None:
    with pytest.raises(FileFormatError, match="as ultrasound is stored"):
        mri.read_stack(nifti(tmp_path))


def test_colours_of_24_bits_become_grey(tmp_path) -> None:
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours = np.repeat(GREY.T[..., None], 3, axis=-1).copy().view(kind)[..., 0]
    path = write(tmp_path / "a.nii", colours[:, :, :1], (0.3, 0.2, 1.0))

    (image,) = usf.read(path)

    np.testing.assert_array_equal(image.data, GREY[:1])


def test_cut_files_and_complex_numbers_are_refused(tmp_path) -> None:
    path = nifti(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FileFormatError, match=r"copy it again|cut short"):
        usf.read(path)
    path = write(tmp_path / "b.nii", GREY.T.astype(complex), (0.3, 0.2, 1.0))
    with pytest.raises(FileFormatError, match="complex"):
        usf.read(path)
