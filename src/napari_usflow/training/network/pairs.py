"""Training pairs: what a network is shown, and what it should answer.

Speckle on scenes made of enlarged MRI, at the image's own pixel: the grain is drawn for
each axis, one to eight looks are averaged, and the scanner's processing is applied. The
target is the mean of the shown picture over the speckle; the level of a point or an
interface is part of it, its blur by the point-spread function too, while tissue is
shown without that blur. Other pairs have white Gaussian noise. The noise level is told
for some pairs only, and then is off by a fifth (standard deviation), as an estimate is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_usflow.training.network.configs import MARGIN
from napari_usflow.training.network.overlay_graphics import draw_graphics
from napari_usflow.training.network.scanner import (
    MOST_LOOKS,
    GreyMap,
    compressed,
    filtered,
    scan_converted,
)
from napari_usflow.training.network.scenes import Scenes, draw_scenes
from napari_usflow.training.network.speckle_synthesis import (
    mean_log_intensity,
    point_echoes,
    speckle_field,
)
from napari_usflow.training.network.tissue import enlarged

__all__ = ["MARGIN", "Pairs", "gaussian_pairs", "speckle_pairs"]

FINEST_GRAIN, COARSEST_GRAIN = 0.33, 3.2
"""Limits of the axial standard deviation of the point-spread function, in pixels."""

WIDEST_GRAIN = 6.0
"""Limit of the lateral one."""

TOLD_SHARE = 0.3

_LOWEST = -0.6

_CERTAIN = 20.0
"""Echoes this far above the mean intensity (13 dB) are no speckle: it exceeds it with a
probability of 2e-9. A network that sees them seldom dims them all the same."""

_TARGET_WEIGHT = 6.0
"""Weight of such a pixel in the loss; it is certain, so no average is shifted."""

_VOID_WEIGHT = 0.3
"""Weight of a pixel far below black."""

_SMALLEST_SIGMA = 0.02
_POINTS_WITH_ARMS = 2


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs.

    Attributes
    ----------
    noisy, clean : Tensor, shape (B, 1, S, S)
        Nominally in [0, 1].
    told : Tensor, shape (B,)
        Noise level to tell the network; 0 where it has to find out by itself.
    sigma : Tensor, shape (B,)
        The noise level that there is (root mean square), at least 0.02.
    weight : Tensor, shape (B, 1, S, S)
        How much the error of a pixel counts.
    """

    noisy: Tensor
    clean: Tensor
    told: Tensor
    sigma: Tensor
    weight: Tensor


def gaussian_pairs(
    patches: Tensor,
    generator: torch.Generator,
    *,
    lowest: float = 0.001,
    highest: float = 0.5,
    told_share: float = 1.0,
) -> Pairs:
    """Add white noise of levels that are drawn evenly in their logarithm.

    Parameters
    ----------
    patches : Tensor, shape (B, S, S)
        In [0, 1].
    generator : torch.Generator
    lowest, highest : float
        Limits of the noise level.
    told_share : float
        Share of the pairs whose level is told.
    """
    drawn = torch.rand(len(patches), generator=generator)
    sigma = lowest * (highest / lowest) ** drawn
    noise = torch.randn(patches.shape, generator=generator)
    noisy = patches + sigma[:, None, None] * noise
    told = _told(sigma, told_share, 0.05, generator)
    clean = patches[:, None]
    weight = torch.ones_like(clean)
    return Pairs(noisy[:, None], clean, told, sigma.clamp_min(_SMALLEST_SIGMA), weight)


