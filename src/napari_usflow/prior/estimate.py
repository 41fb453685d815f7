"""What a training run will take, from one trial step before it starts."""

from __future__ import annotations

import time
from typing import Any

import torch

from napari_usflow.prior.configs import TrainConfig
from napari_usflow.prior.events import Estimated
from napari_usflow.prior.glow import Glow
from napari_usflow.prior.objective import Objective

__all__ = ["available_bytes", "estimate"]

_TRIAL_PATCHES = 8
_TRIAL_S = 5.0
# Of each weight: value, gradient, average, and two moments of the optimizer.
_COPIES = 5


def estimate(
    config: TrainConfig, device: torch.device, *, step: int = 0, processes: int = 1
) -> Estimated:
    """Time and memory of the steps from ``step`` on.

    A trial step of a few patches is taken by a copy of the flow; what autograd keeps
    for it is counted, so that the memory of a full step is known before it is asked
    for. Time is that of a full part of the batch, or of as much of it as a few seconds
    and the memory allow: large parts take less time a patch.

    Parameters
    ----------
    config : TrainConfig
    device : torch.device
    step : int
        Steps already taken.
    processes : int
        Processes that share a step.
    """
    flow = Glow(config.flow).to(device).train()
    flow.set_compute_dtype(torch.bfloat16 if config.bfloat16 else torch.float32)
    objective = Objective(flow, config)
    part = config.part_size(processes)
    size, free = config.flow.patch_size, available_bytes(device)
    x = torch.rand(part, 1, size, size, device=device)
    sigma = config.flow.sigma_max if config.flow.conditional else config.flow.sigma_min
    left = {
        False: max(0, config.likelihood_steps - step),
        True: config.steps - max(step, config.likelihood_steps),
    }
    seconds, kept = 0.0, 0
    for denoising, steps in left.items():
        if steps > 0:
            few = x[:_TRIAL_PATCHES]
            _trial_step(objective, few, sigma, denoising)  # the first one is slow
            took, saved = _trial_step(objective, few, sigma, denoising)
            kept = max(kept, saved * part // len(few))
            many = x[: max(len(few), int(len(few) * _TRIAL_S / took))]
            if free is None or saved * len(many) // len(few) < free:
                took, _ = _trial_step(objective, many, sigma, denoising)
                few = many
            seconds += steps * took / len(few) * part * config.parts(processes)
    weights = sum(p.numel() for p in flow.parameters())
    total = sum(left.values()) * config.patches_per_step(processes)
    return Estimated(
        parameters=weights,
        seconds=seconds,
        patches_per_second=total / max(seconds, 1e-9),
        memory_bytes=4 * _COPIES * weights + kept,
    )


def _trial_step(
    objective: Objective, x: torch.Tensor, sigma: float, denoising: bool
) -> tuple[float, int]:
    kept: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    start = time.perf_counter()
    with torch.autograd.graph.saved_tensors_hooks(count, _same):
        loss = objective(x, x + sigma * torch.randn_like(x), sigma, denoising)
        loss.backward()
    if x.device.type == "cuda":
        torch.cuda.synchronize(x.device)
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
