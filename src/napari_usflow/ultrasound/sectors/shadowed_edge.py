"""Correction of an edge that was taken from a shadow.

A shadow along an edge has an edge of its own, further inside. Above it, where the
shadow has not begun, tissue goes on beyond that edge, which no true edge allows. Most
fans are symmetric, so that the opposite edge says where the true one is: the apex lies
on it, and both arcs keep their ends there. One number is left to search for.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from napari_usflow.ultrasound.sectors.borders import Borders, judge_borders
from napari_usflow.ultrasound.sectors.geometry import Mask, Sector

__all__ = ["out_of_shadow"]

# Segments with tissue beyond them that make an edge doubtful.
_DOUBTFUL = 2
# Support of an edge that can be mirrored.
_PLAIN = 0.75
# Segments of the mirrored edge that have to be seen.
_LEAST_SEEN = 3
# Segments that the other edges may lose.
_MOST_LOST = 4
# How far the apex is moved, of the longest line, and by which steps, in pixels.
_REACH = 0.6
_STEPS = (4.0, 1.0)


def out_of_shadow(tissue: Mask, judged: Mask, sector: Sector) -> Sector | None:
    """Return the symmetric sector that explains tissue beyond an edge.

    Parameters
    ----------
    tissue, judged : ndarray of bool, shape (Z, X)
        See :class:`~napari_usflow.ultrasound.sectors.evidence.Evidence`.
    sector : Sector
        A fan with one edge right.

    Returns
    -------
    Sector or None
        None where neither edge is doubtful, or the opposite one does not explain it.
    """
    borders = judge_borders(tissue, judged, sector)
    best: tuple[float, Sector] | None = None
    for side, other in ((0, 1), (1, 0)):
        if borders.sides[side].bad < _DOUBTFUL or borders.sides[other].support < _PLAIN:
            continue
        if not abs(sector.angles[other]) > abs(sector.angles[side]):
            continue
        candidate = _mirrored(tissue, judged, sector, other)
        after = judge_borders(tissue, judged, candidate)
        edge = after.sides[side]
        lost = _but(borders, side) - _but(after, side)
        if edge.bad > 0 or edge.good < _LEAST_SEEN or lost > _MOST_LOST:
            continue
        if best is None or after.total() > best[0]:
            best = after.total(), candidate
    return None if best is None else best[1]


def _mirrored(tissue: Mask, judged: Mask, sector: Sector, other: int) -> Sector:
    """Return the best symmetric sector with an edge of a sector."""
    reach, middle = _REACH * sector.extent, 0.0
    for step in _STEPS:
        moves = middle + np.arange(-reach, reach + step, step)
        fans = [_moved(sector, other, float(move)) for move in moves]
        totals = [judge_borders(tissue, judged, fan).total() for fan in fans]
        # The middle of the moves that are best.
        middle = float(np.mean(moves[np.equal(totals, max(totals))]))
        reach = 2 * step
    return _moved(sector, other, middle)


def _moved(sector: Sector, other: int, move: float) -> Sector:
    """Return the symmetric sector whose apex is moved along an edge of a sector."""
    angle, (near, far) = sector.angles[other], sector.radii
    row, column = sector.apex
    apex = (
        row + move * math.cos(angle),
        column + move * math.sin(angle) / sector.aspect,
    )
    half = abs(angle)
    radii = max(near - move, 0.0), max(far - move, 1.0)
    return replace(sector, apex=apex, angles=(-half, half), radii=radii)


def _but(borders: Borders, side: int) -> float:
    """Return the segments for all edges but one, less twice those against."""
    edge = borders.sides[side]
    return borders.total() - edge.good + 2 * edge.bad
