"""Tissue at the image's own pixel: MRI enlarged, some of it with edges made sharp.

MRI has a pixel of 0.4 to 1 mm, ultrasound one of 0.05 to 0.3 mm. An enlarged patch has
anatomy of the right size but no edge sharper than the MRI's pixel, so part of the
patches is sharpened into steps along their isocontours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LARGEST_SCALE", "enlarged"]

LARGEST_SCALE = 3.5
_NATIVE_SHARE = 0.12
_SHARP_SHARE = 0.4
_CANDIDATES = 3
_PREVIEW = 32


def enlarged(patches: Tensor, generator: torch.Generator) -> Tensor:
    """Enlarge a part of each patch to the size of the patch.

    The scale is drawn evenly from 1 to :data:`LARGEST_SCALE`; an eighth of the patches
    keeps its pixel. Of three random parts the one with the most gradient is taken.

    Parameters
    ----------
    patches : Tensor, shape (B, S, S)
        In [0, 1].
    generator : torch.Generator

    Returns
    -------
    Tensor, shape (B, S, S)
        In [0, 1].
    """
    count, size = len(patches), patches.shape[-1]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand((count, *shape), generator=generator)

    scale = uniform(1.0, LARGEST_SCALE)
    scale = torch.where(uniform(0, 1) < _NATIVE_SHARE, 1.0, scale)
    # Centres of the parts, in units of half the patch, such that they lie within it.
    room = (1 - 1 / scale)[:, None, None]
    centres = room * uniform(-1, 1, _CANDIDATES, 2)
    energy = torch.stack(
        [
            _gradient(_part(patches, scale, centres[:, k], _PREVIEW))
            for k in range(_CANDIDATES)
        ],
        dim=1,
    )
    best = centres[torch.arange(count), energy.argmax(dim=1)]
    tissue = _part(patches, scale, best, size).clamp(0, 1)
    return _sharpened(tissue, uniform(0, 1, 1, 1), uniform(0, 1, 1, 1), generator)


def _part(patches: Tensor, scale: Tensor, centre: Tensor, size: int) -> Tensor:
    """Interpolate the part around ``centre`` (B, 2; lateral, axial) at S x S points."""
    affine = torch.zeros(len(patches), 2, 3)
    affine[:, 0, 0] = affine[:, 1, 1] = 1 / scale
    affine[:, :, 2] = centre
    grid = functional.affine_grid(
        affine, [len(patches), 1, size, size], align_corners=False
    )
    return functional.grid_sample(
        patches[:, None],
        grid,
        mode="bicubic",
        padding_mode="reflection",
        align_corners=False,
    )[:, 0]


def _gradient(image: Tensor) -> Tensor:
    down, across = image.diff(dim=1), image.diff(dim=2)
    return down.square().mean(dim=(1, 2)) + across.square().mean(dim=(1, 2))


def _sharpened(
    tissue: Tensor, chosen: Tensor, steep: Tensor, generator: torch.Generator
) -> Tensor:
    """Turn some tissue into plateaus with steep flanks between them."""
    steps = torch.randint(2, 6, (len(tissue), 1, 1), generator=generator)
    scaled = tissue * steps
    floor = scaled.floor()
    flank = torch.sigmoid((scaled - floor - 0.5) * (6 + 34 * steep))
    # At white the flank of the next step begins.
    sharp = ((floor + flank) / steps).clamp_max(1)
    return torch.where(chosen < _SHARP_SHARE, sharp, tissue)
