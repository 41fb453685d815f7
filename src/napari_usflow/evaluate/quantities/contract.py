"""Contract of a measured quantity, and its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.regions import Pixels, Region
from napari_usflow.ultrasound.data import PixelGrid

__all__ = ["ANY_SMOOTHING", "Place", "Quantity"]

ANY_SMOOTHING = (
    " It rises with any smoothing: read it beside a width (point or wall), or a blur "
    "looks like an improvement."
)
"""For the help of a number that a blur improves."""


@dataclass(frozen=True)
class Place:
    """A region of a frame.

    Attributes
    ----------
    frame_db : ndarray, shape (Z, X), dB
        NaN and infinite pixels do not count.
    grid : PixelGrid
        Where its pixels are.
    region : Region
    pixels, outside : Pixels, optional
        Those of the region, where it has an area, and of the region that it is compared
        with, where there is one.
    shared : dict
        For what several numbers have in common.
    """

    frame_db: npt.NDArray[Any]
    grid: PixelGrid
    region: Region
    pixels: Pixels | None = None
    outside: Pixels | None = None
    shared: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def inside_db(self) -> npt.NDArray[np.float64]:
        """Decibels in the region; empty where it has no area."""
        return _values(self.pixels, self.frame_db)

    @cached_property
    def outside_db(self) -> npt.NDArray[np.float64]:
        """Decibels in the region that this one is compared with; empty without."""
        return _values(self.outside, self.frame_db)


def _values(pixels: Pixels | None, frame: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.empty(0) if pixels is None else pixels.of(frame)


@dataclass(frozen=True)
class Quantity:
    """A quantity for tables, axes and tooltips, and its measurement.

    Attributes
    ----------
    name : str
        Attribute of :class:`~napari_usflow.evaluate.measure.Measurement`.
    label, unit : str
        For the user.
    digits : int
        Digits after the point.
    help : str
        What it is, and what it is good and bad for.
    roles : sequence of str
        Regions in which it is measured.
    measure : callable
        Called with a :class:`Place`; NaN where the number is not defined.
    least : int
        Pixels that a region with an area must have, and the one it is compared with.
    compares : bool
        Whether it is taken against another region.
    """

    name: str
    label: str
    unit: str
    digits: int
    help: str
    roles: Sequence[str]
    measure: Callable[[Place], float]
    least: int = 0
    compares: bool = False

    @property
    def title(self) -> str:
        """Label with the unit, for an axis or a row."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def of(self, place: Place) -> float:
        """Measure a place; NaN where the number is not defined."""
        sizes = [place.inside_db.size]
        if self.compares:
            sizes.append(place.outside_db.size)
        if place.region.role not in self.roles or min(sizes) < self.least:
            return float("nan")
        return float(self.measure(place))
