"""The part of the world on the canvas, and moving the camera to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.layers.placement import world_factors

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Screen", "bring_into_view", "screen_of"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Screen:
    """The part of the world that the canvas shows.

    Attributes
    ----------
    pixel : float
        Size of a pixel of the screen, in the unit of positions.
    limits : ndarray, shape (2, 2), optional
        First and last position; None where napari does not tell.
    """

    pixel: float
    limits: Floats | None = None

    def part_of(self, ends: Floats) -> Floats:
        """Return the ends of the part of a line that is on the screen.

        The whole line where none of it is.
        """
        if self.limits is None:
            return ends
        start, step = ends[0], ends[1] - ends[0]
        first, last = 0.0, 1.0
        for axis in (0, 1):
            if step[axis]:
                shares = sorted((self.limits[:, axis] - start[axis]) / step[axis])
                first, last = max(first, shares[0]), min(last, shares[1])
        return ends if first >= last else start + np.outer([first, last], step)

    def shift_to(self, low: Floats, high: Floats) -> Floats:
        """Return the shortest way of the screen to where it shows a box.

        Its upper left corner goes first where the box is larger than the screen.
        """
        if self.limits is None:
            return np.zeros(2)
        first, last = self.limits
        beyond = np.maximum(high - last, 0)
        return np.asarray(np.where(low - beyond < first, low - first, beyond))


def screen_of(viewer: ViewerModel, *, lengths: bool) -> Screen:
    """Return what a viewer shows, in mm where ``lengths`` is set."""
    camera = getattr(viewer, "scene", viewer).camera
    factors = world_factors(viewer, lengths=lengths)
    pixel = factors / max(float(camera.zoom), 1e-9)
    size = getattr(getattr(viewer, "canvas", None), "size", None)
    if size is None:
        return Screen(float(pixel.mean()))
    center, half = np.asarray(camera.center[-2:]) * factors, np.multiply(size, 0.5)
    limits = np.stack([center - half * pixel, center + half * pixel])
    return Screen(float(pixel.mean()), limits)


def bring_into_view(
    viewer: ViewerModel, low: Floats, high: Floats, *, lengths: bool
) -> None:
    """Move the camera so that a box is on the canvas, and no farther."""
    camera = getattr(viewer, "scene", viewer).camera
    shift = screen_of(viewer, lengths=lengths).shift_to(low, high)
    if shift.any():
        z, x = shift / world_factors(viewer, lengths=lengths)
        center = camera.center
        camera.center = (*center[:-2], center[-2] + z, center[-1] + x)
