"""The edges of a sector to a fraction of a pixel.

The votes of the pixels (:mod:`~napari_usflow.ultrasound.sectors.search`) are summed
over the sector, its edge a ramp that gets narrower, and the six places that say where
its edges are move until the sum is largest: the columns of both straight edges at an
upper and a lower row, and the rows of both arcs below the apex. Each is in pixels and
moves its own edge, so that the search is well conditioned, however far the apex is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_usflow.ultrasound.sectors.geometry import Box, Floats, Sector

__all__ = ["RAMPS", "Edges", "refined"]

RAMPS = (6.0, 2.5, 1.0)
"""Widths of the edge, in pixels, that are taken one after the other."""

# Pixels beside the edges that take part, in ramps and in pixels.
_BAND = (2.0, 3.0)
_MOST_PIXELS = 12_000
# Edges that are parallel to less than this have no apex.
_LEAST_SLOPE = 1e-3
# Of axis, both half widths and both arcs on the six places of the edges.
_MIRRORED = np.array(
    [
        [1, -1, 0, 0, 0],
        [1, 0, -1, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ],
    np.float64,
)


@dataclass(frozen=True)
class Edges:
    """A sector by its edges; columns are in units of a row.

    Attributes
    ----------
    rows : (float, float)
        Where the columns are taken.
    places : ndarray, shape (6,)
        Left edge at both rows, right edge at both rows, first and last arc.
    aspect : float
        Width of a pixel over its height.
    """

    rows: tuple[float, float]
    places: Floats
    aspect: float

    @classmethod
    def of(cls, sector: Sector) -> Edges:
        """Return the edges of a sector."""
        (near, far), (first, last) = sector.radii, sector.angles
        upper = sector.apex[0] + near + 0.05 * (far - near)
        lower = sector.apex[0] + near + 0.75 * (far - near)
        middle = sector.apex[1] * sector.aspect
        columns = [
            middle + (row - sector.apex[0]) * math.tan(angle)
            for angle in (first, last)
            for row in (upper, lower)
        ]
        arcs = [sector.apex[0] + near, sector.apex[0] + far]
        return cls((upper, lower), np.array([*columns, *arcs]), sector.aspect)

    def apex(self, places: Floats) -> tuple[float, float]:
        """Return row and column (in rows) where the straight edges meet."""
        upper, lower = self.rows
        left, left_low, right, right_low = places[:4]
        opening = max(right_low - right - left_low + left, _LEAST_SLOPE)
        back = (right - left) / opening
        row = upper - back * (lower - upper)
        return float(row), float(left - back * (left_low - left))

    def sector(self, places: Floats, box: Box) -> Sector:
        """Return the sector of places."""
        row, column = self.apex(places)
        lower = self.rows[1]
        angles = [math.atan2(places[i] - column, lower - row) for i in (1, 3)]
        near, far = max(places[4] - row, 0.0), places[5] - row
        return Sector(
            (row, column / self.aspect),
            (angles[0], angles[1]),
            (near, max(far, near + 1.0)),
            box,
            self.aspect,
        )

    def depth_inside(self, places: Floats, z: Floats, x: Floats) -> Floats:
        """Return how far pixels lie inside of the nearest edge, in rows."""
        upper, lower = self.rows
        row, column = self.apex(places)
        radius = np.hypot(z - row, x - column)
        depth = np.minimum(radius - places[4] + row, places[5] - row - radius)
        for at, sign in ((0, 1.0), (2, -1.0)):
            slope = (places[at + 1] - places[at]) / (lower - upper)
            beside = sign * (x - places[at] - slope * (z - upper))
            depth = np.minimum(depth, beside / math.hypot(1.0, slope))
        return np.asarray(depth)


def refined(
    votes: Floats,
    sector: Sector,
    seen: Box,
    ramps: Sequence[float] = RAMPS,
    *,
    symmetric: bool = False,
) -> Sector:
    """Return a sector with its edges where the votes are best.

    Parameters
    ----------
    votes : ndarray, shape (Z, X)
        Of each pixel, for being inside.
    sector : Sector
        Near the result; its box is kept.
    seen : (float, float, float, float)
        Rows and columns where pixels have a vote.
    ramps : sequence of float
        Widths of the edge in pixels, from first to last.
    symmetric : bool
        Keep both angles the same to the left and to the right.
    """
    free = np.eye(6)
    if symmetric:
        free = _MIRRORED
        half = (sector.angles[1] - sector.angles[0]) / 2
        sector = replace(sector, angles=(-half, half))
    for ramp in ramps:
        sector = _step(votes, sector, seen, ramp, free)
    return sector


def _step(
    votes: Floats, sector: Sector, seen: Box, ramp: float, free: Floats
) -> Sector:
    from scipy.optimize import minimize

    edges = Edges.of(sector)
    top, bottom, left, right = seen
    rows = np.arange(max(0, math.ceil(top)), min(votes.shape[0] - 1, bottom) + 1)
    columns = np.arange(max(0, math.ceil(left)), min(votes.shape[1] - 1, right) + 1)
    coarse = max(1, round(ramp / 2.5))
    rows, columns = rows[::coarse].astype(int), columns[::coarse].astype(int)
    z, x = np.meshgrid(rows.astype(float), columns * sector.aspect, indexing="ij")
    width = _BAND[0] * ramp + _BAND[1]
    near = np.abs(edges.depth_inside(edges.places, z, x)) < width
    z, x, weights = z[near], x[near], votes[np.ix_(rows, columns)][near]
    if weights.size == 0:
        return sector
    # A part of them, without a pattern, gives the same edges.
    part = np.random.default_rng(0).permutation(weights.size)[:_MOST_PIXELS]
    z, x, weights = z[part], x[part], weights[part]

    def loss(moves: Floats) -> float:
        depth = edges.depth_inside(edges.places + free @ moves, z, x)
        return -float(weights @ np.clip(0.5 + depth / (2 * ramp), 0, 1))

    start = np.zeros(free.shape[1])
    result = minimize(
        loss,
        start,
        method="L-BFGS-B",
        bounds=[(-width, width)] * len(start),
        options={"eps": 0.25 * ramp, "maxiter": 12, "ftol": 1e-5},
    )
    moves = result.x if result.fun <= loss(start) else start
    places = edges.places + free @ moves
    return replace(edges.sector(places, sector.box), confidence=sector.confidence)
