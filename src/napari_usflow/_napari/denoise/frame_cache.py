"""The frames of a stack that were made last, in a fixed memory.

The layer of *Live* shows them; where a frame was not made, or is forgotten, it shows
the one that was held last, so that raw frames do not flicker between clean ones.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.layers.frame_array import FrameArray

if TYPE_CHECKING:
    from napari_usflow.ultrasound.data import ArrayLike

__all__ = ["RecentFrames"]

_KEPT_BYTES = 256 * 2**20


class RecentFrames(FrameArray):
    """A stack of which only some frames are kept.

    For the others the held frame is shown, and the input as long as none is held.

    Parameters
    ----------
    source : array, shape (T, Z, X) or (Z, X)
        The input.
    kept_bytes : int
        Memory for finished frames; when it is used up, those not asked for the longest
        go.
    """

    def __init__(self, source: ArrayLike, kept_bytes: int = _KEPT_BYTES) -> None:
        super().__init__(source.shape)
        self._source = source
        frame_bytes = 4 * int(np.prod(self.shape[-2:]))
        self.capacity = max(2, kept_bytes // frame_bytes)
        self._frames: OrderedDict[int, npt.NDArray[np.float32]] = OrderedDict()
        self._held: npt.NDArray[np.float32] | None = None

    def __contains__(self, index: int) -> bool:
        return index in self._frames

    def hold(self, index: int) -> None:
        """Show a finished frame wherever one is missing."""
        self._held = self._frames.get(index, self._held)

    def release(self) -> None:
        """Show the input where a frame is missing."""
        self._held = None

    def write(self, index: int, frame: npt.NDArray[np.float32]) -> None:
        """Keep a finished frame, and forget the oldest beyond the memory."""
        self._frames[index] = frame
        self._frames.move_to_end(index)
        while len(self._frames) > self.capacity:
            self._frames.popitem(last=False)

    def _shown(self, index: int) -> npt.NDArray[np.float32]:
        if index in self._frames:
            self._frames.move_to_end(index)
            return self._frames[index]
        if self._held is not None:
            return self._held
        source = self._source[...] if self.ndim == 2 else self._source[index]
        return np.asarray(source, np.float32)
