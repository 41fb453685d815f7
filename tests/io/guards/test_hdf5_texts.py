"""The lengths of texts of variable length are known before HDF5 reads them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.io.guards.hdf5_attributes import (
    read_label_attribute,
    read_plain_attributes,
)
from napari_usflow.io.guards.hdf5_texts import text_bytes

TEXT = h5py.string_dtype()


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("userblock_size", [0, 512])
@pytest.mark.parametrize("others", [0, 5, 40])
def test_the_lengths_of_texts_are_told(
    tmp_path, libver, userblock_size, others
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=userblock_size) as file:
        file["group/data"] = np.zeros(3)
        for node in (file, file["group"], file["group/data"]):
            for number in range(others):
                node.attrs[f"other {number}"] = "x" * 99
            node.attrs["label"] = "uff.wave"
            node.attrs.create("labels", ["a", "bcd", ""], dtype=TEXT)

    with h5py.File(path) as file:
        for node in (file, file["group"], file["group/data"]):
            told = text_bytes(node, "label", 1), text_bytes(node, "labels", 3)
            # The newer layout moves many attributes into a heap of their own.
            is_dense = libver == "latest" and others > 5
            assert told == ((None, None) if is_dense else (8, 4))
            assert text_bytes(node, "none", 1) is None


def test_only_short_attributes_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["text"], file.attrs["number"] = "CORPD_FBK", 1.5
        file.attrs.create("texts", ["a", "b"], dtype=TEXT)
        file.attrs["yes"], file.attrs["fixed"] = True, np.bytes_("knee")
        file.attrs["pixel"] = (0.5, 0.25)
        file.attrs["long"] = "x" * 100_000
        file.attrs.create("long texts", ["x" * 50_000] * 2, dtype=TEXT)
        file.attrs["many"] = np.zeros(5000)
        file.attrs["structure"] = np.zeros(1, [("a", "f4"), ("b", "i8")])
        file.attrs["empty"] = h5py.Empty("f4")

    with h5py.File(tmp_path / "a.h5") as file:
        found = read_plain_attributes(file, 99)
        assert read_label_attribute(file, "long") == ""
        assert len(read_plain_attributes(file, 3)) <= 3

    assert found.pop("pixel").tolist() == [0.5, 0.25]
    assert found.pop("texts").tolist() == ["a", "b"]
    expected = {"text": "CORPD_FBK", "number": 1.5, "yes": True, "fixed": b"knee"}
    assert found == expected


@pytest.mark.parametrize("cut", [3, 9, 17, 40, 90])
def test_a_header_that_is_nonsense_tells_nothing(tmp_path: Path, cut: int) -> None:
    from napari_usflow.io.guards import hdf5_texts

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["label"] = "uff.wave"
        place = int(h5py.h5o.get_info(file.id).addr)
    content = (tmp_path / "a.h5").read_bytes()
    noise = np.random.default_rng(cut).bytes(500)
    (tmp_path / "b.h5").write_bytes(content[: place + cut] + noise)

    with (tmp_path / "b.h5").open("rb") as raw:
        messages = list(hdf5_texts._attributes(raw, 0, place))

    assert all(isinstance(message, bytes) for message in messages)
