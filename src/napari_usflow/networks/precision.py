"""In which numbers a network computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from napari_usflow.device import computes_bfloat16

if TYPE_CHECKING:
    import torch

__all__ = ["fast_arithmetic"]


def fast_arithmetic(device: torch.device) -> AbstractContextManager[Any]:
    """Let convolutions compute in bfloat16 where the device does that by itself.

    A graphics card does, and so do some processors; elsewhere float32 is faster.
    """
    import torch

    if device.type != "cuda" and not computes_bfloat16(device):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