def speckle_pairs(
    patches: Tensor, generator: torch.Generator, *, looks: int | None = None
) -> Pairs:
    """Make tissue of patches, speckle of it, and the picture of a scanner.

    Parameters
    ----------
    patches : Tensor, shape (B, S + 2 MARGIN, S + 2 MARGIN)
        MRI in [0, 1]; the sides are multiples of 8.
    generator : torch.Generator
    looks : int, optional
        The same number for all, instead of a random one.
    """
    draw = _Draw(len(patches), generator)
    scenes = draw_scenes(enlarged(patches, generator), generator)
    in_sector, geometry = _sectors(draw)
    psf = _grain(draw, in_sector, geometry)
    number = (
        _looks(draw, generator)
        if looks is None
        else torch.full_like(in_sector, looks, dtype=torch.long)
    )
    power = 10 ** (scenes.level_db / 10)
    floor = torch.where(draw.chance(0.5), 10 ** (draw.uniform(-80, -45) / 10), 1e-10)
    floor = floor[:, None, None]
    echoes = _echoes(scenes, psf, generator)
    intensity = _intensity(power, floor, psf, echoes, number, generator)
    noisy_db = 10 * intensity.clamp_min(1e-14).log10()

    speckle, coherent = power + floor, echoes.abs().square()
    clean_db = mean_log_intensity(speckle, coherent, number)
    grey_map, display = _grey_map(draw, scenes.dynamic_range_db)
    noisy = grey_map(noisy_db)
    clean = grey_map.mean(clean_db, coherent / speckle, number)
    certain = (coherent > _CERTAIN * speckle).float()

    images = torch.stack([noisy, clean, certain])
    images[:2] = _processed(images[:2], draw, display)
    images = scan_converted(images, geometry, in_sector, display)
    noisy, clean, certain = images
    where, grey = draw_graphics(noisy.shape, generator)
    noisy, clean = torch.where(where, grey, noisy), torch.where(where, grey, clean)
    noisy = compressed(noisy, draw.uniform(25, 95), display & draw.chance(0.35))
    noisy = torch.where(
        display[:, None, None], (noisy.clamp(0, 1) * 255).round() / 255, noisy
    )
    clean = torch.where(
        display[:, None, None], clean.clamp(0, 1), clean.clamp_min(_LOWEST)
    )
    weight = 1 + (_TARGET_WEIGHT - 1) * certain
    weight = torch.where(clean < -0.1, _VOID_WEIGHT, weight)
    weight = torch.where(where, 1.0, weight)
    inner = slice(MARGIN, -MARGIN)
    noisy, clean, weight, tissue = (
        part[:, None, inner, inner] for part in (noisy, clean, weight, ~where)
    )
    error = (noisy.clamp_min(-0.2) - clean.clamp_min(-0.2)).square() * tissue
    sigma = error.sum(dim=(1, 2, 3)) / tissue.sum(dim=(1, 2, 3)).clamp_min(1)
    sigma = sigma.sqrt().clamp_min(_SMALLEST_SIGMA)
    return Pairs(noisy, clean, _told(sigma, TOLD_SHARE, 0.2, generator), sigma, weight)


class _Draw:
    """Random numbers, one for each image of a batch."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self._count, self._generator = count, generator

    def uniform(self, low: float, high: float) -> Tensor:
        drawn = torch.rand(self._count, generator=self._generator)
        return low + (high - low) * drawn

    def ratio(self, low: float, high: float) -> Tensor:
        """Draw evenly in the logarithm."""
        return low * (high / low) ** self.uniform(0, 1)

    def chance(self, share: float) -> Tensor:
        return self.uniform(0, 1) < share


def _told(
    sigma: Tensor, share: float, spread: float, generator: torch.Generator
) -> Tensor:
    known = torch.rand(len(sigma), generator=generator) < share
    error = torch.exp(spread * torch.randn(len(sigma), generator=generator))
    return torch.where(known, sigma * error, 0.0)


def _sectors(draw: _Draw) -> tuple[Tensor, Tensor]:
    """Draw which images are scan converted, and how, see :func:`scan_converted`."""
    geometry = torch.stack(
        [
            draw.ratio(70, 1000),
            draw.uniform(-0.8, 0.8),
            draw.ratio(0.8, 3.0),
            draw.ratio(0.8, 1.6),
        ],
        dim=1,
    )
    return draw.chance(0.3), geometry


def _grain(draw: _Draw, in_sector: Tensor, geometry: Tensor) -> Tensor:
    """Draw the standard deviations (axial, lateral) of the point-spread function.

    The grain of the picture has the same distribution in a sector; its lines are
    interpolated afterwards.
    """
    # Fine grain more often: it looks most like texture.
    finer = draw.uniform(0, 1) ** 1.3
    axial = FINEST_GRAIN * (COARSEST_GRAIN / FINEST_GRAIN) ** finer
    lateral = axial * draw.ratio(0.7, 4.0)
    axial = torch.where(in_sector, axial / geometry[:, 3], axial)
    lateral = torch.where(in_sector, lateral / geometry[:, 2], lateral)
    return torch.stack([axial, lateral.clamp_max(WIDEST_GRAIN)], 1).clamp_min(
        FINEST_GRAIN
    )


def _looks(draw: _Draw, generator: torch.Generator) -> Tensor:
    several = torch.randint(2, MOST_LOOKS + 1, (draw._count,), generator=generator)
    fewer = torch.randint(2, 5, (draw._count,), generator=generator)
    several = torch.where(draw.chance(0.5), fewer, several)
    return torch.where(draw.chance(0.5), 1, several)


def _intensity(
    power: Tensor,
    floor: Tensor,
    psf: Tensor,
    echoes: Tensor,
    looks: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Simulate the mean intensity of several looks, each with noise of the receiver."""
    total = torch.zeros_like(power)
    for look in range(int(looks.max())):
        on = (looks > look).nonzero()[:, 0]
        field = speckle_field(power[on], psf[on], echoes[on], generator=generator)
        receiver = torch.randn((2, *field.shape), generator=generator)
        field = field + torch.complex(*receiver) * (0.5 * floor[on]).sqrt()
        total[on] += field.real.square() + field.imag.square()
    return total / looks[:, None, None]


