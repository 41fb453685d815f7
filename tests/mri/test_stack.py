"""Scaling of stacks that are read slice by slice, and what a file is taken for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_usflow import mri
from napari_usflow.errors import FileFormatError, UsflowError
from napari_usflow.mri import (
    MriStack,
    UpperPercentile,
    find_files,
    open_stack,
    parts_of,
    read_stack,
)


def write(path: Path, data: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["reconstruction_rss"] = data
        file.attrs["pixel_size_mm"] = 0.5
    return path


@given(
    hnp.arrays(np.float32, st.integers(1, 5000), elements=st.floats(0, 100, width=32)),
    st.integers(1, 9),
)
def test_percentile_of_pieces_is_that_of_the_whole(values, pieces) -> None:
    percentile = UpperPercentile(values.size)
    for piece in np.array_split(values, pieces):
        percentile.add(piece)
    expected = np.percentile(values.astype(np.float64), 99.9)
    assert percentile.value() == pytest.approx(expected, rel=1e-6)


def test_percentile_keeps_a_thousandth_of_the_values() -> None:
    percentile = UpperPercentile(10**6)
    rng = np.random.default_rng(0)
    for _ in range(10):
        percentile.add(rng.random(10**5, dtype=np.float32))
    assert percentile._top.size <= 1002
    assert percentile.value() == pytest.approx(0.999, abs=3e-4)


def test_slices_one_by_one_are_those_of_the_whole_stack(tmp_path: Path) -> None:
    data = np.random.default_rng(0).gamma(2.0, 1e-5, (7, 30, 20)).astype(np.float32)
    path = write(tmp_path / "brain.h5", data)
    whole = read_stack(path)
    with open_stack(path) as opened:
        assert (opened.name, opened.shape) == ("brain", (7, 30, 20))
        np.testing.assert_array_equal(np.stack(list(opened.slices())), whole.slices)
    expected = data / np.percentile(data.astype(np.float64), 99.9)
    np.testing.assert_allclose(whole.slices, expected, rtol=1e-6)


def test_stack_in_memory_is_walked_like_a_file() -> None:
    slices = np.random.default_rng(0).random((3, 8, 9), dtype=np.float32)
    with open_stack(MriStack(slices, (0.5, 0.6), "layer")) as opened:
        assert opened.shape == (3, 8, 9)
        assert opened.pixel_size_mm == (0.5, 0.6)
        np.testing.assert_array_equal(opened.read(2), slices[2])


def test_file_of_another_kind_says_how_it_starts(tmp_path: Path) -> None:
    path = tmp_path / "notes.h5"
    path.write_text("not HDF5")
    with pytest.raises(FileFormatError, match=r"is not an MRI file: it starts with"):
        read_stack(path)


def test_folders_are_listed_in_order_and_files_kept(tmp_path: Path) -> None:
    for name in ("b.h5", "a.hdf5", "notes.txt", "c.nii.gz", "d.NII"):
        (tmp_path / name).touch()
    extra = tmp_path / "notes.txt"
    assert [p.name for p in find_files([tmp_path, extra])] == [
        "a.hdf5",
        "b.h5",
        "c.nii.gz",
        "d.NII",
        "notes.txt",
    ]


def test_folder_without_mri_says_what_is_there(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "README"):
        (tmp_path / name).touch()
    (tmp_path / "more").mkdir()
    found = r"2 \.png, 1 without an ending, 1 folder\); give fastMRI"
    with pytest.raises(FileFormatError, match=found):
        find_files([tmp_path])


def test_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"\(empty\)"):
        find_files([tmp_path])


@pytest.mark.parametrize(
    ("package", "name", "start"),
    [
        ("nibabel", "a.nii", bytes(344) + b"n+1\0"),
        ("pydicom", "a.dcm", bytes(128) + b"DICM"),
    ],
)
def test_missing_package_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch, package, name, start
) -> None:
    (tmp_path / name).write_bytes(start)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsflowError, match=rf"needs {package}: pip install .*\[mri\]"):
        read_stack(tmp_path / name)


def test_optional_packages_are_not_imported_with_the_room() -> None:
    code = (
        f"import sys, {mri.__name__};print({{'nibabel', 'pydicom'}} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_series_depends_on_every_file_of_its_folder(tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    alone = write(tmp_path / "c.h5", np.ones((1, 4, 4)))
    assert [p.name for p in parts_of(tmp_path / "a")] == ["a", "b", "c.h5"]
    assert parts_of(alone) == [alone]
