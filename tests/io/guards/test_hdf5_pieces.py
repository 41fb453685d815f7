"""Pieces of compressed datasets: sound ones are read, others refused unpacked."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards import hdf5_pieces
from napari_usflow.io.guards.hdf5 import find_dataset, open_hdf5

CODECS = {
    "gzip": {"compression": "gzip"},
    "gzip, shuffle, checksum": {
        "compression": "gzip",
        "shuffle": True,
        "fletcher32": True,
    },
    "lzf": {"compression": "lzf"},
    "checksum alone": {"fletcher32": True},
    "Blosc": "Blosc",
    "LZ4": "LZ4",
    "Bitshuffle": "Bitshuffle",
    "Bitshuffle without compression": ("Bitshuffle", {"cname": "none"}),
    "Bitshuffle and Zstd": ("Bitshuffle", {"cname": "zstd"}),
    "Zstd": "Zstd",
}


def _filter(codec: str) -> dict:
    chosen = CODECS[codec]
    if isinstance(chosen, dict):
        return chosen
    plugins = pytest.importorskip("hdf5plugin")
    name, options = (chosen, {}) if isinstance(chosen, str) else chosen
    return dict(getattr(plugins, name)(**options))


@pytest.fixture
def doubt(monkeypatch) -> None:
    """Look into every piece, however small."""
    monkeypatch.setattr(hdf5_pieces, "_SPARE_BYTES", -(10**9))
    hdf5_pieces._DOUBTFUL.clear()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("noise", [0.0, 1.0], ids=["zeros", "noise"])
def test_sound_pieces_of_every_codec_are_read(tmp_path, doubt, codec, noise) -> None:
    values = noise * np.random.default_rng(0).normal(size=(5, 60, 70))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values, chunks=(2, 32, 70), **_filter(codec))

    with open_hdf5(tmp_path / "a.h5") as file:
        found = find_dataset(file, "x")
        for key in (3, (-1, slice(None, None, -1)), (..., slice(3, 9)), ([0, 4], 2)):
            if not (isinstance(key, tuple) and isinstance(key[1], slice)):
                np.testing.assert_array_equal(found[key], values[key])
        np.testing.assert_array_equal(np.asarray(found), values)


def test_only_the_pieces_of_a_selection_are_looked_into(tmp_path, doubt) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset(
            "x", data=np.ones((4, 64, 64)), chunks=(1, 64, 64), compression="gzip"
        )
        data.id.write_direct_chunk((2, 0, 0), _too_much())

    with open_hdf5(tmp_path / "a.h5") as file:
        found = find_dataset(file, "x")
        assert found[0].sum() == found[3, 5:].sum() + 5 * 64
        with pytest.raises(FileFormatError, match="a piece unpacks to more than its"):
            found[1:3]


def test_a_piece_is_looked_into_once(tmp_path, doubt, monkeypatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.ones((2, 64)), chunks=(1, 64), compression=9)
    seen: list[bytes] = []
    monkeypatch.setattr(
        hdf5_pieces, "deflate_fits", lambda stored, room: not seen.append(stored)
    )

    for _ in range(3):
        with open_hdf5(tmp_path / "a.h5") as file:
            find_dataset(file, "x")[0]

    assert len(seen) == 1


@pytest.mark.parametrize(
    ("number", "options"), [(5, None), (6, (2, 0))], ids=["nbit", "scale-offset"]
)
def test_a_filter_of_which_nothing_is_known_is_named(tmp_path, number, options) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        how = {"scaleoffset": 0} if number == 6 else {}
        if number == 5:
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((10,))
            plist.set_filter(5, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((10,))
            h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I32LE, space, plist)
            file["x"][:] = 1
        else:
            file.create_dataset("x", data=np.arange(10), chunks=(10,), **how)

    with (
        open_hdf5(tmp_path / "a.h5") as file,
        pytest.raises(FileFormatError, match=f"HDF5 filter {number}, which is not"),
    ):
        find_dataset(file, "x")


def test_a_piece_that_is_stored_larger_than_it_is_is_refused(tmp_path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("x", (64,), "f4", chunks=(64,), compression="gzip")
        data.id.write_direct_chunk((0,), bytes(4096))

    with (
        open_hdf5(tmp_path / "a.h5") as file,
        pytest.raises(FileFormatError, match="is stored in 4096"),
    ):
        find_dataset(file, "x")


def _too_much() -> bytes:
    import zlib

    return zlib.compress(bytes(64 * 64 * 8 + 100))
