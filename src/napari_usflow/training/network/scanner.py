"""Scanner processing between the detected echo and the picture.

Grey map, smoothing, edge enhancement, scan conversion, JPEG blocks. Each step but the
last is applied to the noisy picture and, as its mean over the speckle, to the target:
the target is what the scanner would show on average, so that a result keeps the grey
level of every region. All these steps but the grey map are linear and commute with the
mean; the mean of the grey map is taken over quantiles of the decibels of L-look
speckle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "MOST_LOOKS",
    "GreyMap",
    "compressed",
    "filtered",
    "scan_converted",
]

MOST_LOOKS = 8
LOWEST = -1.0
"""Decibels this many dynamic ranges below black are not distinguished."""

_QUANTILES = 10

# Luminance table of the JPEG standard (ITU-T T.81, table K.1).
_JPEG = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float32,
)


@dataclass(frozen=True)
class GreyMap:
    """The map from decibels to grey, one for each image of a batch.

    Attributes
    ----------
    gain_db, span_db : Tensor, shape (B, 1, 1)
        White lies at -gain, black one span below.
    power, bend : Tensor, shape (B, 1, 1)
        Of the curve: ``u**power``, and the share of an S.
    display : Tensor, shape (B, 1, 1), bool
        Whether the image is clipped to black and white and has a curve. Otherwise it
        stays linear in decibels.
    """

    gain_db: Tensor
    span_db: Tensor
    power: Tensor
    bend: Tensor
    display: Tensor

    def __call__(self, decibels: Tensor) -> Tensor:
        """Map decibels (B, Z, X) to grey, nominally in [0, 1]."""
        unit = 1 + (decibels + self.gain_db) / self.span_db
        grey = unit.clamp(1e-6, 1).pow(self.power)
        grey = grey + self.bend * grey * (1 - grey) * (2 * grey - 1)
        return torch.where(self.display, grey, unit.clamp_min(LOWEST))

    def mean(self, mean_db: Tensor, echo_ratio: Tensor, looks: Tensor) -> Tensor:
        """Return the mean grey of speckle.

        Parameters
        ----------
        mean_db : Tensor, shape (B, Z, X)
            Mean of the decibels.
        echo_ratio : Tensor, shape (B, Z, X)
            Intensity of a coherent echo over that of the speckle. It narrows the
            distribution; for one look the variance of ln I falls from pi^2 / 6 to
            2 / ratio.
        looks : Tensor, shape (B,), int
        """
        grey = self(mean_db)
        shown = self.display.flatten().nonzero()[:, 0]
        if len(shown) == 0:
            return grey
        part = GreyMap(
            *(
                value[shown]
                for value in (
                    self.gain_db,
                    self.span_db,
                    self.power,
                    self.bend,
                    self.display,
                )
            )
        )
        narrow = (1 + (math.pi**2 / 12) * echo_ratio[shown]).rsqrt()
        quantiles = _quantiles_db()[looks[shown] - 1]
        total = sum(
            part(mean_db[shown] + narrow * quantiles[:, k, None, None])
            for k in range(_QUANTILES)
        )
        grey[shown] = total / _QUANTILES
        return grey


@lru_cache(maxsize=1)
def _quantiles_db() -> Tensor:
    """Return quantiles of L-look speckle in decibels, of mean 0: (looks, quantiles)."""
    from scipy.stats import gamma

    levels = (torch.arange(_QUANTILES) + 0.5) / _QUANTILES
    rows = []
    for looks in range(1, MOST_LOOKS + 1):
        decibels = torch.tensor(gamma.ppf(levels.numpy(), looks)).log10() * 10
        rows.append(decibels - decibels.mean())
    return torch.stack(rows).float()


def filtered(images: Tensor, smoothing: Tensor, enhancement: Tensor) -> Tensor:
    """Smooth with a Gaussian, then enhance edges by unsharp masking.

    Parameters
    ----------
    images : Tensor, shape (C, B, Z, X)
    smoothing : Tensor, shape (B, 2)
        Standard deviations (axial, lateral) in pixels, 0 for none.
    enhancement : Tensor, shape (B,)
        Share of the detail that is added, 0 for none.
    """
    smooth = images
    for axis in (0, 1):
        smooth = _gaussian(smooth, smoothing[:, axis], axis)
    if not enhancement.any():
        return smooth
    blurred, width = smooth, torch.full_like(enhancement, 1.5)
    for axis in (0, 1):
        blurred = _gaussian(blurred, width, axis)
    return smooth + enhancement[:, None, None] * (smooth - blurred)


def _gaussian(images: Tensor, sigma: Tensor, axis: int) -> Tensor:
    """Convolve each image of the batch with its own Gaussian along one axis."""
    if not sigma.any():
        return images
    count, reach = images.shape[1], 4
    taps = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (taps / sigma.clamp_min(1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    shape = (count, 1, -1, 1) if axis == 0 else (count, 1, 1, 2 * reach + 1)
    padding = (0, 0, reach, reach) if axis == 0 else (reach, reach, 0, 0)
    padded = functional.pad(images, padding, mode="reflect")
    return functional.conv2d(padded, kernel.view(shape), groups=count)


def scan_converted(
    images: Tensor, geometry: Tensor, chosen: Tensor, display: Tensor
) -> Tensor:
    """Interpolate images on lines of a sector at the pixels of a picture.

    Parameters
    ----------
    images : Tensor, shape (C, B, Z, X)
        Samples along lines (axial) by lines (lateral).
    geometry : Tensor, shape (B, 4)
        Distance of the apex in pixels, direction of the middle in rad, pixels a line
        at the middle, pixels a sample.
    chosen, display : Tensor, shape (B,), bool
        Which images; and which of them are black outside of the sector. The others are
        mirrored there.
    """
    index = chosen.nonzero()[:, 0]
    if len(index) == 0:
        return images
    rows, columns = images.shape[-2:]
    apex, turn, lateral, axial = (
        value[:, None, None] for value in geometry[index].unbind(1)
    )
    z = torch.arange(rows)[None, :, None] - rows / 2 + apex * turn.cos()
    x = torch.arange(columns)[None, None] - columns / 2 + apex * turn.sin()
    sample = ((z**2 + x**2).sqrt() - apex) / axial
    line = (torch.atan2(x, z) - turn) * apex / lateral
    grid = torch.stack([2 * line / columns, 2 * sample / rows], dim=-1)
    stacked = images[:, index].transpose(0, 1)
    mirrored, black = (
        functional.grid_sample(stacked, grid, padding_mode=mode, align_corners=False)
        for mode in ("reflection", "zeros")
    )
    mirrored_black = torch.where(display[index, None, None, None], black, mirrored)
    result = images.clone()
    result[:, index] = mirrored_black.transpose(0, 1)
    return result


def compressed(images: Tensor, quality: Tensor, chosen: Tensor) -> Tensor:
    """Pass images through the transform and quantisation of JPEG.

    Parameters
    ----------
    images : Tensor, shape (B, Z, X)
        In [0, 1]; sides are multiples of 8.
    quality : Tensor, shape (B,)
        From 1 to 100, as libjpeg counts it.
    chosen : Tensor, shape (B,), bool
    """
    index = chosen.nonzero()[:, 0]
    if len(index) == 0:
        return images
    rows, columns = images.shape[-2:]
    transform = _cosines()
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[index] / 100
    table = (_JPEG * scale[:, None, None]).round().clamp(1, 255) / 255
    blocks = images[index].view(-1, rows // 8, 8, columns // 8, 8)
    blocks = blocks.permute(0, 1, 3, 2, 4)
    spectrum = transform @ blocks @ transform.T
    table = table[:, None, None]
    spectrum = (spectrum / table).round() * table
    blocks = (transform.T @ spectrum @ transform).permute(0, 1, 3, 2, 4)
    result = images.clone()
    result[index] = blocks.reshape(-1, rows, columns).clamp(0, 1)
    return result


@lru_cache(maxsize=1)
def _cosines() -> Tensor:
    """Return the orthonormal cosine transform of 8 samples."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    matrix = 0.5 * torch.cos(math.pi * k * (2 * n + 1) / 16)
    matrix[0] /= math.sqrt(2)
    return matrix
