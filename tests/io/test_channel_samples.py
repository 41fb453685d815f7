"""Samples that stay in the file index like the array that was written."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.io import channel_samples
from napari_usflow.io.channel_samples import Hdf5Samples

SHAPE = (3, 4, 5, 6)
REFERENCE = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)


class Samples(Hdf5Samples):
    def _record(self, file, frame, transmit):
        return file["x"][frame, transmit]


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["x"] = REFERENCE
    return Samples(tmp_path / "s.h5", SHAPE, np.float32)


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        (1, 2),
        (0, 3, 4, 5),
        (0, slice(None)),
        (slice(1, 3), slice(None, None, -2)),
        ...,
        (..., 2),
        (0, ..., slice(1, 4)),
        (slice(None), 1, slice(None), slice(None, None, 2)),
        (0, [0, 2, 3]),
        (0, np.array([3, 1]), slice(2)),
        (slice(0, 0),),
        (0, 0, slice(None), -1),
    ],
    ids=str,
)
def test_indexing_gives_what_numpy_gives(samples: Samples, key) -> None:
    np.testing.assert_array_equal(samples[key], REFERENCE[key], strict=True)


def test_it_becomes_an_array(samples: Samples) -> None:
    np.testing.assert_array_equal(np.asarray(samples), REFERENCE)
    assert len(samples) == 3
    assert "(3, 4, 5, 6) float32" in repr(samples)


@pytest.mark.parametrize("key", [3, (0, 4), (0, 0, 0, 0, 0), "x", (0, None)])
def test_an_index_that_does_not_fit_is_an_index_error(samples, key) -> None:
    with pytest.raises(IndexError):
        samples[key]


def test_the_file_is_free_between_two_reads(samples: Samples) -> None:
    first = samples[0, 0]

    with h5py.File(samples.path, "r+") as file:
        file["x"][0, 0] = 0

    assert first.any()
    assert not samples[0, 0].any()


def test_it_travels_to_other_processes(samples: Samples) -> None:
    copy = pickle.loads(pickle.dumps(samples))

    np.testing.assert_array_equal(copy[1], REFERENCE[1])


def test_too_much_at_once_is_refused_before_it_is_allocated(tmp_path: Path) -> None:
    huge = Samples(tmp_path / "none.h5", (100, 100, 1000, 1000), np.float32)

    with pytest.raises(ValueError, match=r"40 GB were asked for at once, at most"):
        huge[:]


def test_the_budget_counts_what_is_asked_not_what_is_there(samples, monkeypatch):
    monkeypatch.setattr(channel_samples, "MAX_INDEX_BYTES", 4 * 5 * 6)

    assert samples[0, 0].shape == (5, 6)
    with pytest.raises(ValueError, match="index fewer frames"):
        samples[0, :2]


def test_a_file_that_changed_shape_is_noticed(samples: Samples) -> None:
    with h5py.File(samples.path, "w") as file:
        file["x"] = REFERENCE[..., :3]

    with pytest.raises(FileFormatError, match="has changed since it was opened"):
        samples[0]


def test_a_file_that_is_gone_is_named(samples: Samples) -> None:
    samples.path.unlink()

    with pytest.raises(FileFormatError, match=r"s\.h5 cannot be opened"):
        samples[0]
