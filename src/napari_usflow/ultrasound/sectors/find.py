"""Find the sector of a scan-converted picture or clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.sectors.borders import Borders, judge_borders
from napari_usflow.ultrasound.sectors.evidence import Evidence, evidence_maps
from napari_usflow.ultrasound.sectors.geometry import NO_BOX, Box, Floats, Mask, Sector
from napari_usflow.ultrasound.sectors.refine import refined
from napari_usflow.ultrasound.sectors.search import (
    best_sectors,
    mirrored,
    tissue_box,
    votes_of,
)
from napari_usflow.ultrasound.sectors.shadowed_edge import out_of_shadow

__all__ = ["SURE", "find_sector", "sector_candidate"]

SURE = 0.5
"""Confidence from which a sector is used without being asked for."""

_LEAST_SIDE = 48
# Of a larger picture every second, third, ... row and column is looked at.
_LARGEST_SIDE = 2400
# A sector that goes on this much beyond the tissue is cut there: pixels, share.
_CUT = (4.0, 0.015)
_BESIDE = 8
# Of the longest line: what is near an edge, where the share of tissue is taken.
_NEARBY = 0.06
_LEAST_SHARE = 0.04
_NOTHING = 1e-3
# What a pixel without tissue, perhaps in a shadow, costs a rectangle against one with.
_DARK = (1.0, 0.4, 0.15)
_WIDEST_RAD = math.radians(80.0)
# Angles are the same to the left and to the right; where else an edge is looked for.
_ALIKE_RAD = math.radians(1.0)
_TURNS_RAD = np.radians(np.arange(0.5, 24.0, 0.5))
# Segments that an edge has to gain before it is moved.
_LEAST_GAIN = 2.0
_LEAST_RATE = 0.04
# Support of an edge that is beyond doubt.
_PLAIN = 0.85
# Of what tissue nearby amounts to twice.
_HALO = 0.2


def find_sector(
    image: UltrasoundImage | npt.NDArray[Any], *, least_confidence: float = SURE
) -> Sector | None:
    """Find the sector of a scan-converted picture or clip.

    Parameters
    ----------
    image : UltrasoundImage or array, shape (Z, X) or (T, Z, X)
        Grey or decibels, with one value around the sector. Of a clip, of which a dozen
        frames are read, what moves is tissue, and what stands still text.
    least_confidence : float
        From 0 to 1: sectors that the picture bears out less are not returned.

    Returns
    -------
    Sector or None
        Apex, angles, radii and what cuts the sector, in pixels; the rectangle of a
        linear probe too. None where there is none, or none that is sure enough.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> lines = usf.PolarGrid((200, 90), (10.0, 0.5), (-0.6, 1.2 / 89))
    >>> speckle = 10 * np.log10(np.random.default_rng(0).exponential(size=(200, 90)))
    >>> image = usf.UltrasoundImage(speckle[np.newaxis] - 20, "db", lines)
    >>> sector = usf.find_sector(usf.scan_convert(image))
    >>> sector.kind, np.degrees(sector.angles).round().tolist()
    ('sector', [-34.0, 34.0])
    """
    sector = sector_candidate(image)
    return None if sector is None or sector.confidence < least_confidence else sector


def sector_candidate(image: UltrasoundImage | npt.NDArray[Any]) -> Sector | None:
    """Return the best sector of an image, however sure; see :func:`find_sector`."""
    if isinstance(image, UltrasoundImage) and isinstance(image.grid, PolarGrid):
        return None
    stack, aspect = _stack(image)
    if min(stack.shape[1:]) < _LEAST_SIDE:
        return None
    step = -(-max(stack.shape[1:]) // _LARGEST_SIDE)
    best = _best_of(list(evidence_maps(stack[:, ::step, ::step])), aspect)
    return None if best is None else best.enlarged(step)


def _best_of(maps: Sequence[Evidence], aspect: float) -> Sector | None:
    best: Sector | None = None
    for moves in (True, False):
        alike = [evidence for evidence in maps if evidence.moves == moves]
        for start in alike[1::-1]:
            sector = _found(start, alike, aspect)
            if sector is not None and (
                best is None or sector.confidence > best.confidence + 0.05
            ):
                best = sector
            if best is not None and best.confidence > 0.75:
                return best
    return best


def _stack(image: UltrasoundImage | npt.NDArray[Any]) -> tuple[Any, float]:
    if isinstance(image, UltrasoundImage):
        assert isinstance(image.grid, PixelGrid)
        axial, lateral = image.grid.spacing_mm
        return image.data, lateral / axial
    array = image if hasattr(image, "dask") else np.asarray(image)
    return (array[np.newaxis] if array.ndim == 2 else array), 1.0


def _found(
    evidence: Evidence, maps: Sequence[Evidence], aspect: float
) -> Sector | None:
    """Return the sector of a map, its edges those of the map that shows them best."""
    box = tissue_box(evidence)
    if box is None or min(box[1] - box[0], box[3] - box[2]) < _LEAST_SIDE // 2:
        return None
    votes = votes_of(evidence)
    rectangle = _best_rectangle(evidence, votes, box, aspect)
    sectors = [] if rectangle is None else [rectangle]
    if rectangle is None or _borders(evidence, rectangle).weakest < _PLAIN:
        fan = _fan(evidence, votes, box, aspect)
        evidence = max(maps, key=lambda other: _contrast(other, fan))
        sectors.append(_sharpened(evidence, fan, box))
    if not sectors:
        return None
    rated = [(_borders(evidence, s), s) for s in sectors]
    if len(rated) > 1:
        # A rectangle needs no more than four numbers.
        much = rated[1][0].rate > rated[0][0].rate + _LEAST_RATE
        rated = rated[1:] if much else rated[:1]
    borders, sector = rated[0]
    return replace(sector, confidence=borders.confidence)


def _best_rectangle(
    evidence: Evidence, votes: Floats, box: Box, aspect: float
) -> Sector | None:
    """Return the rectangle whose edges the picture bears out best."""
    rated = []
    for cost in _DARK:
        costs = np.where(votes > 0, 1.0, np.where(votes < 0, -cost, 0.0))
        rectangle = _rectangle(costs, box, aspect)
        if rectangle is not None:
            sharp, _ = _balanced(evidence, rectangle)
            rectangle = _rectangle(sharp, rectangle.box, aspect) or rectangle
            rated.append((_borders(evidence, rectangle).total(), rectangle))
    return max(rated, key=lambda pair: pair[0])[1] if rated else None


def _fan(evidence: Evidence, votes: Floats, box: Box, aspect: float) -> Sector:
    """Return the best fan, or the best symmetric one where a shadow hides an edge."""
    first = best_sectors(votes, box, aspect)[0][1]
    seen = _seen(first, box, votes.shape)
    free = refined(votes, first, seen, (6.0, 2.5))
    fans = [free]
    borders = judge_borders(evidence.tissue, evidence.judged, free)
    for side, other in ((0, borders.right), (1, borders.left)):
        pair = None if other.support > _PLAIN else mirrored(votes, box, free, side)
        if pair is not None:
            fans.append(refined(votes, pair[1], seen, (2.5,), symmetric=True))
    rated = []
    for fan in fans:
        fan = replace(fan, box=_cutting(fan, box))
        borders = judge_borders(evidence.tissue, evidence.judged, fan)
        rated.append((borders.total() + (0 if fan.angles == free.angles else 2), fan))
    return max(rated, key=lambda pair: pair[0])[1]


def _sharpened(evidence: Evidence, sector: Sector, box: Box) -> Sector:
    """Refine a fan, with the straight edges that cut it."""
    shape = evidence.tissue.shape
    whole: Sector | None = None
    for number, ramps in enumerate(((2.5,), (2.5, 1.0), (1.0, 0.4))):
        sector = replace(sector, box=_cutting(sector, box))
        votes, crisp = _balanced(evidence, sector)
        symmetric = whole is not None
        if number > 0 and whole is None:
            whole = out_of_shadow(crisp, evidence.judged, sector)
            sector = whole or _widened(crisp, evidence.judged, sector)
            judged = judge_borders(crisp, evidence.judged, sector)
            symmetric = abs(sum(sector.angles)) < _ALIKE_RAD and any(
                border.silent > 0.2 * border.seen for border in judged.sides
            )
        if whole is not None:
            # What is dark within the fan, as the shadow is, says nothing.
            votes = np.where(sector.mask(shape), votes.clip(0.0), votes)
        box = _moved(votes, sector, box)
        seen = _seen(sector, box, shape)
        sector = refined(votes, sector, seen, ramps, symmetric=symmetric)
    return replace(sector, box=_cutting(sector, box))


def _widened(tissue: Mask, judged: Mask, sector: Sector) -> Sector:
    """Move an edge out to where the picture bears it out better, beyond a shadow."""
    best = sector
    most = judge_borders(tissue, judged, sector).total() + _LEAST_GAIN
    for side, sign in ((0, -1.0), (1, 1.0)):
        mirror = -sector.angles[1 - side]
        turns = sector.angles[side] + sign * _TURNS_RAD
        # Most fans are symmetric.
        for angle, bonus in ((mirror, _LEAST_GAIN), *((float(t), 0.0) for t in turns)):
            if not 0 < sign * (angle - sector.angles[side]) < _TURNS_RAD[-1]:
                continue
            if abs(angle) > _WIDEST_RAD:
                continue
            angles = list(sector.angles)
            angles[side] = angle
            wider = replace(sector, angles=(angles[0], angles[1]))
            total = judge_borders(tissue, judged, wider).total() + bonus
            if total > most:
                best, most = wider, total
    return best


def _seen(sector: Sector, box: Box, shape: Sequence[int]) -> Box:
    """Return where pixels have a vote: not beyond an edge that cuts the sector."""
    whole = (0.0, shape[0] - 1.0, 0.0, shape[1] - 1.0)
    cut = _cutting(sector, box)
    top, bottom, left, right = (
        edge if math.isfinite(edge) else far
        for edge, far in zip(cut, whole, strict=True)
    )
    return top, bottom, left, right


def _cutting(sector: Sector, box: Box) -> Box:
    """Return the edges of the box beyond which the sector would go on."""
    outline = replace(sector, box=NO_BOX).outline()
    low, high = outline.min(0), outline.max(0)
    (top, bottom, left, right) = box
    beyond = max(_CUT[0], _CUT[1] * sector.extent)
    return (
        top if low[0] < top - beyond else -math.inf,
        bottom if high[0] > bottom + beyond else math.inf,
        left if low[1] < left - beyond else -math.inf,
        right if high[1] > right + beyond else math.inf,
    )


def _moved(votes: Floats, sector: Sector, box: Box) -> Box:
    """Move the box to where the votes within the sector begin and end."""
    inside = np.where(replace(sector, box=NO_BOX).mask(votes.shape), votes, 0.0)
    rows = _best_run(inside[:, max(0, int(box[2])) : int(box[3]) + 1].sum(1))
    columns = _best_run(inside[rows[0] : rows[1] + 1].sum(0))
    return (*rows, *columns)


def _best_run(votes: Floats) -> tuple[int, int]:
    """Return first and last index of the run of the largest sum."""
    total = np.concatenate([[0.0], votes.cumsum()])
    gain = total - np.minimum.accumulate(total)
    end = int(gain.argmax())
    start = int(total[: end + 1].argmin())
    return start, max(start, end - 1)


def _rectangle(votes: Floats, box: Box, aspect: float) -> Sector | None:
    """Return the best rectangle, as of a linear probe."""
    top, bottom, left, right = (int(edge) for edge in box)
    for _ in range(3):
        top, bottom = _best_run(votes[:, left : right + 1].sum(1))
        left, right = _best_run(votes[top : bottom + 1].sum(0))
    if min(bottom - top, right - left) < _LEAST_SIDE // 2:
        return None
    return replace(Sector.linear((top, bottom), (left, right)), aspect=aspect)


def _balanced(evidence: Evidence, sector: Sector) -> tuple[Floats, Mask]:
    """Return votes that are as strong inside of an edge as outside, wherever it is.

    Otherwise a ramp would lie to one side of the edge. Where there is hardly any tissue
    inside, as in a shadow, a pixel says nothing about the edge. Also return the tissue
    without the halo of a codec, which is fainter than the tissue beside it.
    """
    from scipy.ndimage import uniform_filter

    mask = (sector.mask(evidence.tissue.shape) & evidence.judged).astype(np.float32)
    size = max(9, round(_NEARBY * sector.extent))
    counted = np.maximum(uniform_filter(mask, size), _NOTHING)
    usual = uniform_filter(mask * evidence.amount, size) / counted
    share = np.minimum(evidence.amount / np.maximum(2 * usual, 1e-6), 1.0)
    inside = uniform_filter(mask * share, size) / counted
    votes = share - np.maximum(inside / 2, _LEAST_SHARE)
    # Far away nothing is usual.
    votes[counted <= _NOTHING] = -0.5
    votes[~evidence.judged] = 0.0
    return np.asarray(votes, np.float64), evidence.tissue & (share > _HALO)


def _beside(evidence: Evidence, sector: Sector) -> tuple[float, float]:
    """Return the shares of tissue just inside of the sector's edges and outside."""
    from scipy.ndimage import binary_dilation, binary_erosion

    mask = sector.mask(evidence.tissue.shape)
    inside = mask & ~binary_erosion(mask, iterations=_BESIDE, border_value=1)
    outside = binary_dilation(mask, iterations=_BESIDE) & ~mask
    shares = [
        float(evidence.tissue[part & evidence.judged].mean())
        if (part & evidence.judged).any()
        else 0.0
        for part in (inside, outside)
    ]
    return shares[0], shares[1]


def _contrast(evidence: Evidence, sector: Sector) -> float:
    inside, outside = _beside(evidence, sector)
    return inside - outside


def _borders(evidence: Evidence, sector: Sector) -> Borders:
    """Judge the edges of a sector, the halo of a codec left out."""
    _, crisp = _balanced(evidence, sector)
    return judge_borders(crisp, evidence.judged, sector)
