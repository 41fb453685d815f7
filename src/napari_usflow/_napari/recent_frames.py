"""The frames of a stack that were made last, in a fixed memory.

The layer of *Live* shows them; where a frame was not made, or is forgotten, it shows
the input.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_usflow.ultrasound.data import ArrayLike

__all__ = ["RecentFrames"]

_KEPT_BYTES = 256 * 2**20


class RecentFrames:
    """A stack of which only some frames are kept, and the input for the others.

    napari draws it like an array.

    Parameters
    ----------
    source : array, shape (T, Z, X) or (Z, X)
        The input.
    kept_bytes : int
        Memory for finished frames; when it is used up, those not asked for the longest
        go.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, source: ArrayLike, kept_bytes: int = _KEPT_BYTES) -> None:
        self._source = source
        self.shape = tuple(int(n) for n in source.shape)
        self._flat = len(self.shape) == 2
        frame_bytes = 4 * int(np.prod(self.shape[-2:]))
        self.capacity = max(2, kept_bytes // frame_bytes)
        self._frames: OrderedDict[int, npt.NDArray[np.float32]] = OrderedDict()

    @property
    def ndim(self) -> int:
        """Number of axes, that of the input."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __contains__(self, index: int) -> bool:
        return index in self._frames

    def write(self, index: int, frame: npt.NDArray[np.float32]) -> None:
        """Keep a finished frame, and forget the oldest beyond the memory."""
        self._frames[index] = frame
        self._frames.move_to_end(index)
        while len(self._frames) > self.capacity:
            self._frames.popitem(last=False)

    def __getitem__(self, key: Any) -> npt.NDArray[np.float32]:
        if self._flat:
            return self._frame(0)[key]
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, int | np.integer):
            return self._frame(range(len(self))[int(first)])[tuple(rest)]
        if first is Ellipsis:
            first, rest = slice(None), [Ellipsis, *rest]
        frames = [self._frame(int(i)) for i in np.arange(len(self))[first]]
        if not frames:
            return np.empty((0, *self.shape[1:]), np.float32)
        return np.stack(frames)[(slice(None), *rest)]

    def __array__(
        self, dtype: npt.DTypeLike = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype)

    def _frame(self, index: int) -> npt.NDArray[np.float32]:
        if index in self._frames:
            self._frames.move_to_end(index)
            return self._frames[index]
        source = self._source[...] if self._flat else self._source[index]
        return np.asarray(source, np.float32)
