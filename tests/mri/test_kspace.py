"""Images from k-space: the transform, the crop, the coils, and what is refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.mri import open_stack, read_stack, stack

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>{}</x><y>{}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{}</x><y>{}</y><z>3</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{}</x><y>{}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{}</x><y>{}</y><z>3</z></fieldOfView_mm></reconSpace>
</encoding></ismrmrdHeader>"""


def to_kspace(images: np.ndarray) -> np.ndarray:
    """The forward model: centred, orthonormal, over the last two axes."""
    axes = (-2, -1)
    shifted = np.fft.ifftshift(images, axes=axes)
    transformed = np.fft.fft2(shifted, axes=axes, norm="ortho")
    return np.fft.fftshift(transformed, axes=axes).astype(np.complex64)


def write(path: Path, kspace: np.ndarray, header: str | None = None, **attrs) -> Path:
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        if header:
            file["ismrmrd_header"] = header
        file.attrs.update(attrs)
    return path


@pytest.fixture
def images() -> np.ndarray:
    """Three slices (64, 40) that are nothing outside their middle."""
    found = np.zeros((3, 64, 40))
    found[:, 18:46, 5:35] = np.random.default_rng(0).random((3, 28, 30))
    return found


def test_single_coil_image_returns_cropped(tmp_path: Path, images) -> None:
    # The readout is oversampled twice: 64 rows over 32 mm, of which 32 are shown.
    header = HEADER.format(64, 40, 32.0, 30.0, 32, 40, 16.0, 30.0)
    path = write(tmp_path / "knee.h5", to_kspace(images), header)
    with open_stack(path) as opened:
        assert opened.shape == (3, 32, 40)
        assert opened.pixel_size_mm == (0.5, 0.75)
        np.testing.assert_allclose(opened.read(1), images[1, 16:48], atol=1e-6)


def test_phase_does_not_show(tmp_path: Path, images) -> None:
    z = np.arange(64)[:, None]
    path = write(
        tmp_path / "a.h5", to_kspace(images * np.exp(0.3j * z)), pixel_size_mm=1.0
    )
    with open_stack(path) as opened:
        np.testing.assert_allclose(opened.read(0), images[0], atol=1e-6)


def test_coils_combine_to_the_root_of_their_sum_of_squares(
    tmp_path: Path, images
) -> None:
    rng = np.random.default_rng(1)
    coils = rng.standard_normal((5, 64, 40)) + 1j * rng.standard_normal((5, 64, 40))
    coils /= np.sqrt(np.sum(np.abs(coils) ** 2, axis=0))
    header = HEADER.format(64, 40, 32.0, 30.0, 32, 20, 16.0, 15.0)
    path = write(tmp_path / "a.h5", to_kspace(images[:, None] * coils), header)
    with open_stack(path) as opened:
        np.testing.assert_allclose(opened.read(2), images[2, 16:48, 10:30], atol=1e-6)


def test_readout_that_was_cropped_before_is_not_cropped_again(
    tmp_path: Path, images
) -> None:
    # The header still speaks of 128 rows; the file has the 64 that are shown.
    header = HEADER.format(128, 40, 64.0, 30.0, 64, 40, 32.0, 30.0)
    path = write(tmp_path / "a.h5", to_kspace(images), header)
    with open_stack(path) as opened:
        assert opened.pixel_size_mm == (0.5, 0.75)
        np.testing.assert_allclose(opened.read(0), images[0], atol=1e-6)


def test_scan_narrower_than_its_matrix_becomes_square(tmp_path: Path, images) -> None:
    header = HEADER.format(64, 40, 32.0, 20.0, 64, 64, 32.0, 32.0)
    with open_stack(write(tmp_path / "a.h5", to_kspace(images), header)) as opened:
        assert opened.pixel_size_mm == (0.5, 0.5)
        np.testing.assert_allclose(opened.read(0), images[0, 12:52], atol=1e-6)


