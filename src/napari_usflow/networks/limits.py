"""What the result of a network is held to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NEARBY", "within_what_is_seen"]

NEARBY = 7
"""Side of the square around a pixel whose values limit that of the result."""


def within_what_is_seen(clean: Tensor, noisy: Tensor) -> Tensor:
    """Limit a result to what the input shows nearby.

    No mean of what may be there lies beyond that; a network that is shown what it has
    never seen may.
    """
    return clean.clamp(-_highest(-noisy), _highest(noisy))


def _highest(image: Tensor) -> Tensor:
    """Give the largest of the pixels around each one, ``NEARBY`` by ``NEARBY``.

    One axis after the other, and each window from two that are half as wide: three
    comparisons an axis, where a pooling layer makes forty-nine and is not shared out
    over threads.
    """
    import torch
    from torch.nn.functional import pad

    beside = NEARBY // 2
    for axis, margins in ((-2, (0, 0, beside, beside)), (-1, (beside, beside, 0, 0))):
        image = pad(image, margins, value=-math.inf)
        width = 1
        while width < NEARBY:
            step = min(width, NEARBY - width)
            count = image.shape[axis] - step
            image = torch.maximum(
                image.narrow(axis, 0, count), image.narrow(axis, step, count)
            )
            width += step
    return image
