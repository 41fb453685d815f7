"""Frames that come one by one, in a shape that napari draws like an array."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FrameArray"]


class FrameArray(ABC):
    """Array interface that a layer needs, read a frame at a time.

    Parameters
    ----------
    shape : sequence of int
        (T, Z, X) or, of a single frame, (Z, X).
    """

    dtype = np.dtype(np.float32)

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(int(n) for n in shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> npt.NDArray[np.float32]:
        if self.ndim == 2:
            part: npt.NDArray[np.float32] = self._shown(0)[key]
            return part
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, int | np.integer):
            part = self._shown(range(len(self))[int(first)])[tuple(rest)]
            return part
        if first is Ellipsis:
            first, rest = slice(None), [Ellipsis, *rest]
        frames = [self._shown(int(i)) for i in np.arange(len(self))[first]]
        empty = np.empty((0, *self.shape[1:]), self.dtype)
        return (np.stack(frames) if frames else empty)[(slice(None), *rest)]

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype)

    @abstractmethod
    def _shown(self, index: int) -> npt.NDArray[np.float32]:
        """Return a frame (Z, X) as it is to be seen now."""
