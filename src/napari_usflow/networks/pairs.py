"""Training pairs: what a network is shown, and what it should say.

White Gaussian noise on MRI as it is; and speckle on scenes made of it, over a range of
systems: resolution, dynamic range, what a pixel takes of the fine image, noise of the
receiver, grey that is clipped and rounded to 8 bits, graphics. The noise level that the
network is told is off by a fifth (standard deviation), as an estimated one is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_usflow.networks.baseband import (
    mean_log_intensity,
    point_echoes,
    speckle_field,
)
from napari_usflow.networks.configs import MARGIN
from napari_usflow.networks.graphics import draw_graphics
from napari_usflow.networks.scenes import Scenes, draw_scenes
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

__all__ = ["MARGIN", "Pairs", "gaussian_pairs", "speckle_pairs"]

ENVELOPE_MEAN_DB = 0.86
"""By how much the mean of the envelope over a pixel lies above that of the decibels."""

_LOWEST = -0.15

_CERTAIN = 20.0
"""Echoes this far above the mean intensity (13 dB) are no speckle: it exceeds it with a
probability of 2e-9. A network that sees them seldom dims them all the same."""

_TARGET_WEIGHT = 6.0
"""How much such a pixel counts; it is not in doubt, so that no average is shifted."""


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs.

    Attributes
    ----------
    noisy, clean : Tensor, shape (B, 1, S, S)
        Nominally in [0, 1].
    sigma : Tensor, shape (B,)
        Noise level to tell the network.
    weight : Tensor, shape (B, 1, S, S)
        How much the error of a pixel counts.
    """

    noisy: Tensor
    clean: Tensor
    sigma: Tensor
    weight: Tensor


def gaussian_pairs(
    patches: Tensor,
    generator: torch.Generator,
    *,
    lowest: float = 0.02,
    highest: float = 0.5,
) -> Pairs:
    """Add white noise of levels that are drawn evenly in their logarithm.

    Parameters
    ----------
    patches : Tensor, shape (B, S, S)
        In [0, 1].
    generator : torch.Generator
    lowest, highest : float
        Limits of the noise level.
    """
    drawn = torch.rand(len(patches), generator=generator)
    sigma = lowest * (highest / lowest) ** drawn
    noise = torch.randn(patches.shape, generator=generator)
    noisy = patches + sigma[:, None, None] * noise
    told = sigma * _misjudged(len(patches), 0.05, generator)
    clean = patches[:, None]
    return Pairs(noisy[:, None], clean, told, torch.ones_like(clean))


def speckle_pairs(patches: Tensor, generator: torch.Generator) -> Pairs:
    """Make tissue of patches and speckle of it; the target is the mean of the decibels.

    Parameters
    ----------
    patches : Tensor, shape (B, S + 2 MARGIN, S + 2 MARGIN)
        In [0, 1].
    generator : torch.Generator
    """

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(patches), generator=generator)

    def chance(share: float) -> Tensor:
        return uniform(0, 1) < share

    scenes = draw_scenes(patches, generator)
    # 0.09 to 0.44 mm and 0.13 to 0.7 mm at the prior's pixel.
    spread = torch.stack(
        [
            0.2 * (1.0 / 0.2) ** uniform(0, 1),
            0.3 * (1.6 / 0.3) ** uniform(0, 1),
        ],
        dim=1,
    )
    floor = torch.where(chance(0.5), 10 ** (uniform(-80, -45) / 10), 1e-10)
    power = 10 ** (scenes.level_db / 10)
    echoes = _echoes(scenes, spread)
    field = speckle_field(power, spread, echoes, generator=generator)
    receiver = torch.randn((2, *field.shape), generator=generator)
    receiver = receiver * (0.5 * floor).sqrt()[:, None, None]
    envelope = (field + torch.complex(receiver[0], receiver[1])).abs().clamp_min(1e-7)
    downscale = torch.randint(5, (len(patches),), generator=generator)
    noisy_db = _downscaled(envelope, downscale)
    speckle, coherent = power + floor[:, None, None], echoes[:, ::2, ::2].abs().square()
    clean_db = mean_log_intensity(speckle, coherent)
    weight = 1 + (_TARGET_WEIGHT - 1) * (coherent > _CERTAIN * speckle).float()
    # White noise in what is seen; averages have less of it.
    sigma_db = SPECKLE_DB * torch.where(
        downscale == 3, 0.78, torch.where(downscale == 4, 0.71, 1.0)
    )
    span = scenes.dynamic_range_db
    gain_db = uniform(-12, 8)
    # The mean of the envelope lies higher than that of its decibels.
    raised_db = torch.where(downscale == 4, ENVELOPE_MEAN_DB, 0.0)
    noisy = 1 + (noisy_db + gain_db[:, None, None]) / span[:, None, None]
    clean_gain_db = gain_db + raised_db
    clean = 1 + (clean_db + clean_gain_db[:, None, None]) / span[:, None, None]
    eight_bit = chance(0.35)[:, None, None]
    clipped = (noisy.clamp(0, 1) * 255).round() / 255
    noisy = torch.where(eight_bit, clipped, noisy.clamp_min(-0.6))
    clean = torch.where(eight_bit, clean.clamp(0, 1), clean.clamp_min(_LOWEST))
    where, grey = draw_graphics(noisy.shape, generator)
    noisy, clean = torch.where(where, grey, noisy), torch.where(where, grey, clean)
    weight = torch.where(where, 1.0, weight)
    inner = slice(MARGIN, -MARGIN)
    sigma = sigma_db / span * _misjudged(len(patches), 0.2, generator)
    return Pairs(
        noisy[:, None, inner, inner],
        clean[:, None, inner, inner],
        sigma,
        weight[:, None, inner, inner],
    )


def _misjudged(count: int, spread: float, generator: torch.Generator) -> Tensor:
    return torch.exp(spread * torch.randn(count, generator=generator))


def _downscaled(envelope: Tensor, how: Tensor) -> Tensor:
    """Take of the fine image its value (0 to 2), its mean in decibels (3), its mean."""
    decibels = 20 * envelope.log10()
    point = decibels[:, ::2, ::2]
    db_mean = _mean(decibels)
    envelope_mean = 20 * _mean(envelope).log10()
    how = how[:, None, None]
    return torch.where(how == 3, db_mean, torch.where(how == 4, envelope_mean, point))


def _mean(fine: Tensor) -> Tensor:
    """Mean over the area of a pixel around sample 2 i."""
    for axis in (1, 2):
        fine = 0.5 * fine + 0.25 * (fine.roll(1, axis) + fine.roll(-1, axis))
    return fine[:, ::2, ::2]


def _echoes(scenes: Scenes, spread: Tensor) -> Tensor:
    """Echoes of points and interfaces, on the fine grid."""
    shape = scenes.level_db.shape[1], scenes.level_db.shape[2]
    echoes = point_echoes(shape, scenes.positions, scenes.amplitudes, spread)
    z = (torch.arange(2 * shape[0]) / 2)[None, :, None]
    x = (torch.arange(2 * shape[1]) / 2)[None, None]
    for line in scenes.lines.unbind(1):
        middle, slope, bend, centre, half, amplitude = (
            value[:, None, None] for value in line.unbind(1)
        )
        across = x - centre
        depth = middle + slope * across + bend * across**2
        profile = torch.exp(-0.5 * ((z - depth) / spread[:, :1, None]) ** 2)
        inside = torch.sigmoid((half - across.abs()) / spread[:, 1:, None])
        echoes = echoes + amplitude * profile * inside
    return echoes