def _grey_map(draw: _Draw, span_db: Tensor) -> tuple[GreyMap, Tensor]:
    """Draw the map to grey; give also which images are of a display (B,)."""
    display = draw.chance(0.5)
    power = torch.where(draw.chance(0.5), draw.uniform(0.5, 1.2), 1.0)
    bend = torch.where(draw.chance(0.3), draw.uniform(0.2, 0.9), 0.0)
    parts = draw.uniform(-12, 8), span_db, power, bend, display
    return GreyMap(*(part[:, None, None] for part in parts)), display


def _processed(images: Tensor, draw: _Draw, display: Tensor) -> Tensor:
    """Smooth some images, and enhance the edges of some others of a display."""
    some = draw.chance(0.3)
    width = torch.where(some, draw.uniform(0.3, 1.2), 0.0)
    smoothing = torch.stack([width, width * draw.uniform(0.7, 1.5)], dim=1)
    sharpened = display & draw.chance(0.25)
    enhancement = torch.where(sharpened, draw.uniform(0.2, 1.0), 0.0)
    return filtered(images, smoothing, enhancement)


def _echoes(scenes: Scenes, psf: Tensor, generator: torch.Generator) -> Tensor:
    """Return the coherent echoes of points and interfaces, (B, Z, X)."""
    shape = scenes.level_db.shape[1], scenes.level_db.shape[2]
    echoes = point_echoes(shape, scenes.positions, scenes.amplitudes, psf)
    z = torch.arange(shape[0])[None, :, None]
    x = torch.arange(shape[1])[None, None]
    axial, lateral = psf[:, :1, None], psf[:, 1:, None]
    for line in scenes.lines.unbind(1):
        middle, slope, bend, centre, half, amplitude = (
            value[:, None, None] for value in line.unbind(1)
        )
        across = x - centre
        depth = middle + slope * across + bend * across**2
        profile = torch.exp(-0.5 * ((z - depth) / axial) ** 2)
        inside = torch.sigmoid((half - across.abs()) / lateral)
        echoes = echoes + amplitude * profile * inside
    # Side lobes of a few plane waves: weak arms that cross in the point.
    count = len(psf)
    strength = 10 ** (-torch.empty(count).uniform_(14, 34, generator=generator) / 20)
    strength = strength * (torch.rand(count, generator=generator) < 0.3)
    tilt = torch.empty(count).uniform_(0.1, 0.5, generator=generator)[:, None, None]
    for k in range(min(_POINTS_WITH_ARMS, scenes.positions.shape[1])):
        at = scenes.positions[:, k]
        amplitude = (scenes.amplitudes[:, k] * strength)[:, None, None]
        across = x - at[:, 1, None, None]
        fading = torch.exp(-across.abs() / (10 * lateral)) * torch.tanh(
            across.abs() / (3 * lateral)
        )
        for side in (-1, 1):
            depth = at[:, 0, None, None] + side * tilt * across
            profile = torch.exp(-0.5 * ((z - depth) / axial) ** 2)
            phase = torch.polar(torch.ones_like(across), math.pi * across / lateral)
            echoes = echoes + amplitude * (profile * fading) * phase
    return echoes
