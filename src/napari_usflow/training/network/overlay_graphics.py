"""Overlay graphics: lines, lettering, rulers, a grey wedge, black beside the sector.

Graphics are free of noise and must stay as they are. A network that has never seen them
answers a thin white line on grain with nonsense.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["draw_graphics"]

_SHARE = 0.15
_LINES = 2


def draw_graphics(
    shape: tuple[int, ...], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw graphics over some pictures of a batch.

    Parameters
    ----------
    shape : (int, int, int)
        Of the batch (B, Z, X).
    generator : torch.Generator
        Decides everything.

    Returns
    -------
    where : Tensor, shape (B, Z, X), bool
    grey : Tensor, shape (B, Z, X)
        Their values in [0, 1] there.
    """
    count, rows, columns = shape

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand((count, 1, 1), generator=generator)

    def chance(share: float) -> Tensor:
        return uniform(0, 1) < share

    z = torch.arange(rows)[None, :, None]
    x = torch.arange(columns)[None, None]

    def turned() -> tuple[Tensor, Tensor]:
        """Distances across and along a line somewhere."""
        turn = uniform(0, math.pi)
        dz, dx = z - uniform(0, rows), x - uniform(0, columns)
        across = dz * turn.cos() - dx * turn.sin()
        return across, dz * turn.sin() + dx * turn.cos()

    drawn = torch.zeros(shape, dtype=torch.bool)
    for _ in range(_LINES):
        across, along = turned()
        inside = along.abs() < uniform(2, rows)
        line = (across.abs() < uniform(0.6, 3.2) / 2) & inside
        drawn |= line & chance(0.5)
    # Strokes of letters are one or two pixels wide.
    strokes = torch.rand(
        (count, (rows + 1) // 2, (columns + 1) // 2), generator=generator
    )
    strokes = strokes.repeat_interleave(2, 1).repeat_interleave(2, 2)
    single = torch.rand(shape, generator=generator)
    letters = torch.where(chance(0.5), single, strokes[:, :rows, :columns]) < 0.5
    near = (z - uniform(0, rows)).abs() < uniform(2, 8)
    beside = (x - uniform(0, columns)).abs() < uniform(3, 40)
    drawn |= letters & near & beside & chance(0.5)
    # Ticks of a ruler at the left or right.
    tick = (z - uniform(0, rows)).abs() % uniform(5, 30).round() < 1
    drawn |= tick & ((x - uniform(0, columns)).abs() < uniform(1, 5)) & chance(0.3)
    black = (turned()[0] > 0) & chance(0.25)
    top, height = uniform(0, rows), uniform(10, rows)
    down = (z - top) / height
    wedge = (
        (down >= 0) & (down <= 1) & ((x - uniform(0, columns)).abs() < uniform(2, 9))
    )
    wedge = wedge & chance(0.15)
    some = chance(_SHARE)
    grey = torch.where(drawn, uniform(0.4, 1.0), 0.0)
    grey = torch.where(wedge, 1 - down.clamp(0, 1), grey)
    return (drawn | black | wedge) & some, grey
