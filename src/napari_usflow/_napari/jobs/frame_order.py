"""Which frame of a stack comes next: the nearest to the one that is looked at."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from napari_usflow._napari.layers.results import current_frame

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["FrameOrder"]


class FrameOrder(Collection[int]):
    """Frames to be done, the one that is looked at first, then outwards.

    A job takes the next one when it is done with the last, in its thread; where the
    slider has gone meanwhile, it goes on from there.

    Parameters
    ----------
    frames : iterable of int
        All that are to be done.
    looked_at : int
        The frame on the screen.

    Attributes
    ----------
    looked_at : int
        May be changed at any time, from any thread.
    """

    def __init__(self, frames: Iterable[int], looked_at: int) -> None:
        self._frames = sorted(frames)
        self.looked_at = looked_at

    @classmethod
    def of_layer(
        cls, viewer: ViewerModel, layer: Image, count: int, *, only_current: bool
    ) -> FrameOrder:
        """Order the frames of a layer, from where the slider is.

        Parameters
        ----------
        viewer : napari.components.ViewerModel
            Whose slider it is.
        layer : napari.layers.Image
            Its frames come first among its axes.
        count : int
            How many there are.
        only_current : bool
            Only the one that is looked at now.
        """
        current = current_frame(viewer, layer)
        return cls([current] if only_current else range(count), current)

    def __len__(self) -> int:
        return len(self._frames)

    def __contains__(self, index: object) -> bool:
        return index in self._frames

    def __iter__(self) -> Iterator[int]:
        left = [*self._frames]
        while left:
            # Of two that are as near, the earlier.
            above = bisect_left(left, self.looked_at)
            near = range(max(above - 1, 0), min(above + 1, len(left)))
            yield left.pop(min(near, key=lambda i: abs(left[i] - self.looked_at)))
