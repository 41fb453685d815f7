"""Training scenes: MRI as tissue, and what ultrasound shows and MRI does not.

Grey of MRI becomes decibels, read as a display map or as the amplitude of the echo. To
it are added point scatterers and smooth interfaces (coherent echoes), thin layers
brighter or darker than their surroundings (diffuse), weak texture, cysts without any
echo and bright lesions, wires in water, acoustic shadows, and slopes of the gain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Scenes", "draw_scenes"]

_POINTS = 8
_LINES = 2
_ELLIPSES = 3
_BRIGHT_LAYERS = 3
_DARK_LAYERS = 3
_WHITE_DB = 0.0
_WATER_SHARE = 0.06


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes.

    Attributes
    ----------
    level_db : Tensor, shape (B, Z, X)
        Mean intensity of the speckle; the whitest tissue lies at about 0.
    positions : Tensor, shape (B, K, 2)
        Point scatterers (axial, lateral), in pixels.
    amplitudes : Tensor, shape (B, K), complex
        Their echoes; 0 where there is none.
    lines : Tensor, shape (B, L, 6)
        Interfaces: depth at the middle, slope, bend, lateral middle and half-width, all
        in pixels, and amplitude (0 for none).
    dynamic_range_db : Tensor, shape (B,)
        Decibels from black to white.
    """

    level_db: Tensor
    positions: Tensor
    amplitudes: Tensor
    lines: Tensor
    dynamic_range_db: Tensor


def draw_scenes(patches: Tensor, generator: torch.Generator) -> Scenes:
    """Make scenes of patches of MRI.

    Parameters
    ----------
    patches : Tensor, shape (B, S, S)
        In [0, 1].
    generator : torch.Generator
        Decides everything.
    """
    draw = _Draw(patches, generator)
    count = len(patches)
    # Wires in water: points, and nothing else that is seen.
    water = draw.chance(_WATER_SHARE) > 0
    dynamic_range = draw.uniform(45, 80)
    # B-mode tissue has less contrast than MRI, on a higher level; some has none.
    contrast = draw.uniform(0.35, 1.1) * draw.chance(0.86)
    offset = draw.uniform(0, 1) * (1 - contrast).clamp_min(0)
    level = dynamic_range * ((offset + contrast * patches).clamp(0, 1) - 1)
    amplitude_db = 20 * (0.01 * draw.uniform(0, 1) + patches).clamp_min(1e-3).log10()
    level = torch.where(draw.chance(0.35) > 0, amplitude_db, level)
    level = level + _ellipses_db(draw, level.shape)
    level = level + draw.chance(0.4) * _slope_db(draw, level.shape)
    level = level + draw.chance(0.12) * _shadow_db(draw, level.shape)
    level = level + _texture_db(draw, level.shape)
    level = _with_layers(draw, level)
    level = torch.where(water, -dynamic_range * draw.uniform(0.9, 1.3), level)
    size = patches.shape[-1]
    positions = draw.uniform(2, size - 3, (count, _POINTS, 2))
    near = positions.round().long().clamp(0, size - 1)
    rows = torch.arange(count, device=patches.device)[:, None]
    around = level[rows, near[..., 0], near[..., 1]]
    over = draw.uniform(6, 40, (count, _POINTS))
    strength = torch.where(water[..., 0], over - 40, around + over)
    shown = torch.maximum(draw.chance(0.5, (count, 1)), water[..., 0].float())
    present = shown * draw.chance(0.5, (count, _POINTS))
    phase = draw.uniform(0, 2 * math.pi, (count, _POINTS))
    echo = present * 10 ** (strength.clamp_max(_WHITE_DB + 12) / 20)
    return Scenes(
        level,
        positions,
        torch.polar(echo, phase),
        _lines(draw, size, level),
        dynamic_range.view(count),
    )


class _Draw:
    """Random numbers that fit a batch."""

    def __init__(self, like: Tensor, generator: torch.Generator) -> None:
        self._like, self._generator = like, generator

    def uniform(
        self, low: float, high: float, shape: tuple[int, ...] | None = None
    ) -> Tensor:
        """Numbers between two limits, (B, 1, 1) by default."""
        shape = (len(self._like), 1, 1) if shape is None else shape
        drawn = torch.rand(shape, generator=self._generator, device=self._like.device)
        return low + (high - low) * drawn

    def chance(self, share: float, shape: tuple[int, ...] | None = None) -> Tensor:
        """1 with this probability, else 0."""
        return (self.uniform(0, 1, shape) < share).float()


def _ellipses_db(draw: _Draw, shape: torch.Size) -> Tensor:
    """Cysts and lesions: a change of level within ellipses with a sharp edge."""
    rows, columns = shape[1:]
    z, x = _axes(shape)
    change = torch.zeros(shape)
    some = draw.chance(0.3)
    for _ in range(_ELLIPSES):
        centre = draw.uniform(0, rows), draw.uniform(0, columns)
        radius = draw.uniform(2, 30), draw.uniform(2, 30)
        turn = draw.uniform(0, math.pi)
        dz, dx = z - centre[0], x - centre[1]
        a = (dz * turn.cos() + dx * turn.sin()) / radius[0]
        b = (dx * turn.cos() - dz * turn.sin()) / radius[1]
        distance = ((a**2 + b**2).sqrt() - 1) * torch.minimum(*radius)
        inside = (0.5 - distance).clamp(0, 1)
        kind = draw.uniform(0, 1)
        step = torch.where(
            kind < 0.5,
            draw.uniform(-60, -12),
            torch.where(kind < 0.75, draw.uniform(-12, -3), draw.uniform(3, 15)),
        )
        change = change + some * draw.chance(0.6) * inside * step
    return change


