"""Time and memory of the steps of a training run, from a trial step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_usflow.training.events import Estimated

__all__ = ["Phase", "available_bytes", "try_phases"]

_TRIAL_PATCHES = 8
_TRIAL_S = 5.0
# Of each weight: value, gradient, average, and two moments of the optimizer.
_COPIES = 5


@dataclass(frozen=True)
class Phase:
    """A part of a run whose steps are alike.

    Attributes
    ----------
    steps : int
        How many of them are left.
    loss : callable
        Gives the loss of as many patches as it is told.
    """

    steps: int
    loss: Callable[[int], Tensor]


def try_phases(
    model: nn.Module,
    phases: Sequence[Phase],
    device: torch.device,
    part: int,
    parts: int,
    processes: int,
) -> Estimated:
    """Time and memory of the steps of some phases.

    A trial step of a few patches is taken; what autograd keeps for it is counted, so
    that the memory of a full step is known before it is asked for. Time is that of a
    full part of the batch, or of as much of it as a few seconds and the memory allow:
    large parts take less time a patch.

    Parameters
    ----------
    model : nn.Module
        A copy of what is trained; gets gradients.
    phases : sequence of Phase
    device : torch.device
    part : int
        Patches that a process works on at once.
    parts : int
        How many of those a process works on in a step, one after the other.
    processes : int
        Processes that share a step.
    """
    free = available_bytes(device)
    seconds, kept = 0.0, 0
    for phase in phases:
        if phase.steps > 0:
            few = min(part, _TRIAL_PATCHES)
            _trial_step(phase, few, device)  # the first one is slow
            took, saved = _trial_step(phase, few, device)
            kept = max(kept, saved * part // few)
            many = min(part, max(few, int(few * _TRIAL_S / took)))
            if free is None or saved * many // few < free:
                took, _ = _trial_step(phase, many, device)
                few = many
            seconds += phase.steps * took / few * part * parts
    weights = sum(p.numel() for p in model.parameters())
    total = sum(phase.steps for phase in phases) * part * parts * processes
    return Estimated(
        parameters=weights,
        seconds=seconds,
        patches_per_second=total / max(seconds, 1e-9),
        memory_bytes=4 * _COPIES * weights + kept,
    )


def _trial_step(phase: Phase, count: int, device: torch.device) -> tuple[float, int]:
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    start = time.perf_counter()
    with torch.autograd.graph.saved_tensors_hooks(note, _same):
        phase.loss(count).backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, sum(kept.values())


def _same(tensor: Any) -> Any:
    return tensor


def available_bytes(device: torch.device) -> int | None:
    """Free memory of a device; None where it cannot be told."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "cpu":
        import psutil

        return int(psutil.virtual_memory().available)
    return None
