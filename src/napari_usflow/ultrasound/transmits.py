"""Transmits of an array: plane waves, diverging waves and focused beams.

Every transmit has one time zero: **the moment at which its wave passes its origin**.
For a plane wave the origin is x = y = z = 0; diverging and focused waves name theirs.
``start_time_s`` of :class:`~napari_usflow.ultrasound.data.ChannelData` counts from
there, and ``path_m`` says how far the wave has travelled since, so that the echo of a
pixel p reaches an element e at

    t = (path_m(p) + |p - e|) / c.

All positions are (x, y, z) in metres, z the depth; angles lie in the plane of x and z,
0 points along depth and positive turns towards +x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "DivergingWave",
    "FocusedBeam",
    "PlaneWave",
    "Position",
    "Transmit",
]

Position = tuple[float, float, float]
"""x, y and z in metres."""

Floats = npt.NDArray[np.float64]

_CENTRE: Position = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class PlaneWave:
    """A plane wave steered by ``angle_rad``; positive travels towards +x.

    Time zero is when it passes x = 0, z = 0; the time of flight to (x, z) is
    (z cos a + x sin a) / c.
    """

    angle_rad: float

    def path_m(self, z_m: npt.ArrayLike, x_m: npt.ArrayLike) -> Floats:
        """Distance travelled from time zero until the wave is at (x, 0, z)."""
        z, x = _pixels(z_m, x_m)
        return np.asarray(z * np.cos(self.angle_rad) + x * np.sin(self.angle_rad))


@dataclass(frozen=True)
class DivergingWave:
    """A spherical wave that spreads from a (virtual) source.

    Time zero is when it passes the origin; the time of flight to p is
    (|p - source| - |origin - source|) / c. An element that fires alone (synthetic
    aperture) is a source that is its own origin.

    Attributes
    ----------
    source_m : (float, float, float)
        Behind the array for a virtual source, on it for a single element.
    origin_m : (float, float, float)
        Where the wave is at time zero; by default the array's centre.
    """

    source_m: Position
    origin_m: Position = _CENTRE

    def path_m(self, z_m: npt.ArrayLike, x_m: npt.ArrayLike) -> Floats:
        """Distance travelled from time zero until the wave is at (x, 0, z)."""
        return _distance(z_m, x_m, self.source_m) - _between(
            self.origin_m, self.source_m
        )


@dataclass(frozen=True)
class FocusedBeam:
    """A beam that runs from an origin on the array through a focus: one image line.

    Time zero is when the wave on the beam's axis passes the origin, so that it is at
    the distance r along the axis at r / c. Beside the axis the wave is taken for a
    spherical one that converges on the focus and spreads from it: with F the focal
    distance, the time of flight is (F - |p - focus|) / c before the focal plane and
    (F + |p - focus|) / c behind it.

    Attributes
    ----------
    angle_rad : float
        Direction of the axis; 0 points along depth, positive towards +x.
    focus_distance_m : float
        From the origin to the focus, > 0; ``inf`` for a beam that is not focused.
    origin_m : (float, float, float)
        Where the axis starts; by default the array's centre.

    Raises
    ------
    ValueError
        When the focal distance is not positive: a focus behind the array is a
        :class:`DivergingWave`.
    """

    angle_rad: float
    focus_distance_m: float = float("inf")
    origin_m: Position = _CENTRE

    def __post_init__(self) -> None:
        if not self.focus_distance_m > 0:
            raise ValueError(
                f"a focal distance must be positive, got {self.focus_distance_m} m; "
                "a wave from behind the array is a DivergingWave"
            )

    @property
    def direction(self) -> Position:
        """Unit vector (x, y, z) along the axis."""
        return (float(np.sin(self.angle_rad)), 0.0, float(np.cos(self.angle_rad)))

    def path_m(self, z_m: npt.ArrayLike, x_m: npt.ArrayLike) -> Floats:
        """Distance travelled from time zero until the wave is at (x, 0, z)."""
        z, x = _pixels(z_m, x_m)
        (along_x, _, along_z), (x_0, _, z_0) = self.direction, self.origin_m
        along = (x - x_0) * along_x + (z - z_0) * along_z
        if np.isinf(self.focus_distance_m):
            return np.asarray(along)
        focus = tuple(
            start + self.focus_distance_m * step
            for start, step in zip(self.origin_m, self.direction, strict=True)
        )
        side = np.where(along < self.focus_distance_m, -1.0, 1.0)
        return np.asarray(self.focus_distance_m + side * _distance(z, x, focus))


Transmit = PlaneWave | DivergingWave | FocusedBeam
"""One description of a transmit."""


def _pixels(z_m: npt.ArrayLike, x_m: npt.ArrayLike) -> tuple[Floats, Floats]:
    return np.asarray(z_m, np.float64), np.asarray(x_m, np.float64)


def _distance(z_m: npt.ArrayLike, x_m: npt.ArrayLike, point: Sequence[float]) -> Floats:
    """Distance of pixels at y = 0 from a point."""
    z, x = _pixels(z_m, x_m)
    flat = np.hypot(x - point[0], z - point[2])
    return np.asarray(np.hypot(flat, point[1]))


def _between(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.linalg.norm(np.subtract(one, other)))
