"""Channel samples that stay in their HDF5 file until they are indexed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, SupportsIndex

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import FilePath, source_file
from napari_usflow.io.guards.hdf5 import open_hdf5

__all__ = ["MAX_INDEX_BYTES", "MAX_RECORD_BYTES", "Hdf5Samples", "check_record"]

MAX_INDEX_BYTES = 4 * 2**30
"""Largest block that indexing :class:`Hdf5Samples` gives at once."""

MAX_RECORD_BYTES = 128 * 2**20
"""Largest record of one transmit: 1,024 channels of 32,768 samples."""


def check_record(
    path: FilePath, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32
) -> None:
    """Refuse records that no array makes, before one of them is read.

    Compressed zeros take a thousandth of the room that they are unpacked to.
    """
    asked = int(shape[-2]) * int(shape[-1]) * np.dtype(dtype).itemsize
    if asked > MAX_RECORD_BYTES:
        raise FileFormatError(
            f"{path} declares transmits of {shape[-2]} channels and {shape[-1]} "
            f"samples ({size_text(asked)}); at most {size_text(MAX_RECORD_BYTES)} "
            "are read"
        )


class Hdf5Samples(ABC):
    """Channel samples that stay in their file until they are indexed.

    The file is opened for each indexing and closed after it, save within
    :meth:`kept_open`. So it is never held locked, and the object can be copied to other
    threads and processes.

    Parameters
    ----------
    path : path
        The HDF5 file.
    shape : (int, int, int, int)
        (frames, transmits, channels, samples).
    dtype : dtype
        float32 (RF) or complex64 (IQ).
    """

    ndim = 4

    def __init__(
        self, path: FilePath, shape: tuple[int, int, int, int], dtype: npt.DTypeLike
    ) -> None:
        check_record(path, shape, dtype)
        self._source = source_file(path)
        self.path = self._source.path
        self.shape = shape
        self.dtype = np.dtype(dtype)

    @abstractmethod
    def _record(self, file: h5py.File, frame: int, transmit: int) -> npt.NDArray[Any]:
        """Read one transmit of one frame, shape (channels, samples)."""

    def kept_open(self) -> AbstractContextManager[None]:
        """Keep the file open for many indexings in this thread."""
        return self._source.kept_open()

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shape} {self.dtype} in {self.path}>"

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)

    def __getitem__(self, key: Any, /) -> npt.NDArray[Any]:
        """Read the block that numpy's basic indexing (or a list an axis) names."""
        frame_key, transmit_key, *record_key = self._four_keys(key)
        frames = np.arange(self.shape[0])[frame_key]
        transmits = np.arange(self.shape[1])[transmit_key]
        # Indexing a broadcast zero gives the shape of the answer and costs nothing.
        record = np.broadcast_to(np.int8(0), self.shape[2:])[:, record_key[1]]
        record = record[record_key[0]]
        count = np.size(frames) * np.size(transmits) * max(record.size, 1)
        asked = count * self.dtype.itemsize
        if asked > MAX_INDEX_BYTES:
            raise ValueError(
                f"{self.path}: {size_text(asked)} were asked for at once, at most "
                f"{size_text(MAX_INDEX_BYTES)} are read; index fewer frames"
            )
        out = np.empty((np.size(frames), np.size(transmits), *record.shape), self.dtype)
        if out.size:
            with open_hdf5(self._source) as file:
                for i, frame in enumerate(np.atleast_1d(frames)):
                    for j, transmit in enumerate(np.atleast_1d(transmits)):
                        values = self._record(file, int(frame), int(transmit))
                        if values.shape != self.shape[2:]:
                            raise FileFormatError(
                                f"{self.path} has changed since it was opened"
                            )
                        out[i, j] = values[:, record_key[1]][record_key[0]]
        return out.reshape(np.shape(frames) + np.shape(transmits) + record.shape)

    def _four_keys(self, key: Any) -> list[Any]:
        keys = list(key) if isinstance(key, tuple) else [key]
        if any(k is Ellipsis for k in keys):
            at = next(i for i, k in enumerate(keys) if k is Ellipsis)
            keys[at : at + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        keys += [slice(None)] * (self.ndim - len(keys))
        if len(keys) != self.ndim:
            raise IndexError(f"{len(keys)} indices for {self.ndim} axes")
        for k in keys:
            if not isinstance(k, slice | list | np.ndarray | SupportsIndex):
                raise IndexError(f"{k!r} is not an index of channel samples")
        return keys
