"""The pixel that a method works at, and the way there and back.

Networks know any grain and work at the image's own pixel. A method that takes noise for
white works where the grain is about a pixel wide, and a classical filter may work on
block means. The frame is then sampled with a coarser pixel at every sub-pixel shift,
each sampled frame is denoised, interpolated linearly to the frame's own grid, and the
results are averaged. The interpolation kernel has zeros at all frequencies at which the
shifts repeat, so that the average has no lattice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_usflow.denoising.array_types import Frame, Grain
from napari_usflow.denoising.noise_estimation import Noise

__all__ = ["WorkingPixel", "detail_returned", "grain_steps"]

_KEPT_FROM, _KEPT_WHOLE = 3.5, 4.5
"""Standard deviations of the smoothed residual between which it turns from speckle
into detail. Of Gaussian noise one pixel in 4,000 is above the first of them."""

_NEIGHBOURHOOD = 12
"""Grains (standard deviations of the point-spread function) from side to side."""


@dataclass(frozen=True)
class WorkingPixel:
    """A coarser pixel.

    Attributes
    ----------
    steps : (int, int)
        The frame's pixels (axial, lateral) in one of it.
    block_mean : bool
        Whether it takes the mean of them, or the value of one.
    """

    steps: tuple[int, int] = (1, 1)
    block_mean: bool = False

    @property
    def own(self) -> bool:
        """Whether it is the frame's own pixel."""
        return self.steps == (1, 1)

    def within(self, shape: Sequence[int]) -> WorkingPixel:
        """Return the pixel that a frame of this shape has room for."""
        rows, columns = (
            max(1, min(step, size // 8))
            for step, size in zip(self.steps, shape, strict=True)
        )
        return WorkingPixel((rows, columns), self.block_mean)

    def sampled(self, frame: Frame) -> list[Frame]:
        """Sample a frame (Z, X) at every shift; row shifts change slowest."""
        from scipy.ndimage import uniform_filter

        rows, columns = self.steps
        if self.block_mean and not self.own:
            frame = uniform_filter(frame, self.steps, mode="nearest")
        return [
            np.ascontiguousarray(frame[i::rows, j::columns])
            for i in range(rows)
            for j in range(columns)
        ]

    def averaged(self, frames: Sequence[Frame], shape: Sequence[int]) -> Frame:
        """Interpolate sampled frames to the frame's own grid and average them.

        Linear interpolation of all shifts and the average over them are together one
        convolution with a triangle. Blocks of even sides are centred between pixels.
        """
        from scipy.ndimage import convolve1d

        rows, columns = self.steps
        result = np.empty(tuple(shape), np.float32)
        for number, frame in enumerate(frames):
            result[number // columns :: rows, number % columns :: columns] = frame
        for axis, step in enumerate(self.steps):
            if step > 1:
                between = 0.5 if self.block_mean and step % 2 == 0 else 0.0
                distance = np.abs(np.arange(-step, step + 1) + between)
                triangle = np.maximum(1 - distance / step, 0) / step
                result = convolve1d(result, triangle, axis=axis, mode="nearest")
        return result


def detail_returned(noisy: Frame, clean: Frame, noise: Noise) -> Frame:
    """Add the residual where it is too strong for speckle.

    The residual is smoothed over a grain and compared with its own spread: that of the
    frame, or of the neighbourhood where it is larger. Below 3.5 spreads nothing is
    added, above 4.5 all of it. Points get their level and their resolution back.

    Parameters
    ----------
    noisy, clean : ndarray, shape (Z, X), float32
    noise : Noise
        Of the frame.

    Returns
    -------
    ndarray, shape (Z, X), float32
    """
    from scipy.ndimage import gaussian_filter, median_filter

    residual = noisy - clean
    smooth = gaussian_filter(residual, noise.grain, mode="nearest")
    size = [int(_NEIGHBOURHOOD * grain) | 1 for grain in noise.grain]
    around = median_filter(np.abs(smooth), size, mode="nearest")
    deviation = np.maximum(around, np.median(np.abs(smooth)))
    spread = np.maximum(deviation / 0.6745, 1e-6)
    # Only brighter than the surroundings: the darkest nulls are speckle.
    ramp = (smooth / spread - _KEPT_FROM) / (_KEPT_WHOLE - _KEPT_FROM)
    ramp = np.clip(ramp, 0, 1)
    share = ramp * ramp * (3 - 2 * ramp)
    return np.asarray(clean + share * residual, np.float32)


def grain_steps(grain: Grain, wanted: float, *, from_: float) -> tuple[int, int]:
    """Return how many pixels make a grain of ``wanted`` pixels, axis by axis.

    Parameters
    ----------
    grain : (float, float)
        Of the frame, see :class:`~napari_usflow.denoising.noise_estimation.Noise`.
    wanted : float
        Standard deviation of the point-spread function in pixels after sampling.
    from_ : float
        A finer grain than this is left as it is, a wider one has at least two.
    """
    axial, lateral = (
        1 if width < from_ else max(2, round(width / wanted)) for width in grain
    )
    return axial, lateral
