"""Frame that the comparison layer shows, composed of the frames of both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.compare.pair import Pair, Side
from napari_usflow._napari.layers.frame_array import FrameArray
from napari_usflow._napari.layers.placement import Placement
from napari_usflow.evaluate.residuals import amplitude_ratio_db

__all__ = ["Divider", "Mode", "Picture"]

Frame = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Mode = Literal["curtain", "before", "after", "difference", "ratio"]


@dataclass(frozen=True)
class Divider:
    """The line of the curtain: before on one side of it, after on the other.

    Attributes
    ----------
    point : (float, float)
        A position (axial, lateral) on it: where its handle is.
    angle_deg : float
        0 for a vertical line, before on its left; 90 for a horizontal one, before above
        it.
    """

    point: tuple[float, float]
    angle_deg: float = 0.0

    @property
    def direction(self) -> Floats:
        """Unit vector along the line."""
        turn = np.deg2rad(self.angle_deg)
        return np.array([np.cos(turn), -np.sin(turn)])

    @property
    def normal(self) -> Floats:
        """Unit vector across the line, towards the side after."""
        turn = np.deg2rad(self.angle_deg)
        return np.array([np.sin(turn), np.cos(turn)])

    def distance(self, position: npt.ArrayLike) -> float:
        """Return how far a position lies on the side after."""
        moved = np.asarray(position, float) - self.point
        return float(moved @ self.normal)

    def is_before(self, placement: Placement) -> npt.NDArray[np.bool_]:
        """Return which pixels are on the side before."""
        step = placement.matrix.T @ self.normal
        limit = float(self.normal @ (np.asarray(self.point) - placement.offset))
        rows, columns = np.ogrid[: placement.shape[0], : placement.shape[1]]
        return np.asarray(step[0] * rows + step[1] * columns < limit)

    def ends(self, placement: Placement) -> Floats | None:
        """Return the two ends of the line in the frame; None where it misses it."""
        corners = placement.corners()
        sides = (corners - self.point) @ self.normal
        crossings = []
        for i in range(4):
            j = (i + 1) % 4
            if (sides[i] < 0) != (sides[j] < 0):
                share = sides[i] / (sides[i] - sides[j])
                crossings.append(corners[i] + share * (corners[j] - corners[i]))
        return np.array(crossings) if len(crossings) == 2 else None


class Picture(FrameArray):
    """Frames of a pair as they are looked at.

    Parameters
    ----------
    pair : Pair
        The two sides.
    mode : {"curtain", "before", "after", "difference", "ratio"}
        What is shown: before and after beside a line, one of them, before minus after,
        or their ratio in dB.
    divider : Divider
        The line, in the positions of the pair's placement.

    Attributes
    ----------
    own_contrast : bool
        Show each side in its own contrast limits, mapped to [0, 1], and not in its
        values.
    decibels_of_range : float
        Decibels from black to white of display grey, for the ratio.
    """

    def __init__(self, pair: Pair, mode: Mode, divider: Divider) -> None:
        super().__init__(pair.shape)
        self.pair, self.mode, self.divider = pair, mode, divider
        self.own_contrast = False
        self.decibels_of_range = 60.0

    def residual(self, index: int) -> Frame | None:
        """Return what was taken away of a frame, in dB or else in its values.

        None where one side has no frame.
        """
        before, after = (self.pair.frame(side, index) for side in _SIDES)
        if before is None or after is None:
            return None
        values, low_high = self.pair.values("before")
        if self.mode != "ratio" or values in ("db", None):
            return before - after
        if values == "envelope":
            return amplitude_ratio_db(before, after)
        low, high = low_high or (0.0, 255.0)
        scale = self.decibels_of_range / (high - low)
        return (before - after) * np.float32(scale)

    def _shown(self, index: int) -> Frame:
        if self.mode == "difference" or self.mode == "ratio":
            residual = self.residual(index)
            blank = np.zeros(self.shape[-2:], np.float32)
            return blank if residual is None else np.nan_to_num(residual, copy=False)
        if self.mode != "curtain":
            return self._side(self.mode, index)
        is_before = self.divider.is_before(self.pair.placement)
        return np.where(is_before, *(self._side(side, index) for side in _SIDES))

    def _side(self, side: Side, index: int) -> Frame:
        layer = self.pair.before if side == "before" else self.pair.after
        low, high = (float(limit) for limit in layer.contrast_limits)
        frame = self.pair.frame(side, index)
        if frame is None:
            return np.full(self.shape[-2:], 0 if self.own_contrast else low, np.float32)
        if self.own_contrast:
            frame = (frame - np.float32(low)) / np.float32(high - low)
            low = 0.0
        missing = np.isnan(frame)
        return np.where(missing, np.float32(low), frame) if missing.any() else frame


_SIDES: tuple[Side, Side] = ("before", "after")
