"""Time and memory of the steps of a training run, from a trial step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from napari_usflow.training.events import Estimated
from napari_usflow.training.peak_memory import peak_bytes

__all__ = ["Phase", "available_bytes", "try_phases"]

_TRIAL_PATCHES = 8
_TRIAL_S = 5.0
# The fastest counts: what else the machine does can only slow a step down.
_TRIALS = 3
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

    Trial steps of a few patches are taken; what their tensors take at most is counted,
    with half as many patches as well, so that the memory of a full step is known before
    it is asked for. Time is that of a full part of the batch, or of as much of it as a
    few seconds and the memory allow: large parts take less time a patch.

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
    seconds, activations = 0.0, 0
    for phase in phases:
        if phase.steps > 0:
            few = min(part, _TRIAL_PATCHES)
            # The gradients of the weights must be there: they are counted below.
            _go_back(phase, few)
            each = _bytes_a_patch(phase, few, device)
            activations = max(activations, each * part)
            took = _trial_step(phase, few, device)
            many = min(part, max(few, int(few * _TRIAL_S / took)))
            if free is None or each * many < free:
                took, few = _fastest_step(phase, many, device), many
            seconds += phase.steps * took / few * part * parts
    weights = sum(p.numel() for p in model.parameters())
    total = sum(phase.steps for phase in phases) * part * parts * processes
    return Estimated(
        parameters=weights,
        seconds=seconds,
        patches_per_second=total / max(seconds, 1e-9),
        memory_bytes=4 * _COPIES * weights + activations,
    )


def _bytes_a_patch(phase: Phase, count: int, device: torch.device) -> int:
    """Return what a patch more takes, once the weights have their gradients."""
    half = max(1, count // 2)
    small, large = (
        peak_bytes(partial(_go_back, phase, n), device) for n in (half, count)
    )
    return max(1, (large - small) // (count - half)) if count > half else large


def _fastest_step(phase: Phase, count: int, device: torch.device) -> float:
    took = _trial_step(phase, count, device)
    for _ in range(1, _TRIALS):
        took = min(took, _trial_step(phase, count, device))
    return took


def _trial_step(phase: Phase, count: int, device: torch.device) -> float:
    start = time.perf_counter()
    _go_back(phase, count)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _go_back(phase: Phase, count: int) -> None:
    phase.loss(count).backward()


def available_bytes(device: torch.device) -> int | None:
    """Free memory of a device; None where it cannot be told."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "cpu":
        import psutil

        return int(psutil.virtual_memory().available)
    return None
