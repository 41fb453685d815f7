"""The fine grid on which the echo of scatterers is simulated."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi

import numpy as np
import numpy.typing as npt

__all__ = [
    "MAX_SAMPLES",
    "PAD_SIGMAS",
    "PERIOD_SAMPLES",
    "SIGMA_SAMPLES",
    "FineGrid",
    "PointSpread",
    "fine_grid",
]

PERIOD_SAMPLES = 8
"""Axial samples in a period of the carrier, at least. Below four the envelope is
aliased, which shows in the correlation of the speckle but not in its distribution."""

SIGMA_SAMPLES = 2.5
"""Samples in a standard deviation of the point-spread function, along either axis."""

PAD_SIGMAS = 5.0
"""Where the point-spread function is cut off: at -108 dB."""

MAX_SAMPLES = 2**30
"""Largest number of fine samples of a frame; it would take minutes."""

_STRIP_SAMPLES = 2**21
_MAX_STRIP_SAMPLES = 2**25


@dataclass(frozen=True)
class PointSpread:
    """h(z, l) = sin(2 pi z / period) exp(-z^2 / 2 sa^2 - l^2 / 2 sl^2), in mm."""

    period_mm: float
    sigma_axial_mm: float
    sigma_lateral_mm: float


@dataclass(frozen=True)
class FineGrid:
    """A grid with a sample on the centre of every pixel, and samples between them.

    Attributes
    ----------
    psf : PointSpread
        The point-spread function that it is made for.
    shape : (int, int)
        Pixels (axial, lateral).
    steps : (int, int)
        Fine samples from one pixel to the next.
    spacing_mm : (float, float)
        Distance between fine samples.
    reach : (int, int)
        Fine samples after which the point-spread function has ended.
    """

    psf: PointSpread
    shape: tuple[int, int]
    steps: tuple[int, int]
    spacing_mm: tuple[float, float]
    reach: tuple[int, int]

    @property
    def margin(self) -> tuple[int, int]:
        """Fine samples needed beyond the centre of an outermost pixel."""
        axial, lateral = (
            r + n // 2 for r, n in zip(self.reach, self.steps, strict=True)
        )
        return axial, lateral

    def samples(self, pixels: int, axis: int) -> int:
        """Fine samples that so many neighbouring pixels need, with both margins."""
        return (pixels - 1) * self.steps[axis] + 1 + 2 * self.margin[axis]

    def strip_width(self) -> int:
        """Columns of pixels that are simulated at a time."""
        # Margins are simulated twice: at most as much again as what is kept.
        lines = max(
            _STRIP_SAMPLES // self.samples(self.shape[0], 0), 4 * self.margin[1]
        )
        width = (lines - 2 * self.margin[1] - 1) // self.steps[1] + 1
        return int(np.clip(width, 1, self.shape[1]))

    def axial_psf(self) -> npt.NDArray[np.float64]:
        """Sample the point-spread function in depth, its centre in the middle."""
        z = np.arange(-self.reach[0], self.reach[0] + 1) * self.spacing_mm[0]
        bell = np.exp(-((z / self.psf.sigma_axial_mm) ** 2) / 2)
        return np.asarray(np.sin(2 * pi * z / self.psf.period_mm) * bell)

    def lateral_psf(self) -> npt.NDArray[np.float64]:
        """Sample the point-spread function across, its centre in the middle."""
        x = np.arange(-self.reach[1], self.reach[1] + 1) * self.spacing_mm[1]
        return np.asarray(np.exp(-((x / self.psf.sigma_lateral_mm) ** 2) / 2))


def fine_grid(
    shape: tuple[int, int], pixel_mm: tuple[float, float], psf: PointSpread
) -> FineGrid:
    """Choose the fine grid for pixels of a given size.

    Raises
    ------
    ValueError
        When there are no pixels, or it would have more than :data:`MAX_SAMPLES`.
    """
    if min(shape) < 1:
        raise ValueError(f"the picture is empty (shape {shape})")
    axial = max(PERIOD_SAMPLES / psf.period_mm, SIGMA_SAMPLES / psf.sigma_axial_mm)
    lateral = SIGMA_SAMPLES / psf.sigma_lateral_mm
    sizes, per_mm = pixel_mm, (axial, lateral)
    steps = [max(1, ceil(s * n - 1e-9)) for s, n in zip(sizes, per_mm, strict=True)]
    spacing = [s / n for s, n in zip(sizes, steps, strict=True)]
    sigmas = (psf.sigma_axial_mm, psf.sigma_lateral_mm)
    reach = [ceil(PAD_SIGMAS * s / d) for s, d in zip(sigmas, spacing, strict=True)]
    grid = FineGrid(
        psf,
        shape,
        (steps[0], steps[1]),
        (spacing[0], spacing[1]),
        (reach[0], reach[1]),
    )
    deep = grid.samples(shape[0], 0)
    strip = deep * grid.samples(grid.strip_width(), 1)
    if deep * grid.samples(shape[1], 1) > MAX_SAMPLES or strip > _MAX_STRIP_SAMPLES:
        raise ValueError(
            f"{shape[0]} x {shape[1]} pixels of {pixel_mm[0]:g} x {pixel_mm[1]:g} mm "
            f"need {deep:,} x {grid.samples(shape[1], 1):,} samples for a carrier of "
            f"{psf.period_mm:.3g} mm, which is too many; crop the picture, or give its "
            "true pixel size"
        )
    return grid
