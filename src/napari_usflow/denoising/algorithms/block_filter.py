"""Classical filters on block means: what they have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.working_pixel import WorkingPixel, grain_steps
from napari_usflow.parameters import parameter
from napari_usflow.ultrasound.speckle_statistics import gaussian_psf_correlation

__all__ = ["BLOCKS", "BlockFilter", "block_parameter"]

BLOCKS = (None, 1)
"""Search grid of blocks: by the speckle grain, and the image's own pixel."""

_WANTED_GRAIN, _FROM_GRAIN = 0.6, 0.7


def block_parameter() -> Any:
    """Describe the field ``block`` of a classical filter."""
    return parameter(
        None,
        minimum=1,
        maximum=16,
        unit="px",
        help="Side of the blocks whose means are filtered; 1 is the image's own pixel",
        left_out="by the grain of the speckle",
    )


class BlockFilter(Denoiser):
    """A filter with the parameter ``block``; speckle finer than a block is averaged."""

    baseline = True

    def working_pixel(self, noise: Noise) -> WorkingPixel:
        """Return blocks of the given side, or of about one grain."""
        block = self.params.block
        steps = (
            grain_steps(noise.grain, _WANTED_GRAIN, from_=_FROM_GRAIN)
            if block is None
            else (block, block)
        )
        return WorkingPixel(steps, block_mean=True)

    def working_sigma(self, noise: Noise, pixel: WorkingPixel) -> float:
        """Return the standard deviation of the means of blocks.

        The variance of a mean of n correlated pixels is the mean of their correlations.
        """
        axial, lateral = pixel.steps
        rho = gaussian_psf_correlation(
            (axial - 1, lateral - 1), pixel_size_mm=1, sigma_mm=noise.grain
        )
        boxes = [np.ones(n) / n for n in pixel.steps]
        # Pairs of pixels at each lag, as a share of all.
        pairs = np.outer(*(np.convolve(box, box) for box in boxes))
        return noise.sigma * float(np.sqrt((pairs * rho).sum()))
