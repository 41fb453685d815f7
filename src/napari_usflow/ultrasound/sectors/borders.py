"""How well a picture bears out the edges of a sector, bit by bit.

Each edge is walked along in short segments. One speaks for the edge where there is
tissue inside of it and none outside, against it where there is tissue outside; where
there is none on either side, as in a shadow, it is silent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.sectors.geometry import Floats, Mask, Sector

__all__ = ["Border", "Borders", "judge_borders"]

_SEGMENTS, _PLACES = 24, 12
_BESIDE = (1.5, 3.0, 4.5, 6.0, 7.5)
_TISSUE = 0.3


@dataclass(frozen=True)
class Border:
    """Number of segments of an edge that speak for it, against it, or are silent."""

    good: int
    bad: int
    silent: int

    @property
    def seen(self) -> int:
        """Number of segments within the picture and the sector's box."""
        return self.good + self.bad + self.silent

    @property
    def support(self) -> float:
        """From -1 (tissue goes on beyond it) to 1 (an edge all along); 0 unseen."""
        if self.seen == 0:
            return 0.0
        return (self.good - self.bad) / (self.good + self.bad + 0.35 * self.silent)


@dataclass(frozen=True)
class Borders:
    """The edges of a sector: both sides, first and last arc (or row)."""

    left: Border
    right: Border
    near: Border
    far: Border

    @property
    def sides(self) -> tuple[Border, Border]:
        """Both straight edges."""
        return self.left, self.right

    @property
    def weakest(self) -> float:
        """Support of the edge that is borne out least."""
        edges = (self.left, self.right, self.near, self.far)
        return min(edge.support for edge in edges)

    @property
    def rate(self) -> float:
        """Of the segments that can be seen, those for the sector less those against."""
        edges = (self.left, self.right, self.near, self.far)
        return self.total() / max(sum(edge.seen for edge in edges), 1)

    def total(self) -> float:
        """Segments for less segments against the sector, the latter twice."""
        edges = (self.left, self.right, self.near, self.far)
        return sum(edge.good - 2 * edge.bad for edge in edges)


def judge_borders(tissue: Mask, judged: Mask, sector: Sector) -> Borders:
    """Count the segments that speak for each edge of a sector."""
    share = (np.arange(_SEGMENTS * _PLACES) + 0.5) / (_SEGMENTS * _PLACES)
    top, bottom, left, right = sector.box
    if sector.is_linear:
        down, across = top + share * (bottom - top), left + share * (right - left)
        lines: tuple[Any, ...] = (
            (down, np.full_like(down, left), 0.0, -1.0),
            (down, np.full_like(down, right), 0.0, 1.0),
            (np.full_like(across, top), across, -1.0, 0.0),
            (np.full_like(across, bottom), across, 1.0, 0.0),
        )
    else:
        (near, far), (first, last) = sector.radii, sector.angles
        radius, angle = near + share * (far - near), first + share * (last - first)
        lines = tuple(
            (*sector.place(r, a), normal_z, normal_x)
            for r, a, normal_z, normal_x in (
                (
                    radius,
                    np.full_like(radius, first),
                    math.sin(first),
                    -math.cos(first),
                ),
                (radius, np.full_like(radius, last), -math.sin(last), math.cos(last)),
                (np.full_like(angle, near), angle, -np.cos(angle), -np.sin(angle)),
                (np.full_like(angle, far), angle, np.cos(angle), np.sin(angle)),
            )
        )
    return Borders(*(_border(tissue, judged, sector, *line) for line in lines))


def _border(
    tissue: Mask,
    judged: Mask,
    sector: Sector,
    rows: Floats,
    columns: Floats,
    out_z: npt.ArrayLike,
    out_x: npt.ArrayLike,
) -> Border:
    """Judge an edge; ``out_z, out_x`` points out of the sector, in rows."""
    inside, outside = (
        _share(
            tissue,
            judged,
            sector,
            rows,
            columns,
            sign * np.asarray(out_z),
            sign * np.asarray(out_x),
        )
        for sign in (-1.0, 1.0)
    )
    seen = np.isfinite(inside) & np.isfinite(outside)
    inside, outside = inside[seen], outside[seen]
    bad = (outside >= _TISSUE) & (outside > 0.5 * inside)
    good = (inside >= _TISSUE) & (outside <= inside / 2) & ~bad
    return Border(int(good.sum()), int(bad.sum()), int((~good & ~bad).sum()))


def _share(
    tissue: Mask,
    judged: Mask,
    sector: Sector,
    rows: Floats,
    columns: Floats,
    z: Floats,
    x: Floats,
) -> Floats:
    """Share of tissue beside each segment; NaN where the picture or its box ends."""
    top, bottom, left, right = sector.box
    sums = np.zeros((2, _SEGMENTS))
    for beside in _BESIDE:
        row = np.rint(rows + beside * z).astype(int)
        column = np.rint(columns + beside * x / sector.aspect).astype(int)
        known = (row >= max(top, 0)) & (row <= min(bottom, tissue.shape[0] - 1))
        known &= (column >= max(left, 0)) & (column <= min(right, tissue.shape[1] - 1))
        if sector.is_linear:
            known = (row >= 0) & (row < tissue.shape[0])
            known &= (column >= 0) & (column < tissue.shape[1])
        at = row.clip(0, tissue.shape[0] - 1), column.clip(0, tissue.shape[1] - 1)
        known &= judged[at]
        sums[0] += (known & tissue[at]).reshape(_SEGMENTS, _PLACES).sum(1)
        sums[1] += known.reshape(_SEGMENTS, _PLACES).sum(1)
    enough = sums[1] >= 0.3 * _PLACES * len(_BESIDE)
    return np.where(enough, sums[0] / np.maximum(sums[1], 1), np.nan)
