"""NumPy files that nobody vouches for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.npy import is_npy, map_npy


def test_an_array_is_mapped_as_it_is(tmp_path: Path) -> None:
    stored = np.arange(6, dtype=np.float64).reshape(2, 3)
    np.save(tmp_path / "a.npy", stored)

    assert is_npy(tmp_path / "a.npy")
    array = map_npy(tmp_path / "a.npy")

    assert isinstance(array, np.memmap)
    np.testing.assert_array_equal(array, stored)


def test_kinds_of_numbers_are_those_that_were_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3, np.complex64))

    assert map_npy(tmp_path / "a.npy", kinds="fc").dtype == np.complex64
    with pytest.raises(FileFormatError, match="pixels of type complex64"):
        map_npy(tmp_path / "a.npy")


def test_an_archive_is_no_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.ones(3))

    assert not is_npy(tmp_path / "a.npz")
    with pytest.raises(FileFormatError, match="not a NumPy array: it starts with"):
        map_npy(tmp_path / "a.npz")


def test_a_header_that_declares_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.ones(3000))
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(FileFormatError, match="damaged or unsafe"):
        map_npy(path)


def test_what_is_no_file_is_no_array(tmp_path: Path) -> None:
    assert not is_npy(tmp_path)
    assert not is_npy(tmp_path / "none")
