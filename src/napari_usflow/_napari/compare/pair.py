"""Two layers, read frame by frame on the pixels of the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.layers.content import LayerError, grey_stack
from napari_usflow._napari.layers.meaning import Meaning, values_of
from napari_usflow._napari.layers.placement import has_lengths, placement_of
from napari_usflow._napari.layers.results import layer_kwargs_like
from napari_usflow._napari.layers.views import is_view

if TYPE_CHECKING:
    from napari.layers import Image, Layer

__all__ = ["Pair", "Side", "is_comparable"]

Side = Literal["before", "after"]
Frame = npt.NDArray[np.float32]

_LEAST_OVERLAP = 1e-3


class Pair:
    """An image layer before and one after, compared frame by frame.

    The frames lie on the pixels of the layer before; the other is resampled where its
    grid is another one. A single frame is compared with each frame of a stack. Frames
    are read when they are looked at, and the last one is kept.

    Parameters
    ----------
    before, after : napari.layers.Image
        Grey, 2-D, or 3-D with the frames first.

    Attributes
    ----------
    shape : tuple of int
        (Z, X), or (T, Z, X) where either layer has frames.

    Raises
    ------
    LayerError
        When one is no grey image, or they do not lie over each other.
    """

    def __init__(self, before: Image, after: Image) -> None:
        if before is after:
            raise LayerError(
                f"layer {before.name!r} is compared with itself; choose another layer "
                "after"
            )
        self.before, self.after = before, after
        for layer in (before, after):
            grey_stack(layer)
        # Pixels and millimetres have nothing in common: napari draws bare numbers too.
        self.lengths = has_lengths(before) and has_lengths(after)
        self.placement = placement_of(before, lengths=self.lengths)
        self._after_placement = placement_of(after, lengths=self.lengths)
        self._same_grid = self.placement.equals(self._after_placement)
        self._timed = before if before.ndim == 3 else after
        frames = () if self._timed.ndim == 2 else (_frames(self._timed),)
        self.shape: tuple[int, ...] = (*frames, *self.placement.shape)
        self._kept: dict[Side, tuple[int, Frame | None]] = {}
        self._values: dict[Side, Meaning] = {}
        self._refuse_apart()

    def forget(self) -> None:
        """Read the frames again when they are next looked at."""
        self._kept.clear()

    @property
    def last_frame(self) -> int | None:
        """The frame that was looked at last."""
        return self._kept["before"][0] if "before" in self._kept else None

    def frame(self, side: Side, index: int) -> Frame | None:
        """Read a frame of one side; None where that layer has none at this time.

        Returns
        -------
        ndarray, shape (Z, X), float32, or None
            NaN where the layer after has no pixel.
        """
        if side not in self._kept or self._kept[side][0] != index:
            self._kept[side] = (index, self._read(side, index))
        return self._kept[side][1]

    def values(self, side: Side) -> Meaning:
        """Return what the numbers of one side are, and which are black and white.

        What the layer's metadata say, else what its middle frame looks like; None where
        nothing tells.
        """
        if side not in self._values:
            self._values[side] = values_of(self._layer(side))
        return self._values[side]

    def same_values(self) -> bool:
        """Return whether one contrast suits both sides."""
        (before, low_high), (after, other) = self.values("before"), self.values("after")
        return before == after and (low_high is None or low_high == (other or low_high))

    def kwargs(self) -> dict[str, Any]:
        """Return keyword arguments that put a layer of this shape in place."""
        if self._timed is self.before or self._timed.ndim == 2:
            return layer_kwargs_like(self.before)
        like, timed = layer_kwargs_like(self.before), self.after
        for name in ("scale", "translate", "rotate", "shear", "affine"):
            del like[name]
        affine = np.eye(4)
        origin = np.asarray(self.before.data_to_world((0, 0)))
        for axis in (0, 1):
            step = np.asarray(self.before.data_to_world(np.eye(2)[axis])) - origin
            affine[1:3, 1 + axis] = step
        affine[1:3, 3] = origin
        start, second = (timed.data_to_world((i, 0, 0))[0] for i in (0, 1))
        affine[0, 0], affine[0, 3] = second - start, start
        return {
            **like,
            "affine": affine,
            "units": (timed.units[0], *self.before.units),
            "axis_labels": (timed.axis_labels[0], *self.before.axis_labels),
        }

    def _layer(self, side: Side) -> Image:
        return self.before if side == "before" else self.after

    def _read(self, side: Side, index: int) -> Frame | None:
        from napari_usflow.evaluate.regrid import resampled

        layer = self._layer(side)
        there = self._index_in(layer, index)
        if there is None:
            return None
        frame = np.asarray(grey_stack(layer)[there], np.float32)
        if side == "before" or self._same_grid:
            return frame
        matrix, offset = self.placement.onto(self._after_placement)
        return resampled(frame, matrix, offset, self.placement.shape)

    def _index_in(self, layer: Image, index: int) -> int | None:
        """Find the frame of a layer at the time of a frame of the pair."""
        if layer.ndim == 2:
            return 0
        if layer is not self._timed and layer.units[0] == self._timed.units[0]:
            time = self._timed.data_to_world((index, 0, 0))[0]
            origin, second = (layer.data_to_world((i, 0, 0))[0] for i in (0, 1))
            index = round((time - origin) / (second - origin))
        return index if 0 <= index < _frames(layer) else None

    def _refuse_apart(self) -> None:
        from napari_usflow.evaluate.regrid import covered

        if self._same_grid:
            return
        matrix, offset = self.placement.onto(self._after_placement)
        share = covered(
            self._after_placement.shape, matrix, offset, self.placement.shape
        ).mean()
        if share < _LEAST_OVERLAP:
            raise LayerError(
                f"layers {self.before.name!r} and {self.after.name!r} do not lie over "
                "each other; check their scale, translate and units"
            )


def is_comparable(before: Image, layer: Layer) -> bool:
    """Return whether a layer is an image that lies over the one before."""
    if type(layer).__name__ != "Image" or layer is before or is_view(layer):
        return False
    try:
        Pair(before, layer)
    except LayerError:
        return False
    return True


def _frames(layer: Image) -> int:
    data = layer.data[0] if layer.multiscale else layer.data
    return int(data.shape[0])
