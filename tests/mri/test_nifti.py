"""Volumes in NIfTI: which way they are cut, their pixels, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.mri import nifti, open_stack, read_stack

nibabel = pytest.importorskip("nibabel")


def write(path: Path, data: np.ndarray, zooms=(1.0, 1.0, 1.0), **header) -> Path:
    kind = header.pop("kind", nibabel.Nifti1Image)
    image = kind(data, np.diag([*zooms, 1.0]))
    image.header.set_zooms((*zooms, *[1.0] * (data.ndim - 3)))
    if "unit" in header:
        image.header.set_xyzt_units(header["unit"])
    if "slope" in header:
        image.header.set_slope_inter(header["slope"], header["inter"])
    nibabel.save(image, path)
    return path


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 900, (6, 7, 8)).astype(np.int16)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_slices_are_taken_across_the_last_axis(tmp_path, volume, name, kind) -> None:
    path = write(tmp_path / name, volume, (0.5, 0.6, 0.6), kind=kind)
    with open_stack(path) as opened:
        assert (opened.name, opened.shape) == ("a", (8, 7, 6))
        assert opened.pixel_size_mm == pytest.approx((0.6, 0.5))
        np.testing.assert_array_equal(opened.read(3), volume[:, :, 3].T)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_taken_across_the_coarsest_axis(tmp_path, volume, axis) -> None:
    zooms = [0.5, 0.6, 0.55]
    zooms[axis] = 3.0
    with open_stack(write(tmp_path / "a.nii", volume, zooms)) as opened:
        rest = [z for z in zooms if z != 3.0]
        assert opened.pixel_size_mm == pytest.approx(rest[::-1])
        assert opened.attributes["slice_spacing_mm"] == 3.0
        assert len(opened) == volume.shape[axis]
        np.testing.assert_array_equal(opened.read(2), volume.take(2, axis).T)


def test_stored_numbers_are_rescaled(tmp_path, volume) -> None:
    path = write(tmp_path / "a.nii", volume)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([0.25, 3.0], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(content)
    with open_stack(path) as opened:
        np.testing.assert_allclose(opened.read(0), volume[:, :, 0].T * 0.25 + 3.0)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_first_of_several_volumes_is_used_and_said(tmp_path, volume, name) -> None:
    both = np.stack([volume, volume + 50], axis=-1)
    with open_stack(write(tmp_path / name, both)) as opened:
        assert opened.attributes["volume"] == "1 of 2"
        np.testing.assert_array_equal(opened.read(1), volume[:, :, 1].T)


@pytest.mark.parametrize(
    ("unit", "factor"), [("mm", 1.0), ("micron", 1e-3), ("meter", 1e3)]
)
def test_unit_of_the_header_is_heeded(tmp_path, volume, unit, factor) -> None:
    path = write(tmp_path / "a.nii", volume, (0.5, 0.5, 0.5), unit=unit)
    with open_stack(path) as opened:
        assert opened.pixel_size_mm == pytest.approx((0.5 * factor, 0.5 * factor))


def test_plain_file_is_mapped_not_read(tmp_path, volume) -> None:
    with open_stack(write(tmp_path / "a.nii", volume)) as opened:
        (held,) = (
            cell.cell_contents
            for cell in opened.load.__closure__
            if isinstance(cell.cell_contents, np.ndarray)
        )
        assert isinstance(held, np.memmap)


def test_complex_volume_is_refused(tmp_path, volume) -> None:
    path = write(tmp_path / "a.nii", volume.astype(np.complex64))
    with pytest.raises(FileFormatError, match=r"complex values; pass the magnitude"):
        read_stack(path)


def test_single_image_is_refused(tmp_path) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 5), np.float32), np.eye(4))
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(FileFormatError, match=r"shape \(4, 5\); a volume of three"):
        read_stack(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nan_names_file_and_slice(tmp_path, volume, name) -> None:
    data = volume.astype(np.float32)
    data[2, 3, 5] = np.nan
    with pytest.raises(FileFormatError, match=rf"{name}: slice 5 of 8 holds NaN"):
        read_stack(write(tmp_path / name, data))


def test_file_that_is_cut_short_is_refused(tmp_path, volume) -> None:
    path = write(tmp_path / "a.nii", volume)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileFormatError, match=r"a\.nii.*(copy it again|damaged)"):
        read_stack(path)


def test_packed_file_that_is_cut_short_is_refused(tmp_path, volume) -> None:
    path = write(tmp_path / "a.nii.gz", volume)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FileFormatError, match="is a damaged NIfTI file"):
        read_stack(path)


def test_absurd_declared_shape_is_refused_unread(tmp_path, volume) -> None:
    path = write(tmp_path / "a.nii", volume)
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()  # dim[1:4]
    path.write_bytes(content)
    declared = r"declares shape \(30000, 30000, 30000\) \(54 TB\)"
    with pytest.raises(FileFormatError, match=declared):
        read_stack(path)
    packed = tmp_path / "b.nii.gz"
    packed.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(FileFormatError, match=declared):
        read_stack(packed)


def test_packed_volume_larger_than_the_budget_is_refused(
    tmp_path, volume, monkeypatch
) -> None:
    path = write(tmp_path / "a.nii.gz", volume)
    monkeypatch.setattr(nifti, "_LARGEST_PACKED_BYTES", volume.size * 8 - 1)
    with pytest.raises(FileFormatError, match=r"Unpack it \(gunzip\)"):
        read_stack(path)


def test_pixel_size_of_nothing_is_refused(tmp_path, volume) -> None:
    path = write(tmp_path / "a.nii", volume)
    content = bytearray(path.read_bytes())
    content[80:84] = np.array([np.nan], "<f4").tobytes()  # pixdim[1]
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"pixel size .* makes no sense"):
        read_stack(path)
