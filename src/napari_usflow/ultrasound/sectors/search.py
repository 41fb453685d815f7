"""The sector that explains a map of tissue best, at a coarse pixel.

Every pixel votes: tissue for being inside, background for being outside, by the
logarithm of how much more likely it is there than on the other side. Around an apex a
sector is a rectangle of radius and angle, so the best one for that apex is the one
with the largest sum in a histogram of votes (Kadane's algorithm for each pair of
angles). The apex is looked for on a grid, then closer to its best places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from napari_usflow.ultrasound.sectors.evidence import Evidence
from napari_usflow.ultrasound.sectors.geometry import Box, Floats, Sector

__all__ = ["Votes", "best_sectors", "mirrored", "tissue_box", "votes_of"]

_WIDEST_RAD = math.radians(85)
_NARROWEST_RAD = math.radians(4)
_BINS = (36, 60)
_SIZES = (56, 128)
_KEPT = 3
# What it costs a pixel to be inside where nothing was seen.
_UNSEEN = -0.05
# What a sample without tissue costs against one with, where shadows are allowed for.
_SHADOW = 0.25


@dataclass(frozen=True)
class Votes:
    """Votes of pixels and where the pixels are.

    Attributes
    ----------
    votes : ndarray, shape (Z, X)
        Sum over the pixels that each of these stands for.
    step : float
        Pixels of the picture a side.
    aspect : float
        Width of a pixel over its height.
    """

    votes: Floats
    step: float
    aspect: float

    def coarser(self, size: int) -> Votes:
        """Return the votes in blocks, at most ``size`` a side."""
        step = max(1, math.ceil(max(self.votes.shape) / size))
        rows, columns = (math.ceil(n / step) for n in self.votes.shape)
        padded = np.zeros((rows * step, columns * step))
        padded[: self.votes.shape[0], : self.votes.shape[1]] = self.votes
        blocks = padded.reshape(rows, step, columns, step).sum((1, 3))
        return Votes(blocks, self.step * step, self.aspect)

    def polar(self, apex: tuple[float, float]) -> tuple[Floats, Floats]:
        """Return radius (rows) and angle (rad) of the blocks from an apex."""
        z, x = (
            (np.arange(count) + 0.5) * self.step - 0.5 - start
            for count, start in zip(self.votes.shape, apex, strict=True)
        )
        x = x * self.aspect
        return np.hypot(z[:, None], x), np.arctan2(x, z[:, None])


def votes_of(evidence: Evidence, inside: float = 0.75, outside: float = 0.06) -> Floats:
    """Return the votes for shares of tissue inside and outside of the sector."""
    inside, outside = float(np.clip(inside, 0.1, 0.97)), max(outside, 0.01)
    outside = min(outside, inside / 2)
    yes, no = math.log(inside / outside), math.log((1 - inside) / (1 - outside))
    votes = np.where(evidence.tissue, yes, no)
    votes[~evidence.judged] = 0.0
    return np.asarray(votes)


def tissue_box(evidence: Evidence) -> Box | None:
    """Return the box of the largest dense patch of tissue; None for none."""
    from scipy.ndimage import find_objects, label, uniform_filter

    size = max(5, round(max(evidence.tissue.shape) / 80))
    dense = uniform_filter(evidence.tissue.astype(np.float32), size) > 0.45
    labels, count = label(dense)
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    largest = find_objects(labels)[int(sizes.argmax())]
    rows, columns = largest
    return rows.start, rows.stop - 1, columns.start, columns.stop - 1


def best_sectors(votes: Floats, box: Box, aspect: float) -> list[tuple[float, Sector]]:
    """Return sectors of high score, the best first.

    Parameters
    ----------
    votes : ndarray, shape (Z, X)
        Of :func:`votes_of`.
    box : (float, float, float, float)
        Where there is tissue; what is outside of it has no vote.
    aspect : float
        Width of a pixel over its height.
    """
    top, bottom, left, right = (int(edge) for edge in box)
    whole = Votes(_boxed(votes, box, _UNSEEN), 1.0, aspect)
    coarse = whole.coarser(_SIZES[0])
    height, width = bottom - top + 1, (right - left + 1) * aspect
    middle = (left + right) / 2
    rows = top + height * (0.35 - 4.5 * np.linspace(0, 1, 30) ** 1.7)
    columns = middle + width / aspect * np.linspace(-0.35, 0.35, 15)
    scored = []
    for row in rows:
        for column in columns:
            scored.append(_at_apex(coarse, (float(row), float(column)), _BINS[0]))
    scored.sort(key=lambda pair: -pair[0])
    apart: list[tuple[float, Sector]] = []
    step = (0.05 * height, 0.05 * width / aspect)
    for pair in scored:
        if len(apart) == _KEPT:
            break
        if all(_apart(pair[1], other, step) for _, other in apart):
            apart.append(pair)
    fine = whole.coarser(_SIZES[1])
    closer = [_closer(fine, sector, step) for _, sector in apart]
    closer.sort(key=lambda pair: -pair[0])
    return closer


def _apart(one: Sector, other: Sector, step: tuple[float, float]) -> bool:
    return any(
        abs(a - b) > 1.5 * s for a, b, s in zip(one.apex, other.apex, step, strict=True)
    )


def _closer(
    votes: Votes, sector: Sector, step: tuple[float, float]
) -> tuple[float, Sector]:
    """Move the apex while that raises the score, in ever smaller steps."""
    best = _at_apex(votes, sector.apex, _BINS[1])
    # Far apexes are moved by larger steps along depth.
    size = np.array(step) * (1 + sector.radii[0] / sector.extent, 1.0)
    while size[1] > 0.5:
        moved = False
        for direction in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            apex = np.array(best[1].apex) + size * direction
            pair = _at_apex(votes, (float(apex[0]), float(apex[1])), _BINS[1])
            if pair[0] > best[0]:
                best, moved = pair, True
        if not moved:
            size = size / 2
    return best


def _at_apex(
    votes: Votes, apex: tuple[float, float], bins: int
) -> tuple[float, Sector]:
    """Return the best sector of an apex, and its score."""
    radius, angle = votes.polar(apex)
    ahead = np.abs(angle) < _WIDEST_RAD
    if not ahead.any():
        return -math.inf, Sector(apex, (-1.0, 1.0), (0.0, 1.0))
    radius, angle, weight = radius[ahead], angle[ahead], votes.votes[ahead]
    limits = [(v.min(), v.max() + 1e-9) for v in (angle, radius)]
    steps = [(high - low) / bins for low, high in limits]
    at = [
        ((v - low) / step).astype(np.intp).clip(0, bins - 1)
        for v, (low, _), step in zip((angle, radius), limits, steps, strict=True)
    ]
    votes_at = np.bincount(at[0] * bins + at[1], weight, bins * bins)
    sums = votes_at.astype(np.float64)
    score, (a0, a1, r0, r1) = _best_rectangle(sums.reshape(bins, bins))
    angles = (limits[0][0] + a0 * steps[0], limits[0][0] + a1 * steps[0])
    radii = (limits[1][0] + r0 * steps[1], limits[1][0] + r1 * steps[1])
    if angles[1] - angles[0] < _NARROWEST_RAD:
        score = -math.inf
    return score, Sector(apex, angles, radii, aspect=votes.aspect)


def _best_rectangle(sums: Floats) -> tuple[float, tuple[int, int, int, int]]:
    """Return the largest sum of a rectangle, and its limits (ends excluded)."""
    count, depth = sums.shape
    total = np.zeros((count + 1, depth + 1))
    total[1:, 1:] = sums.cumsum(0).cumsum(1)
    first, last = np.triu_indices(count + 1, 1)
    along = total[last] - total[first]
    lowest = np.minimum.accumulate(along, axis=1)
    gain = along - lowest
    best = int(gain.argmax())
    pair, end = divmod(best, depth + 1)
    start = int(along[pair, : end + 1].argmin())
    return float(gain.flat[best]), (int(first[pair]), int(last[pair]), start, end)


def mirrored(
    votes: Floats, box: Box, sector: Sector, side: int
) -> tuple[float, Sector] | None:
    """Return the best symmetric sector with one of a sector's edges.

    Its apex lies on that edge, and is tried all along it. A sample of a line counts the
    same wherever it is, and one without tissue hardly counts, as in a shadow.

    Parameters
    ----------
    votes : ndarray, shape (Z, X)
        Of :func:`votes_of`.
    box : (float, float, float, float)
        Where there is tissue.
    sector : Sector
        One of whose edges is right.
    side : {0, 1}
        Left or right.
    """
    angle = sector.angles[side]
    if not _NARROWEST_RAD / 2 < (angle, -angle)[1 - side] < _WIDEST_RAD:
        return None
    votes = np.where(votes > 0, 1.0, np.where(votes < 0, -_SHADOW, 0.0))
    coarse = Votes(_boxed(votes, box, 0.0), 1.0, sector.aspect).coarser(_SIZES[1])
    best: tuple[float, Sector] | None = None
    reach = sector.extent
    for back in np.linspace(-0.6, 0.6, 49) * reach:
        row = sector.apex[0] + back * math.cos(angle)
        column = sector.apex[1] + back * math.sin(angle) / sector.aspect
        pair = _symmetric_at(coarse, (row, column), abs(angle))
        if pair is not None and (best is None or pair[0] > best[0]):
            best = pair
    return best


def _symmetric_at(
    votes: Votes, apex: tuple[float, float], half: float
) -> tuple[float, Sector] | None:
    """Return the best radii of a symmetric sector."""
    radius, angle = votes.polar(apex)
    inside = np.abs(angle) <= half
    if not inside.any():
        return None
    radius, weight = radius[inside], votes.votes[inside]
    low, high = float(radius.min()), float(radius.max()) + 1e-9
    step = (high - low) / _BINS[1]
    at = ((radius - low) / step).astype(np.intp).clip(0, _BINS[1] - 1)
    sums = np.bincount(at, weight / np.maximum(radius, votes.step), _BINS[1])
    total = np.concatenate([[0.0], sums.cumsum()])
    gain = total - np.minimum.accumulate(total)
    end = int(gain.argmax())
    start = int(total[: end + 1].argmin())
    if end <= start:
        return None
    radii = (low + start * step, low + end * step)
    # What of all tissue is explained, not what is gained by more lines.
    return float(gain[end]), Sector(apex, (-half, half), radii, aspect=votes.aspect)


def _boxed(votes: Floats, box: Box, unseen: float) -> Floats:
    """Return the votes within a box."""
    within = np.full_like(votes, unseen)
    top, bottom, left, right = (int(edge) for edge in box)
    part = np.s_[top : bottom + 1, left : right + 1]
    within[part] = votes[part]
    return within
