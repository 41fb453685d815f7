"""Time and memory of a flow's training, estimated from a trial step."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from napari_usflow.prior.glow import Glow
from napari_usflow.training.events import Estimated
from napari_usflow.training.flow.configs import TrainConfig
from napari_usflow.training.flow.objective import Objective
from napari_usflow.training.trial import Phase, try_phases

__all__ = ["estimate"]


def estimate(
    config: TrainConfig, device: torch.device, *, step: int = 0, processes: int = 1
) -> Estimated:
    """Estimate time and memory of a flow's steps from ``step`` on.

    By :func:`~napari_usflow.training.trial.try_phases`.

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
    part, size = config.part_size(processes), config.flow.patch_size
    x = torch.rand(part, 1, size, size, device=device)
    sigma = config.flow.sigma_max if config.flow.conditional else config.flow.sigma_min

    def loss(count: int, denoising: bool) -> Tensor:
        few = x[:count]
        noisy = few + sigma * torch.randn_like(few)
        value: Tensor = objective(few, noisy, sigma, denoising)
        return value

    phases = [
        Phase(max(0, config.likelihood_steps - step), partial(loss, denoising=False)),
        Phase(
            config.steps - max(step, config.likelihood_steps),
            partial(loss, denoising=True),
        ),
    ]
    return try_phases(flow, phases, device, part, config.parts(processes), processes)
