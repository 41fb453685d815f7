"""Support of a sector's edges by the picture, segment by segment.

Each edge is walked along in short segments. One speaks for the edge where there is
tissue inside of it and none outside, against it where there is tissue outside; where
there is none on either side, as in a shadow, it is silent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_usflow.ultrasound.sectors.geometry import Box, Floats, Mask, Sector

__all__ = ["Border", "Borders", "judge_borders"]

_SEGMENTS, _PLACES = 24, 12
_BESIDE = (1.5, 3.0, 4.5, 6.0, 7.5)
_TISSUE = 0.3
# Segments of a straight edge that have to be seen; what each cut after the first costs.
_ENOUGH = 12
_CUT_COST = 0.8


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
    """The edges of a sector: both sides, first and last arc (or row), and its cuts."""

    left: Border
    right: Border
    near: Border
    far: Border
    cuts: tuple[Border, ...] = ()

    @property
    def sides(self) -> tuple[Border, Border]:
        """Both straight edges."""
        return self.left, self.right

    @property
    def edges(self) -> tuple[Border, ...]:
        """All edges."""
        return (self.left, self.right, self.near, self.far, *self.cuts)

    @property
    def weakest(self) -> float:
        """Support of the edge that is borne out least."""
        return min(edge.support for edge in self.edges)

    @property
    def confidence(self) -> float:
        """Support of the sector by the picture, from 0 to 1."""
        whole = Border(
            *(
                sum(getattr(edge, name) for edge in self.edges)
                for name in ("good", "bad", "silent")
            )
        )
        # An edge of which only a few segments can be seen is not borne out by them.
        sides = [side.support * min(1.0, side.seen / _ENOUGH) for side in self.sides]
        # Enough cuts make a fan of any round thing.
        doubt = _CUT_COST ** max(0, len(self.cuts) - 1)
        return max(0.0, doubt * min(whole.support, sum(sides) / 2))

    @property
    def rate(self) -> float:
        """Of the segments that can be seen, those for the sector less those against."""
        return self.total() / max(sum(edge.seen for edge in self.edges), 1)

    def total(self) -> float:
        """Segments for less segments against the sector, the latter twice."""
        return sum(edge.good - 2 * edge.bad for edge in self.edges)


def judge_borders(tissue: Mask, judged: Mask, sector: Sector) -> Borders:
    """Count the segments that speak for each edge of a sector."""
    share = (np.arange(_SEGMENTS * _PLACES) + 0.5) / (_SEGMENTS * _PLACES)
    last_row, last_column = (n - 1.0 for n in tissue.shape)
    picture = (0.0, last_row, 0.0, last_column)
    if sector.is_linear:
        lines = _box_lines(sector.box, share)
        order = [lines[2], lines[3], lines[0], lines[1]]
        everywhere = np.ones(share.shape, bool)
        left, right, near_row, far_row = (
            _border(tissue, judged, sector, line, picture, everywhere) for line in order
        )
        return Borders(left, right, near_row, far_row)
    (near, far), (first, last) = sector.radii, sector.angles
    radius, angle = near + share * (far - near), first + share * (last - first)
    fan: tuple[Any, ...] = (
        (radius, first + 0 * radius, math.sin(first), -math.cos(first)),
        (radius, last + 0 * radius, -math.sin(last), math.cos(last)),
        (near + 0 * angle, angle, -np.cos(angle), -np.sin(angle)),
        (far + 0 * angle, angle, np.cos(angle), np.sin(angle)),
    )
    limits = _common(sector.box, picture)
    within = np.ones(share.shape, bool)
    left, right, first_arc, last_arc = (
        _border(tissue, judged, sector, (*sector.place(r, a), *out), limits, within)
        for r, a, *out in fan
    )
    cuts = []
    for edge, line in zip(sector.box, _box_lines(limits, share), strict=True):
        if math.isfinite(edge):
            r, a = sector.polar(line[0], line[1])
            within = (r >= near) & (r <= far) & (a >= first) & (a <= last)
            cuts.append(_border(tissue, judged, sector, line, picture, within))
    return Borders(left, right, first_arc, last_arc, tuple(cuts))


def _common(box: Box, picture: Box) -> Box:
    """Return what of a picture is within a box."""
    (top, bottom, left, right), (first, last, start, end) = box, picture
    return max(top, first), min(bottom, last), max(left, start), min(right, end)


def _box_lines(box: Box, share: Floats) -> list[Any]:
    """Return rows, columns and outward direction of top, bottom, left and right."""
    top, bottom, left, right = box
    down, across = top + share * (bottom - top), left + share * (right - left)
    return [
        (top + 0 * across, across, -1.0, 0.0),
        (bottom + 0 * across, across, 1.0, 0.0),
        (down, left + 0 * down, 0.0, -1.0),
        (down, right + 0 * down, 0.0, 1.0),
    ]


def _border(
    tissue: Mask, judged: Mask, sector: Sector, line: Any, limits: Box, within: Mask
) -> Border:
    """Judge an edge: its rows, columns and where out of the sector is, in rows."""
    rows, columns, z, x = line
    places = [
        (
            rows + sign * beside * np.asarray(z),
            columns + sign * beside * np.asarray(x) / sector.aspect,
        )
        for sign in (-1.0, 1.0)
        for beside in _BESIDE
    ]
    shares = [_share(tissue, judged, place, limits, within) for place in places]
    known = np.array([known for _, known in shares]).reshape(2, len(_BESIDE), _SEGMENTS)
    seen_tissue = np.array([count for count, _ in shares]).reshape(known.shape)
    enough = known.sum(1) >= 0.3 * _PLACES * len(_BESIDE)
    inside, outside = np.where(
        enough, seen_tissue.sum(1) / np.maximum(known.sum(1), 1), np.nan
    )
    seen = np.isfinite(inside) & np.isfinite(outside)
    inside, outside = inside[seen], outside[seen]
    bad = (outside >= _TISSUE) & (outside > 0.5 * inside)
    good = (inside >= _TISSUE) & (outside <= inside / 2) & ~bad
    return Border(int(good.sum()), int(bad.sum()), int((~good & ~bad).sum()))


def _share(
    tissue: Mask, judged: Mask, place: tuple[Floats, Floats], limits: Box, within: Mask
) -> tuple[Floats, Floats]:
    """Count tissue and what can be judged in each segment."""
    top, bottom, left, right = limits
    row, column = (np.rint(values).astype(int) for values in place)
    known = within & (row >= top) & (row <= bottom)
    known &= (column >= left) & (column <= right)
    at = row.clip(0, tissue.shape[0] - 1), column.clip(0, tissue.shape[1] - 1)
    known &= judged[at]
    counts = [
        part.reshape(_SEGMENTS, _PLACES).sum(1) for part in (known & tissue[at], known)
    ]
    return counts[0], counts[1]
