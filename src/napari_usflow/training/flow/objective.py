"""Training objective of a flow: likelihood and posterior-mean error.

Likelihood alone cares little for the small errors of the score that denoising
multiplies by ``sigma^2``; the error of the posterior mean (Tweedie's formula) is
therefore trained as well, through the gradient it is made of.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor, nn

from napari_usflow.prior.glow import Glow
from napari_usflow.training.flow.configs import TrainConfig

__all__ = ["Objective", "noise_levels"]


class Objective(nn.Module):
    """The loss of a batch; a module, so that several processes can share its step.

    With ``y = x + sigma n``, the loss a pixel is, in nats and in value range::

        likelihood phase    -log p(y; sigma) / d
        denoising phase     a ||E[x | y] - x||^2 / (d sigma) - b log p(y; sigma) / d

    where ``a`` and ``b`` are the configuration's ``denoising_weight`` and
    ``likelihood_weight``. The error grows about as sigma: divided by it, every noise
    level counts alike. Below ``denoising_sigma`` the error says nothing, and only the
    likelihood is trained, with its full weight: that is where samples and the latent
    MAP use the flow.

    Parameters
    ----------
    flow : Glow
    config : TrainConfig
    """

    def __init__(self, flow: Glow, config: TrainConfig) -> None:
        super().__init__()
        self.flow, self.config = flow, config

    def forward(self, x: Tensor, y: Tensor, sigma: float, denoising: bool) -> Tensor:
        """Return the loss of patches ``x`` and noisy ones ``y``, (B, 1, S, S)."""
        c, pixels = self.config, self.flow.dimension
        if not denoising or sigma < c.denoising_sigma:
            log_p = self.flow.log_prob(y, sigma, checkpointing=c.checkpointing)
            weight = c.small_noise_weight if denoising else 1.0
            return -weight * log_p.mean() / pixels
        estimate, log_p = self.flow.posterior_mean(
            y, sigma, create_graph=True, checkpointing=c.checkpointing
        )
        error = (estimate - x).square().mean() / sigma
        return c.denoising_weight * error - c.likelihood_weight * log_p.mean() / pixels


def noise_levels(
    config: TrainConfig, rng: np.random.Generator, rank: int = 0, processes: int = 1
) -> list[float]:
    """Draw the noise level of each part of a step, log-uniform.

    Stratified over the parts of all processes, so that every step sees the whole
    range; a process takes every ``processes``-th part, from its rank on.
    """
    flow, count = config.flow, config.parts(processes)
    if not flow.conditional:
        return [flow.sigma_min] * count
    low, high = math.log(flow.sigma_min), math.log(flow.sigma_max)
    strata = rank + processes * np.arange(count)
    u = (strata + rng.random(count)) / (processes * count)
    return [math.exp(low + (high - low) * float(v)) for v in u]
