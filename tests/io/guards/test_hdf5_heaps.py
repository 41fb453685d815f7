"""Heaps of texts: sound ones are passed, one that never ends is refused at once."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow import mri
from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.hdf5 import open_hdf5
from napari_usflow.io.guards.hdf5_attributes import (
    read_label_attribute,
)

SIGNATURE = b"GCOL\x01\0\0\0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two texts of variable length, and slices to train on."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["reconstruction_rss"] = np.ones((1, 8, 8), np.float32)
        file.attrs["class"] = "uff.wave"
        file.attrs["acquisition"] = "CORPD_FBK"
        file.attrs["pixel_size_mm"] = (1.0, 1.0)
    return tmp_path / "a.h5"


def _free_space_of(path: Path, size: int) -> None:
    """Give the free space of the first heap another size."""
    content = bytearray(path.read_bytes())
    at = content.find(SIGNATURE) + 16
    while int.from_bytes(content[at : at + 2], "little"):
        stored = int.from_bytes(content[at + 8 : at + 16], "little")
        at += 16 + -(-stored // 8) * 8
    content[at + 8 : at + 16] = size.to_bytes(8, "little")
    path.write_bytes(content)


def test_texts_of_sound_heaps_are_read(path: Path) -> None:
    with open_hdf5(path) as file:
        assert read_label_attribute(file, "class") == "uff.wave"
    assert mri.read_stack(path).attributes["acquisition"] == "CORPD_FBK"


@pytest.mark.parametrize("size", [0, 2**63, 2**64 - 1])
def test_an_object_of_no_bytes_is_refused_before_it_is_read(path, size: int) -> None:
    _free_space_of(path, size)

    with (
        open_hdf5(path) as file,
        pytest.raises(FileFormatError, match="has an object without a size"),
    ):
        read_label_attribute(file, "class")
    with pytest.raises(FileFormatError, match="has an object without a size"):
        mri.read_stack(path)
