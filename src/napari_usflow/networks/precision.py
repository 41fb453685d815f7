"""In which numbers a network computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from napari_usflow.device import computes_bfloat16

if TYPE_CHECKING:
    import torch

__all__ = ["fast_arithmetic", "fast_type"]


def fast_type(device: torch.device) -> torch.dtype:
    """Name the numbers that convolutions compute in fastest.

    bfloat16 where the device multiplies it by itself: a graphics card does, and so do
    some processors; elsewhere float32.
    """
    import torch

    if device.type == "cuda" or computes_bfloat16(device):
        return torch.bfloat16
    return torch.float32


def fast_arithmetic(device: torch.device) -> AbstractContextManager[Any]:
    """Run convolutions in :func:`fast_type` with weights kept in float32.

    For training, whose weights change; see
    :meth:`~napari_usflow.networks.store.Network.in_fast_type` for a network that is
    only used.
    """
    import torch

    if fast_type(device) is torch.float32:
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