def _slope_db(draw: _Draw, shape: torch.Size) -> Tensor:
    """Gain that changes with depth, and a little from side to side."""
    z, x = _axes(shape)
    rows, columns = shape[1:]
    down = draw.uniform(-15, 15) * (z / rows - 0.5)
    return down + draw.uniform(-5, 5) * (x / columns - 0.5)


def _shadow_db(draw: _Draw, shape: torch.Size) -> Tensor:
    """A band below some depth that the sound does not reach."""
    z, x = _axes(shape)
    rows, columns = shape[1:]
    middle, width = draw.uniform(0, columns), draw.uniform(2, columns / 3)
    soft = draw.uniform(0.5, 4)
    across = torch.sigmoid((width / 2 - (x - middle).abs()) / soft)
    below = torch.sigmoid((z - draw.uniform(0, 0.7 * rows)) / draw.uniform(0.3, 4))
    return draw.uniform(-40, -6) * across * below


def _with_layers(draw: _Draw, level: Tensor) -> Tensor:
    """Add thin layers of diffuse scatterers, bright ones and dark ones.

    Straight or curved, half a pixel to some pixels thick: walls of vessels, fascia,
    septa, and the dark line between two of them.
    """
    some = draw.chance(0.5)
    for _ in range(_BRIGHT_LAYERS):
        inside = _layer(draw, level.shape, thinnest=0.25, thickest=2.5)
        height = some * draw.chance(0.7) * draw.uniform(3, 30)
        level = torch.maximum(level, (level + height * inside).clamp_max(_WHITE_DB + 6))
    some = draw.chance(0.65)
    for _ in range(_DARK_LAYERS):
        inside = _layer(draw, level.shape, thinnest=0.25, thickest=1.6)
        level = level - some * draw.chance(0.8) * draw.uniform(5, 25) * inside
    return level


def _layer(
    draw: _Draw, shape: torch.Size, *, thinnest: float, thickest: float
) -> Tensor:
    """Return the share of each pixel that a layer covers; half-thickness in pixels."""
    z, x = _axes(shape)
    rows, columns = shape[1:]
    across = x - draw.uniform(0, columns)
    # Many lie nearly across the beam.
    tilted = torch.where(draw.chance(0.4) > 0, 0.1, 1.0)
    depth = (
        draw.uniform(0, rows)
        + tilted * draw.uniform(-0.6, 0.6) * across
        + tilted * draw.uniform(-0.006, 0.006) * across**2
    )
    half = thinnest * (thickest / thinnest) ** draw.uniform(0, 1)
    within = torch.sigmoid((draw.uniform(8, columns) - across.abs()) / 3)
    covered: Tensor = (0.5 + half - (z - depth).abs()).clamp(0, 1)
    return covered.minimum(2 * half) * within


def _texture_db(draw: _Draw, shape: torch.Size) -> Tensor:
    """Return weak texture that must survive: stripes of 3 to 8 dB within a disc."""
    z, x = _axes(shape)
    rows, columns = shape[1:]
    period = 3 * (14 / 3) ** draw.uniform(0, 1)
    # More of them lie across the beam.
    turn = draw.uniform(-1, 1)
    turn = math.pi / 2 * turn * turn.abs()
    phase = draw.uniform(0, 2 * math.pi)
    along = z * turn.cos() + x * turn.sin()
    wave = torch.sin(2 * math.pi * along / period + phase)
    # From a sine to stripes with sharp edges.
    stripes = torch.tanh(draw.uniform(0.5, 6) * wave)
    distance = (
        (z - draw.uniform(0, rows)) ** 2 + (x - draw.uniform(0, columns)) ** 2
    ).sqrt()
    within = torch.sigmoid((draw.uniform(8, 90) - distance) / 2)
    return draw.chance(0.4) * within * draw.uniform(1.5, 4) * stripes


def _lines(draw: _Draw, size: int, level: Tensor) -> Tensor:
    """Draw interfaces, see :class:`Scenes`."""
    shape = (len(level), _LINES)
    middle = draw.uniform(0, size, shape)
    lateral = draw.uniform(0, size, shape)
    present = draw.chance(0.3, (len(level), 1)) * draw.chance(0.6, shape)
    nearest = middle.round().long().clamp(0, size - 1)
    rows = torch.arange(len(level), device=level.device)[:, None]
    around = level[rows, nearest, lateral.round().long().clamp(0, size - 1)]
    strength = (around + draw.uniform(3, 25, shape)).clamp_max(_WHITE_DB + 8)
    return torch.stack(
        [
            middle,
            draw.uniform(-0.7, 0.7, shape),
            draw.uniform(-0.008, 0.008, shape),
            lateral,
            draw.uniform(4, size, shape),
            present * 10 ** (strength / 20),
        ],
        dim=-1,
    )


def _axes(shape: torch.Size) -> tuple[Tensor, Tensor]:
    return torch.arange(shape[1])[None, :, None], torch.arange(shape[2])[None, None]
