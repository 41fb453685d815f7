"""HDF5 files and NumPy archives with names of their own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import napari_usflow as usf
from example_pictures import GREY, hdf5_arrays, npz
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io.formats import is_left_to_others
from napari_usflow.io.guards.file_checks import SourceFile
from point_scene import CENTER_HZ, ELEMENTS_M, FS_HZ, echoes, plane_paths

RNG = np.random.default_rng(1)
CLIP = RNG.integers(0, 256, (4, 40, 30)).astype(np.uint8)
Z_M, X_M = 5e-3 + 2e-4 * np.arange(40), 3e-4 * np.arange(30)


def archive(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def hdf5(path: Path, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return path


@pytest.mark.parametrize("make", [npz, hdf5_arrays])
def test_the_only_array_that_can_be_the_image_is_taken(tmp_path, make) -> None:
    path = make(tmp_path)

    (image,) = usf.read(path)

    np.testing.assert_array_equal(np.asarray(image.data), GREY)
    assert image.metadata["pixel_size_known"] is False
    assert [3, 24, 32] in io.describe(path)["arrays"].values()


@pytest.mark.parametrize("write", [archive, hdf5])
def test_of_several_arrays_the_user_says_which_is_what(tmp_path, write) -> None:
    path = write(
        tmp_path / ("a.npz" if write is archive else "a.h5"),
        clip=CLIP,
        mask=CLIP[0],
        z=Z_M * 100,
        x=X_M,
        rate=np.array(25.0),
    )
    names = {"image": "clip", "z_axis_m": "z / 100", "x_axis_m": "x"}

    (image,) = usf.read(path, names={**names, "frame_rate_hz": "rate"})

    np.testing.assert_array_equal(np.asarray(image.data), CLIP)
    assert image.grid.spacing_mm == pytest.approx((0.2, 0.3))
    assert image.grid.origin_mm == pytest.approx((5, 0))
    assert image.frame_interval_s == pytest.approx(0.04)
    listed = io.describe(path)["arrays"]
    assert (listed["clip"], listed["z"]) == ([4, 40, 30], listed["z"])
    with pytest.raises(FileFormatError, match=r"--names image=NAME .*clip 4x40x30"):
        usf.read(path)
    with pytest.raises(FileFormatError, match=r"no (variable|array)"):
        usf.read(path, names={"image": "missing"})


@pytest.mark.parametrize("write", [archive, hdf5])
def test_axes_are_named_in_the_order_of_the_file(tmp_path, write) -> None:
    path = write(
        tmp_path / ("a.npz" if write is archive else "a.h5"),
        clip=CLIP.transpose(1, 2, 0),
        other=CLIP,
    )

    (image,) = usf.read(path, names={"image": "clip", "image_axes": "zxf"})

    np.testing.assert_array_equal(np.asarray(image.data), CLIP)


def test_groups_are_written_with_dots(tmp_path) -> None:
    path = hdf5(tmp_path / "a.h5", scan__bmode=CLIP, scan__z=Z_M, more=CLIP)

    (image,) = usf.read(path, names={"image": "scan.bmode"})

    np.testing.assert_array_equal(np.asarray(image.data), CLIP)


@pytest.mark.parametrize("write", [archive, hdf5])
def test_channel_data_can_be_named(tmp_path, write) -> None:
    angles = np.radians([-8.0, 0.0, 8.0])
    rf = echoes(plane_paths(angles), np.zeros(3), 640)
    path = write(
        tmp_path / ("a.npz" if write is archive else "a.h5"),
        rf=rf[None],
        angles=angles,
        fs=np.array(FS_HZ),
        elements=ELEMENTS_M.T,
    )
    names = {
        "samples": "rf",
        "sampling_frequency_hz": "fs",
        "center_frequency_hz": str(CENTER_HZ),
        "element_positions_m": "elements",
        "angles_rad": "angles",
    }

    data = usf.read_channel_data(path, names=names)

    assert data.samples.shape == (1, 3, *rf.shape[1:])
    np.testing.assert_allclose(np.asarray(data.samples[0]), rf, rtol=1e-6)
    np.testing.assert_allclose(data.element_positions_m, ELEMENTS_M, atol=1e-9)


def test_files_of_other_programs_are_left_to_them(tmp_path) -> None:
    several = archive(tmp_path / "a.npz", one=CLIP, two=CLIP)
    assert is_left_to_others(SourceFile(several))
    assert is_left_to_others(SourceFile(hdf5(tmp_path / "a.h5", one=CLIP)))
    mri = hdf5(tmp_path / "knee.h5", kspace=CLIP.astype(np.complex64))
    assert io.detect(mri) is None
    text = hdf5(tmp_path / "few.h5", table=np.zeros((3, 3)))
    assert io.detect(text) is None


def test_objects_are_never_unpickled(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    objects = np.empty(2, object)
    objects[:] = [Trap(), Trap()]
    path = archive(tmp_path / "a.npz", image=CLIP[0], evil=objects)

    (image,) = usf.read(path)

    np.testing.assert_array_equal(image.data[0], CLIP[0])
    with pytest.raises(FileFormatError, match=r"no (variable|array) 'evil'"):
        usf.read(path, names={"image": "evil"})
    assert not (tmp_path / "sprung").exists()


def test_an_array_that_declares_more_than_there_is_is_refused(tmp_path) -> None:
    path = tmp_path / "a.npz"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (60000, 60000), }"
    header = header.ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("image.npy", content + bytes(1000))

    with pytest.raises(FileFormatError, match=r"declares an array of shape \(60000"):
        usf.read(path)


def test_arrays_that_are_not_finite_are_refused(tmp_path) -> None:
    path = archive(tmp_path / "a.npz", image=np.full((20, 20), np.inf))

    with pytest.raises(FileFormatError, match="finite"):
        usf.read(path)
