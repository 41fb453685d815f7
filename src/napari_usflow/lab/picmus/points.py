"""Points of the PICMUS images one by one: a mean hides the point that was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.phantom_scores import picmus_fwhm
from napari_usflow.lab.picmus.scenes import Target, grid_of
from napari_usflow.lab.picmus.scores import PicmusPoint, PicmusScore
from napari_usflow.ultrasound.data import PixelGrid

__all__ = ["BLACK_DB", "LOST_DB", "PointSummary", "point_lines", "summarize"]

Float = npt.NDArray[np.float32]

BLACK_DB = -60.0
"""Surroundings count as no darker than this, the black of the pictures."""

LOST_DB = 6.0
"""A point is lost when its peak is less than this above its surroundings.

Below it there is no width at -6 dB. The surroundings are the brightest pixel of a ring
around the peak, not the mean, which speckle alone exceeds by 6 dB somewhere.
"""


def point_lines(
    line: PicmusScore,
    target: Target,
    frame: Float,
    grid: PixelGrid | None = None,
) -> list[PicmusPoint]:
    """Measure every point of a target in a result.

    Parameters
    ----------
    line : PicmusScore
        Line of the same result in the table of means.
    target : Target
        Input, and the points.
    frame : ndarray, shape (Z, X), dB
        Result.
    grid : PixelGrid, optional
        Where its pixels are; those of the input when None.

    Returns
    -------
    list of PicmusPoint
        Points outside the image are left out.
    """
    inputs, phantom = grid_of(target.image), target.phantom
    before = picmus_fwhm(target.image.data[0], inputs, phantom)
    after = picmus_fwhm(frame, grid or inputs, phantom)
    lines = []
    for i, (z_mm, x_mm) in enumerate(phantom.points_mm):
        if np.isnan(after.peak_db[i] - before.peak_db[i]):
            continue
        above = after.peak_db[i] - np.fmax(after.around_db[i], BLACK_DB)
        lost = bool(above < LOST_DB)
        lines.append(
            PicmusPoint(
                method=line.method,
                prior=line.prior,
                block=line.block,
                scene=line.scene,
                plane_waves=line.plane_waves,
                z_mm=float(z_mm),
                x_mm=float(x_mm),
                peak_db=float(after.peak_db[i] - before.peak_db[i]),
                above_db=float(above),
                lost=lost,
                axial_mm=float("nan") if lost else float(after.axial_mm[i]),
                lateral_mm=float("nan") if lost else float(after.lateral_mm[i]),
                input_axial_mm=float(before.axial_mm[i]),
                input_lateral_mm=float(before.lateral_mm[i]),
            )
        )
    return lines


@dataclass(frozen=True)
class PointSummary:
    """Points of one method on one scene at one number of plane waves.

    Attributes
    ----------
    label, scene : str
    plane_waves : int
    count, lost : int
        Points, and how many of them are lost.
    worst : PicmusPoint
        The point whose peak was dimmed most.
    axial_ratio, lateral_ratio : float
        Width in the result over that in the input, of the point where it differs most;
        NaN when all points are lost.
    """

    label: str
    scene: str
    plane_waves: int
    count: int
    lost: int
    worst: PicmusPoint
    axial_ratio: float
    lateral_ratio: float


def summarize(points: Sequence[PicmusPoint]) -> list[PointSummary]:
    """Summarize points, one line a method, scene and number of plane waves."""
    groups: dict[tuple[str, str, int], list[PicmusPoint]] = {}
    for point in points:
        key = (point.label, point.scene, point.plane_waves)
        groups.setdefault(key, []).append(point)
    return [
        PointSummary(
            *key,
            count=len(group),
            lost=sum(point.lost for point in group),
            worst=min(group, key=lambda point: point.peak_db),
            axial_ratio=_extreme([p.axial_mm / p.input_axial_mm for p in group]),
            lateral_ratio=_extreme([p.lateral_mm / p.input_lateral_mm for p in group]),
        )
        for key, group in groups.items()
    ]


def _extreme(ratios: Sequence[float]) -> float:
    """Return the ratio that is farthest from 1, up or down."""
    known = [ratio for ratio in ratios if ratio == ratio]
    return max(known, key=lambda r: abs(np.log(r)), default=float("nan"))