def test_reconstruction_goes_before_kspace(tmp_path: Path, images) -> None:
    path = write(tmp_path / "a.h5", to_kspace(images), pixel_size_mm=1.0)
    with h5py.File(path, "a") as file:
        file["reconstruction_esc"] = np.full((2, 4, 4), 7.0, "f4")
    with open_stack(path) as opened:
        assert opened.read(0).tolist() == [[7.0] * 4] * 4


def test_test_file_with_a_mask_is_refused_with_the_reason(
    tmp_path: Path, images
) -> None:
    path = write(
        tmp_path / "test.h5", to_kspace(images), pixel_size_mm=1.0, acceleration=4
    )
    with h5py.File(path, "a") as file:
        file["mask"] = np.ones(40)
    wanted = r"test\.h5: an undersampled test file \(it has a mask, acceleration 4\)"
    with pytest.raises(FileFormatError, match=wanted):
        read_stack(path)


def test_missing_lines_are_noticed_without_a_mask(tmp_path: Path, images) -> None:
    kspace = to_kspace(images)
    kspace[..., 1::4] = 0
    path = write(tmp_path / "a.h5", kspace, pixel_size_mm=1.0)
    with pytest.raises(FileFormatError, match=r"slice 0 of kspace is undersampled: 30"):
        read_stack(path)


def test_padding_at_the_sides_is_no_undersampling(tmp_path: Path, images) -> None:
    kspace = to_kspace(images)
    kspace[..., :4] = kspace[..., -3:] = 0
    read_stack(write(tmp_path / "a.h5", kspace, pixel_size_mm=1.0))


def test_values_that_are_not_complex_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", np.ones((2, 8, 8), "f4"), pixel_size_mm=1.0)
    with pytest.raises(FileFormatError, match="has type float32"):
        read_stack(path)


@pytest.mark.parametrize("shape", [(8, 8), (1, 2, 3, 8, 8)])
def test_kspace_of_other_axes_is_refused(tmp_path: Path, shape) -> None:
    path = write(tmp_path / "a.h5", np.ones(shape, "c8"), pixel_size_mm=1.0)
    with pytest.raises(FileFormatError, match=r"must be \(slices, H, W\) or"):
        read_stack(path)


def test_kspace_without_a_pixel_size_is_refused(tmp_path: Path, images) -> None:
    with pytest.raises(FileFormatError, match="no pixel size"):
        read_stack(write(tmp_path / "a.h5", to_kspace(images)))


def test_nan_in_kspace_names_the_slice(tmp_path: Path, images) -> None:
    kspace = to_kspace(images)
    kspace[2, 3, 3] = np.nan
    path = write(tmp_path / "a.h5", kspace, pixel_size_mm=1.0)
    with pytest.raises(FileFormatError, match=r"slice 2 of 3 holds NaN"):
        read_stack(path)


def test_slice_too_large_for_memory_is_refused_unread(
    tmp_path: Path, images, monkeypatch
) -> None:
    path = write(tmp_path / "a.h5", to_kspace(images), pixel_size_mm=1.0)
    monkeypatch.setattr(stack, "LARGEST_SLICE_BYTES", 64 * 40 * 8 - 1)
    with (
        pytest.raises(FileFormatError, match=r"one slice takes 20\.5 kB"),
        open_stack(path),
    ):
        pass


def test_memory_does_not_grow_with_the_number_of_slices(tmp_path: Path) -> None:
    # 64 slices of 6 coils, 101 MB in all; one slice is 1.6 MB.
    path = tmp_path / "a.h5"
    line = to_kspace(np.random.default_rng(0).random((6, 256, 128)))
    with h5py.File(path, "w") as file:
        data = file.create_dataset("kspace", (64, 6, 256, 128), "c8")
        for index in range(64):
            data[index] = line
        file.attrs["pixel_size_mm"] = 1.0
    tracemalloc.start()
    with open_stack(path) as opened:
        total = sum(float(image.sum()) for image in opened.slices())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 0
    assert peak < 8e6
