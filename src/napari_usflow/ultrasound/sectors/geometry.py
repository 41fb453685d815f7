"""Where a sector lies in a picture.

A pixel (row, column) lies at z = row - apex row below the apex and x = aspect (column -
apex column) beside it, hence at the radius r and the angle a

    r = sqrt(x^2 + z^2),    a = atan2(x, z).

It belongs to the sector where both are within their limits and the pixel is within the
box, the straight edges that cut the sector: those of a panel of the screen, or the flat
face of a linear probe whose lines fan out (a trapezoid).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["NO_BOX", "Box", "Floats", "Mask", "Sector"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]

NO_BOX: Box = (-math.inf, math.inf, -math.inf, math.inf)

# Of a pixel; a pixel this far beyond the edge is on it.
_EDGE = 1e-6
_OUTLINE_POINTS = 65
# Sine of the angle between edges that meet nowhere.
_PARALLEL = 1e-3


@dataclass(frozen=True)
class Sector:
    """A sector of a picture, in pixels.

    Attributes
    ----------
    apex : (float, float)
        Row and column where the lines meet; may lie outside of the picture. Of parallel
        lines the row is -inf.
    angles : (float, float)
        First and last angle in rad; 0 points along depth, positive to the right.
    radii : (float, float)
        First and last radius in rows; of parallel lines the first and last row.
    box : (float, float, float, float)
        Top, bottom, left and right edge that cut the sector; infinite where none does.
    aspect : float
        Width of a pixel over its height.
    confidence : float
        How well the picture bears the sector out, from 0 to 1; 1 when it was stated.
    """

    apex: tuple[float, float]
    angles: tuple[float, float]
    radii: tuple[float, float]
    box: Box = NO_BOX
    aspect: float = 1.0
    confidence: float = 1.0

    def __post_init__(self) -> None:
        (first, last), (near, far) = self.angles, self.radii
        finite = np.isfinite([self.apex[1], *self.angles, *self.radii, self.aspect])
        top, bottom, left, right = self.box
        if not finite.all() or self.aspect <= 0 or top >= bottom or left >= right:
            raise ValueError(f"a sector needs finite numbers and a box, got {self}")
        if near >= far:
            raise ValueError(
                f"the last radius of a sector must be larger than the first, got "
                f"{near:g} and {far:g} pixels"
            )
        if self.is_linear:
            return
        if not (math.isfinite(self.apex[0]) and -math.pi < first < last < math.pi):
            raise ValueError(
                "the angles of a sector must rise, between -180 and 180 degrees, got "
                f"{math.degrees(first):g} and {math.degrees(last):g}"
            )
        if near < 0:
            raise ValueError(f"the first radius of a sector is negative: {near:g}")

    @classmethod
    def linear(cls, rows: tuple[float, float], columns: tuple[float, float]) -> Sector:
        """Make the rectangle of a linear probe, whose lines are parallel."""
        apex = (-math.inf, (columns[0] + columns[1]) / 2)
        return cls(apex, (0.0, 0.0), rows, (*rows, *columns))

    @property
    def is_linear(self) -> bool:
        """Whether the lines are parallel."""
        return self.apex[0] == -math.inf

    @property
    def extent(self) -> float:
        """Length of the longest line in rows."""
        return self.radii[1] - self.radii[0]

    @property
    def kind(self) -> str:
        """``linear``, ``trapezoid`` (lines from a flat face) or ``sector``."""
        if self.is_linear:
            return "linear"
        # The face of a trapezoid cuts the first arc off altogether.
        face = self.apex[0] + self.radii[0]
        return "trapezoid" if self.box[0] >= face - 1.0 else "sector"

    def enlarged(self, factor: int) -> Sector:
        """Return the sector in a picture of so many times the rows and columns."""

        def times(values: tuple[float, ...]) -> tuple[Any, ...]:
            return tuple(factor * value for value in values)

        return replace(
            self, apex=times(self.apex), radii=times(self.radii), box=times(self.box)
        )

    def describe(self) -> str:
        """Return one line for the user."""
        top, bottom, left, right = self.box
        if self.is_linear:
            return (
                f"rectangle from row {top:.0f} to {bottom:.0f}, column {left:.0f} to "
                f"{right:.0f}"
            )
        return (
            f"{self.kind} with its apex at row {self.apex[0]:.1f}, column "
            f"{self.apex[1]:.1f}, {math.degrees(self.angles[0]):.1f} to "
            f"{math.degrees(self.angles[1]):.1f} degrees, "
            f"radius {self.radii[0]:.0f} to {self.radii[1]:.0f} pixels"
        )

    def numbers(self) -> dict[str, Any]:
        """Return the sector in plain values: pixels and degrees, None for no edge."""

        def plain(values: tuple[float, ...]) -> list[float | None]:
            return [round(v, 2) if math.isfinite(v) else None for v in values]

        numbers: dict[str, Any] = {
            "kind": self.kind,
            "apex": plain(self.apex),
            "angles_deg": plain(tuple(math.degrees(angle) for angle in self.angles)),
            "radii": plain(self.radii),
            "cut": plain(self.box),
            "confidence": round(self.confidence, 2),
        }
        if self.is_linear:
            for name in ("apex", "angles_deg", "radii"):
                del numbers[name]
        return numbers

    @property
    def corners(self) -> Floats:
        """Ends of the straight edges: first and last arc left, last and first right."""
        if self.is_linear:
            top, bottom, left, right = self.box
            places = [(top, left), (bottom, left), (bottom, right), (top, right)]
            return np.array(places, np.float64)
        (near, far), (first, last) = self.radii, self.angles
        radius, angle = np.array([near, far, far, near]), [first, first, last, last]
        return np.stack(self.place(radius, np.array(angle)), 1)

    @classmethod
    def from_corners(cls, corners: Floats, box: Box, aspect: float = 1.0) -> Sector:
        """Make the sector of four corners; of parallel edges the rectangle.

        Parameters
        ----------
        corners : ndarray, shape (4, 2)
            Rows and columns, in the order of :attr:`corners`.
        box : (float, float, float, float)
            The straight edges that cut the sector.
        aspect : float
            Width of a pixel over its height.
        """
        places = np.asarray(corners, np.float64) * (1.0, aspect)
        left, right = places[1] - places[0], places[2] - places[3]
        across = left[0] * right[1] - left[1] * right[0]
        if abs(across) < _PARALLEL * np.linalg.norm(left) * np.linalg.norm(right):
            (top, first), (bottom, last) = corners.min(0), corners.max(0)
            rows, columns = (float(top), float(bottom)), (float(first), float(last))
            return replace(cls.linear(rows, columns), aspect=aspect)
        gap = places[3] - places[0]
        share = (gap[0] * right[1] - gap[1] * right[0]) / across
        apex = places[0] + share * left
        z, x = (places - apex).T
        radius, angle = np.hypot(z, x), np.arctan2(x, z)
        if (np.cos(angle[[0, 3]] - angle[1:3]) < 0).any():
            raise ValueError("the straight edges of a sector must not cross within it")
        return cls(
            (float(apex[0]), float(apex[1] / aspect)),
            (float(angle[1]), float(angle[2])),
            (float(radius[[0, 3]].mean()), float(radius[1:3].mean())),
            box,
            aspect,
        )

    def polar(self, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """Return radius (rows) and angle (rad) of places in the picture."""
        z = np.asarray(rows, np.float64) - self.apex[0]
        x = (np.asarray(columns, np.float64) - self.apex[1]) * self.aspect
        return np.hypot(z, x), np.arctan2(x, z)

    def place(self, radius: Floats, angle: Floats) -> tuple[Floats, Floats]:
        """Return rows and columns of places on the lines."""
        rows = self.apex[0] + radius * np.cos(angle)
        return rows, self.apex[1] + radius * np.sin(angle) / self.aspect

    def shares(self, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return where each pixel is: along the lines and across, 0 to 1 inside."""
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
        if self.is_linear:
            along, across, sides = rows, columns, self.box[2:]
        else:
            along, across = self.polar(rows, columns)
            sides = self.angles
        (near, far), (first, last) = self.radii, sides
        return (along - near) / (far - near), (across - first) / (last - first)

    def mask(self, shape: tuple[int, int]) -> Mask:
        """Return which pixels of a picture belong to the sector."""
        inside = np.ones(shape, bool)
        for share in self.shares(shape):
            inside &= (share >= -_EDGE) & (share <= 1 + _EDGE)
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        top, bottom, left, right = self.box
        inside &= (rows >= top) & (rows <= bottom)
        return np.asarray(inside & (columns >= left) & (columns <= right))

    def outline(self) -> Floats:
        """Return the corners of the sector's edge, shape (N, 2), rows and columns."""
        if self.is_linear:
            top, bottom, left, right = self.box
            corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
            return np.array(corners, np.float64)
        turns = np.linspace(*self.angles, _OUTLINE_POINTS)
        far = np.stack(self.place(np.full_like(turns, self.radii[1]), turns), 1)
        near = np.stack(self.place(np.full_like(turns, self.radii[0]), turns), 1)
        return _clipped(np.concatenate([far, near[::-1]]), self.box)


def _clipped(points: Floats, box: Box) -> Floats:
    """Cut a polygon to a box, an edge at a time (Sutherland and Hodgman 1974)."""
    for edge, (axis, sign) in zip(
        box, ((0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0)), strict=True
    ):
        if not math.isfinite(edge):
            continue
        height = sign * (points[:, axis] - edge)
        corners: list[Floats] = []
        for point, after, h, h_after in zip(
            points, np.roll(points, -1, 0), height, np.roll(height, -1), strict=True
        ):
            if h >= 0:
                corners.append(point)
            if h * h_after < 0:
                corners.append(point + (after - point) * h / (h - h_after))
        points = np.array(corners, np.float64).reshape(-1, 2)
    return points
