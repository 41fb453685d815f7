"""Stacks of which only the frames that are looked at are ever read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["LONGEST_STACK", "MAX_FRAMES", "check_frame_count", "lazy_stack"]

MAX_FRAMES = 2**16
"""Longest stack that is worth reading by frame: dask keeps a note of each of them."""

LONGEST_STACK = 2**20
"""Longest stack that is opened: its notes then take some 300 MB."""

ReadFrame = Callable[[int], npt.NDArray[Any]]


def check_frame_count(place: object, count: int) -> None:
    """Refuse a file of more frames than a lazy stack can note; FileFormatError."""
    if count > LONGEST_STACK:
        raise FileFormatError(
            f"{place} declares {count} frames; at most {LONGEST_STACK} are read"
        )


def lazy_stack(
    read_frame: ReadFrame,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike = np.float32,
) -> da.Array:
    """Make a dask array of which one chunk is one frame.

    Parameters
    ----------
    read_frame : callable
        Gives the frame of an index, shape ``shape[1:]``. It is called in whatever
        thread or process wants the frame, so it must open its file and close it.
    shape : tuple of int
        (frames, axial, lateral), or with a last axis of colours.
    dtype : dtype
        What the frames hold.
    """
    import dask.array as da

    stack: da.Array = da.from_array(
        _Frames(read_frame, shape, dtype),
        chunks=(1, *shape[1:]),
        # Its content is in a file; nothing is there to make a name from.
        name=False,
        asarray=False,
        meta=np.empty((0,) * len(shape), dtype),
    )
    return stack


class _Frames:
    """The part of an array that dask asks of a source."""

    def __init__(
        self, read_frame: ReadFrame, shape: tuple[int, ...], dtype: npt.DTypeLike
    ) -> None:
        self._read_frame = read_frame
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = np.dtype(dtype)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        first, *rest = key if isinstance(key, tuple) else (key,)
        indices = np.arange(self.shape[0])[first]
        frames = [
            np.asarray(self._read_frame(int(index)), self.dtype)[tuple(rest)]
            for index in np.atleast_1d(indices)
        ]
        return frames[0] if np.ndim(indices) == 0 else np.stack(frames)
