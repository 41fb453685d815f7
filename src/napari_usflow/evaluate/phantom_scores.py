"""Scores of an image on the targets of a phantom, as the PICMUS challenge takes them.

The challenge (Liebgott et al., IEEE IUS 2016) works on decibels as they are. With
``clip_db`` a frame is first clipped to that many decibels below 0: this is how an input
and a result are compared when a method works on a limited range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.metrics import (
    cnr,
    contrast_db,
    edge_width,
    gcnr,
    speckle_snr,
    width_at_drop,
)
from napari_usflow.io.picmus import Cyst, Phantom, SpeckleRegion
from napari_usflow.ultrasound.data import PixelGrid

__all__ = [
    "CystScores",
    "PointScores",
    "cyst_masks",
    "picmus_contrast",
    "picmus_fwhm",
    "picmus_speckle_level",
    "picmus_speckle_snr",
]

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_FWHM_HALF_WINDOW_MM = 1.8
_AROUND_MM = (1.8, 3.6)
_SPECKLE_STEP = 5


def cyst_masks(
    grid: PixelGrid, cyst: Cyst, lateral_resolution_mm: float
) -> tuple[Mask, Mask]:
    """Pixels inside a cyst and around it, by the rule of the challenge.

    With r the radius and p = 1.1 lateral resolutions: inside d <= r - p; around
    r + p <= d <= 1.2 sqrt((r - p)^2 + (r + p)^2).

    Returns
    -------
    inside, around : ndarray, shape ``grid.shape``, bool
    """
    distance = _distance_mm(grid, cyst.center_mm)
    inner = cyst.diameter_mm / 2 - 1.1 * lateral_resolution_mm
    outer = cyst.diameter_mm / 2 + 1.1 * lateral_resolution_mm
    limit = 1.2 * np.hypot(inner, outer)
    return distance <= inner, (distance >= outer) & (distance <= limit)


@dataclass(frozen=True)
class CystScores:
    """Scores of each cyst, arrays of shape (cysts,); NaN where it is out of the image.

    Attributes
    ----------
    contrast_db, cnr, gcnr : ndarray
        :func:`contrast_db`, :func:`cnr` and :func:`gcnr` inside against around.
    inside_db, around_db : ndarray
        Mean levels.
    edge_mm : ndarray
        :func:`edge_width` of the mean over circles about the centre, in dB.
    """

    contrast_db: npt.NDArray[np.float64]
    cnr: npt.NDArray[np.float64]
    gcnr: npt.NDArray[np.float64]
    inside_db: npt.NDArray[np.float64]
    around_db: npt.NDArray[np.float64]
    edge_mm: npt.NDArray[np.float64]

    def mean(self) -> dict[str, float]:
        """Mean of each score over the cysts that are in the image."""
        return {name: _mean(values) for name, values in vars(self).items()}


def picmus_contrast(
    frame_db: Array, grid: PixelGrid, phantom: Phantom, *, clip_db: float | None = None
) -> CystScores:
    """Score the cysts of a phantom on one frame.

    The challenge rounds each contrast to 0.1 dB before it takes the mean; here nothing
    is rounded.

    Parameters
    ----------
    frame_db : ndarray, shape (Z, X), dB
    grid : PixelGrid
        Where its pixels are.
    phantom : Phantom
        With at least one cyst in the image.
    clip_db : float, optional
        Clip the frame to [-clip_db, 0] first.
    """
    frame = _prepared(frame_db, grid, clip_db)
    rows = []
    for cyst in phantom.cysts:
        masks = cyst_masks(grid, cyst, phantom.lateral_resolution_mm)
        inside, around = (frame[mask] for mask in masks)
        if min(inside.size, around.size) < 2:
            rows.append([np.nan] * 6)
            continue
        rows.append(
            [
                contrast_db(inside, around),
                cnr(inside, around),
                gcnr(inside, around),
                float(inside.mean()),
                float(around.mean()),
                _cyst_edge(frame, grid, cyst),
            ]
        )
    scores = np.array(rows, np.float64).reshape(-1, 6)
    _some_inside(scores, "cyst", phantom)
    return CystScores(*scores.T)


def _cyst_edge(frame: Array, grid: PixelGrid, cyst: Cyst) -> float:
    """10-90 % width of the mean over rings two pixels wide, from r/3 to 5r/3."""
    distance = _distance_mm(grid, cyst.center_mm)
    radius, step = cyst.diameter_mm / 2, 2 * max(grid.spacing_mm)
    edges = np.arange(radius / 3, 5 * radius / 3 + step / 2, step)
    if edges.size < 4:
        return float("nan")
    counts, _ = np.histogram(distance, edges)
    sums, _ = np.histogram(distance, edges, weights=frame)
    if not counts.all():
        return float("nan")
    return edge_width(sums / counts, (edges[1:] + edges[:-1]) / 2)


def picmus_speckle_snr(
    frame_db: Array, grid: PixelGrid, phantom: Phantom, *, clip_db: float | None = None
) -> npt.NDArray[np.float64]:
    """Speckle SNR of each homogeneous region of a phantom.

    Taken on the linear envelope, every fifth pixel both ways as in the challenge's
    test of speckle quality, so that the samples hardly depend on one another.

    Returns
    -------
    ndarray, shape (regions,)
        :func:`speckle_snr`; NaN where a region is out of the image.
    """
    envelope = 10 ** (_prepared(frame_db, grid, clip_db) / 20)
    scores = np.full(len(phantom.speckle_regions), np.nan)
    for i, region in enumerate(phantom.speckle_regions):
        sample = envelope[_block(grid, region)][::_SPECKLE_STEP, ::_SPECKLE_STEP]
        if sample.size > 1:
            scores[i] = speckle_snr(sample)
    _some_inside(scores[:, None], "speckle region", phantom)
    return scores


def picmus_speckle_level(
    frame_db: Array, grid: PixelGrid, phantom: Phantom
) -> tuple[float, float]:
    """Measure level and spread of the homogeneous regions of a phantom.

    Returns
    -------
    mean_db : float
        Over all their pixels.
    std_db : float
        Standard deviation about a plane fitted to each region, which takes out that
        gain and attenuation vary over it; root mean square over the regions.
    """
    frame = _prepared(frame_db, grid, None)
    blocks = [frame[_block(grid, region)] for region in phantom.speckle_regions]
    blocks = [block for block in blocks if min(block.shape) > 2]
    _some_inside(np.zeros((len(blocks), 1)), "speckle region", phantom)
    variances = []
    for block in blocks:
        rows, columns = np.indices(block.shape).reshape(2, -1)
        plane = np.stack([np.ones(block.size), rows, columns], axis=1)
        fitted = plane @ np.linalg.lstsq(plane, block.ravel(), rcond=None)[0]
        variances.append(np.mean((block.ravel() - fitted) ** 2))
    mean = np.mean(np.concatenate([block.ravel() for block in blocks]))
    return float(mean), float(np.sqrt(np.mean(variances)))


def _block(grid: PixelGrid, region: SpeckleRegion) -> tuple[Array, ...]:
    """Index of the pixels of a region."""
    rows, columns = (
        np.abs(axis - center) <= half
        for axis, center, half in zip(
            grid.axes_mm(), region.center_mm, region.half_size_mm, strict=True
        )
    )
    return np.ix_(rows, columns)


@dataclass(frozen=True)
class PointScores:
    """Scores of each point, arrays of shape (points,); NaN where out of the image.

    Attributes
    ----------
    axial_mm, lateral_mm : ndarray
        Widths at -6 dB, :func:`width_at_drop`.
    peak_db : ndarray
        Level of the peak.
    peak_mm : ndarray, shape (points, 2)
        Where the peak is (axial, lateral).
    around_db : ndarray
        Brightest pixel in the ring from 1.8 to 3.6 mm around the peak.
    """

    axial_mm: npt.NDArray[np.float64]
    lateral_mm: npt.NDArray[np.float64]
    peak_db: npt.NDArray[np.float64]
    peak_mm: npt.NDArray[np.float64]
    around_db: npt.NDArray[np.float64]

    def mean(self) -> dict[str, float]:
        """Mean widths and peak level over the points that are in the image."""
        names = ("axial_mm", "lateral_mm", "peak_db")
        return {name: _mean(getattr(self, name)) for name in names}


def picmus_fwhm(
    frame_db: Array, grid: PixelGrid, phantom: Phantom, *, clip_db: float | None = None
) -> PointScores:
    """Measure the points of a phantom on one frame.

    In a window of 1.8 mm to either side of each point's position the maximum is taken;
    the widths are those of the axial and the lateral profile through it.

    Parameters
    ----------
    frame_db, grid, clip_db
        As for :func:`picmus_contrast`.
    phantom : Phantom
        With at least one point in the image.
    """
    frame = _prepared(frame_db, grid, clip_db)
    z_mm, x_mm = grid.axes_mm()
    rows = np.full((len(phantom.points_mm), 6), np.nan)
    for i, (z, x) in enumerate(phantom.points_mm):
        if not (z_mm[0] <= z <= z_mm[-1] and x_mm[0] <= x <= x_mm[-1]):
            continue
        near_z = np.flatnonzero(np.abs(z_mm - z) <= _FWHM_HALF_WINDOW_MM)
        near_x = np.flatnonzero(np.abs(x_mm - x) <= _FWHM_HALF_WINDOW_MM)
        if min(near_z.size, near_x.size) < 2:
            continue
        window = frame[np.ix_(near_z, near_x)]
        k, m = np.unravel_index(int(window.argmax()), window.shape)
        peak_mm = (float(z_mm[near_z[k]]), float(x_mm[near_x[m]]))
        rows[i] = (
            width_at_drop(window[:, m], z_mm[near_z]),
            width_at_drop(window[k], x_mm[near_x]),
            window[k, m],
            *peak_mm,
            _brightest_around(frame, grid, peak_mm),
        )
    _some_inside(rows, "point", phantom)
    axial, lateral, peak, *_, around = rows.T
    return PointScores(axial, lateral, peak, rows[:, 3:5], around)


def _brightest_around(
    frame: Array, grid: PixelGrid, center_mm: tuple[float, float]
) -> float:
    distance, (inner, outer) = _distance_mm(grid, center_mm), _AROUND_MM
    ring = frame[(distance > inner) & (distance <= outer)]
    return float(ring.max()) if ring.size else float("nan")


def _prepared(
    frame_db: Array, grid: PixelGrid, clip_db: float | None
) -> npt.NDArray[np.float64]:
    frame = np.asarray(frame_db, np.float64)
    if frame.shape != tuple(grid.shape):
        raise ValueError(
            f"the frame has shape {frame.shape}, its grid {tuple(grid.shape)}"
        )
    return frame if clip_db is None else np.clip(frame, -clip_db, 0)


def _distance_mm(
    grid: PixelGrid, center_mm: tuple[float, float]
) -> npt.NDArray[np.float64]:
    z_mm, x_mm = grid.axes_mm()
    distance: npt.NDArray[np.float64] = np.hypot(
        z_mm[:, None] - center_mm[0], x_mm[None, :] - center_mm[1]
    )
    return distance


def _mean(scores: Array) -> float:
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if known.size else float("nan")


def _some_inside(scores: Array, target: str, phantom: Phantom) -> None:
    if len(scores) == 0 or np.isnan(scores[:, 0]).all():
        where = phantom.source or phantom.name or "the phantom"
        raise ValueError(f"no {target} of {where} lies in the image")
