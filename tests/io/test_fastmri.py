"""MRI stacks in the fastMRI layout: what is read and what is refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.io.fastmri import find_files, read_stack

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<reconSpace><matrixSize><x>320</x><y>320</y><z>1</z></matrixSize>
<fieldOfView_mm><x>160.0</x><y>144.0</y><z>3</z></fieldOfView_mm></reconSpace>
</encoding></ismrmrdHeader>"""


def write(path: Path, data: np.ndarray, *, name: str = "reconstruction_rss", **attrs):
    with h5py.File(path, "w") as file:
        file[name] = data
        file.attrs.update(attrs)
    return path


def test_stack_is_scaled_to_its_999th_permille(tmp_path: Path) -> None:
    data = np.linspace(0, 1e-4, 8000, dtype=np.float32).reshape(2, 80, 50)
    stack = read_stack(write(tmp_path / "knee.h5", data, pixel_size_mm=(0.5, 0.6)))
    assert stack.slices.shape == (2, 80, 50)
    assert stack.pixel_size_mm == (0.5, 0.6)
    assert np.mean(stack.slices > 1.0) == pytest.approx(0.001, abs=2e-4)


def test_pixel_size_comes_from_the_ismrmrd_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", np.ones((1, 4, 4)), name="reconstruction_esc")
    with h5py.File(path, "a") as file:
        file["ismrmrd_header"] = HEADER
    assert read_stack(path).pixel_size_mm == pytest.approx((0.5, 0.45))


@pytest.mark.parametrize(
    ("data", "attrs", "message"),
    [
        (np.full((1, 4, 4), np.nan), {"pixel_size_mm": (1, 1)}, "NaN"),
        (np.zeros((1, 4, 4)), {"pixel_size_mm": (1, 1)}, "empty"),
        (np.ones((4, 4)), {"pixel_size_mm": (1, 1)}, r"must be \(slices, H, W\)"),
        (np.ones((1, 4, 4)), {}, "no pixel size"),
        (np.ones((1, 4, 4)), {"pixel_size_mm": (-1.0, 1.0)}, "makes no sense"),
    ],
)
def test_unusable_stack_is_refused(tmp_path: Path, data, attrs, message) -> None:
    path = write(tmp_path / "bad.h5", data, **attrs)
    with pytest.raises(FileFormatError, match=message) as error:
        read_stack(path)
    assert str(path) in str(error.value)


def test_stack_of_absurd_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "reconstruction_rss", (10**4, 10**4, 10**4), "f4", chunks=(1, 100, 100)
        )
    with pytest.raises(FileFormatError, match="GiB"):
        read_stack(path)


def test_reconstruction_behind_an_external_link_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "real.h5", np.ones((1, 4, 4)), pixel_size_mm=(1, 1))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["reconstruction_rss"] = h5py.ExternalLink("real.h5", "reconstruction_rss")
    with pytest.raises(FileFormatError, match="holds no reconstruction_rss"):
        read_stack(tmp_path / "link.h5")


def test_file_that_is_not_hdf5_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.h5"
    path.write_text("not HDF5")
    with pytest.raises(FileFormatError, match="not a readable HDF5"):
        read_stack(path)


def test_folders_are_listed_in_order_and_files_kept(tmp_path: Path) -> None:
    for name in ("b.h5", "a.hdf5", "notes.txt"):
        (tmp_path / name).touch()
    extra = tmp_path / "notes.txt"
    assert [p.name for p in find_files([tmp_path, extra])] == [
        "a.hdf5",
        "b.h5",
        "notes.txt",
    ]
