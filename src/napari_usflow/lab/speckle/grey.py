"""Whether homogeneous regions of 8-bit pictures keep their grey.

A result is compared with its input: the mean of a region must stay what it was. It is
not compared with the clean picture, because the mean of the speckle in 5 mm scatters
about it (by 2.8 grey levels rms with one look, 1.2 with eight), and no method can know
by how much. The clean grey is given beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "DARK",
    "REGION_MM",
    "GreyRegion",
    "GreySummary",
    "homogeneous_regions",
    "region_greys",
    "summarize",
]

Array = npt.NDArray[np.floating]
Region = tuple[slice, slice]

WHITE = 255.0
REGION_MM = 5.0
LARGEST_SPREAD = 10.0
"""Largest standard deviation of the clean picture in a homogeneous region, in grey
levels; speckle of one look has about 24.
"""

DARK = 51.0
"""A region is near black when its clean grey is below this, a fifth of white."""


@dataclass(frozen=True)
class GreyRegion:
    """Mean greys of one region, 0 black to 255 white.

    Attributes
    ----------
    method, anatomy, kind : str
        As in :class:`~napari_usflow.lab.speckle.fine.FineScore`.
    crop : int
        Which of the crops.
    z_mm, x_mm : float
        Centre in the picture.
    clean, input, result : float
    """

    method: str
    anatomy: str
    kind: str
    crop: int
    z_mm: float
    x_mm: float
    clean: float
    input: float
    result: float

    @property
    def change(self) -> float:
        """Grey levels by which the result lies above the input."""
        return self.result - self.input


@dataclass(frozen=True)
class GreySummary:
    """Changes of the grey of regions, in grey levels; NaN without a region.

    Attributes
    ----------
    regions : int
    mean : float
        Of the magnitudes.
    worst, dark_worst : float
        The change of the largest magnitude, of all regions and of those near black.
    """

    regions: int
    mean: float
    worst: float
    dark_worst: float


def homogeneous_regions(clean: Array, pixel_mm: float) -> list[Region]:
    """Find squares of 5 mm in which a picture hardly varies.

    Parameters
    ----------
    clean : ndarray, shape (Z, X), grey, 0 to 1
    pixel_mm : float

    Returns
    -------
    list of (slice, slice)
        They do not overlap; the most homogeneous first.
    """
    side = round(REGION_MM / pixel_mm)
    if side > min(clean.shape):
        return []
    windows = np.lib.stride_tricks.sliding_window_view(WHITE * clean, (side, side))
    spread = windows.std(axis=(2, 3), dtype=np.float64)
    regions = []
    while spread.min() <= LARGEST_SPREAD:
        row, column = map(int, np.unravel_index(int(spread.argmin()), spread.shape))
        regions.append((slice(row, row + side), slice(column, column + side)))
        rows = slice(max(row - side + 1, 0), row + side)
        spread[rows, max(column - side + 1, 0) : column + side] = np.inf
    return regions


def region_greys(
    clean: Array, noisy: Array, results: Array, pixel_mm: float, names: Sequence[str]
) -> list[GreyRegion]:
    """Measure the homogeneous regions of pictures.

    Parameters
    ----------
    clean, noisy, results : ndarray, shape (N, Z, X), grey, 0 to 1
        Results are clipped to black and white, as they are when they are exported.
    pixel_mm : float
    names : sequence of str
        Method, anatomy and kind.
    """
    method, anatomy, kind = names
    regions = []
    for crop, truth in enumerate(clean):
        for region in homogeneous_regions(truth, pixel_mm):
            z, x = ((side.start + side.stop - 1) / 2 * pixel_mm for side in region)
            pictures = (truth, noisy[crop], np.clip(results[crop], 0, 1))
            greys = [float(WHITE * picture[region].mean()) for picture in pictures]
            regions.append(GreyRegion(method, anatomy, kind, crop, z, x, *greys))
    return regions


def summarize(regions: Sequence[GreyRegion]) -> GreySummary:
    """Return the mean change and the worst one."""
    changes = [region.change for region in regions]
    dark = [region.change for region in regions if region.clean < DARK]
    nan = float("nan")
    return GreySummary(
        len(regions),
        float(np.mean(np.abs(changes))) if changes else nan,
        max(changes, key=abs, default=nan),
        max(dark, key=abs, default=nan),
    )
