"""A noise-conditional Glow flow of small image patches.

The flow ``z = f(y; sigma)`` maps a patch ``y = x + sigma n`` (a clean patch with white
Gaussian noise) to a standard normal vector, so that::

    log p(y; sigma) = log N(f(y; sigma); 0, I) + log |det df/dy|

At the smallest ``sigma`` this is a prior of clean patches: it can be sampled and serves
the latent MAP of van de Schaft & van Sloun (arXiv:2112.13110). At the noise level of an
image, one gradient gives the posterior mean (Miyasawa 1961; Tweedie)::

    E[x | y] = y + sigma^2 grad_y log p(y; sigma)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from napari_usflow.prior.architecture import GlowConfig
from napari_usflow.prior.convolution import input_gradients_only
from napari_usflow.prior.layers import AffineCoupling, FlowStep, squeeze, unsqueeze

__all__ = ["Glow", "GlowConfig"]


class _NoiseEmbedding(nn.Module):
    """Embed log sigma: a number becomes a vector (E,)."""

    def __init__(self, config: GlowConfig) -> None:
        super().__init__()
        low, high = math.log(config.sigma_min), math.log(config.sigma_max)
        self.center, self.half_width = (low + high) / 2, max((high - low) / 2, 1e-6)
        size = config.embedding
        self.net = nn.Sequential(
            nn.Linear(3, size), nn.SiLU(), nn.Linear(size, size), nn.SiLU()
        )

    def forward(self, sigma: Tensor) -> Tensor:
        u = (sigma.log() - self.center) / self.half_width
        features = torch.stack([u, u * u, torch.cos(math.pi * u)], dim=-1)
        embedding: Tensor = self.net(features)
        return embedding


class Glow(nn.Module):
    """The flow ``z = f(y; sigma)`` of patches (B, 1, S, S).

    Each level squeezes 2x2 neighbourhoods into channels, takes its flow steps, and
    (but for the last) sends half of the channels out to ``z``. Latents are whitened:
    the base density is N(0, I), so ``||z||^2`` is the penalty that MAP needs.
    """

    def __init__(self, config: GlowConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = _NoiseEmbedding(config) if config.conditional else None
        embedding = config.embedding if config.conditional else 0
        self.levels = nn.ModuleList()
        channels = 1
        self._shapes: list[tuple[int, int, int]] = []
        size = config.patch_size
        for level, (steps, hidden, depth) in enumerate(
            itertools.zip_longest(
                config.steps, config.hidden, config.depth, fillvalue=0
            )
        ):
            channels, size = channels * 4, size // 2
            self.levels.append(
                nn.ModuleList(
                    FlowStep(
                        channels,
                        hidden,
                        0 if k % 2 else depth,
                        embedding,
                        activation=config.activation,
                        smallest_scale=config.smallest_scale,
                    )
                    for k in range(steps)
                )
            )
            last = level == len(config.steps) - 1
            channels = channels if last else channels // 2
            self._shapes.append((channels, size, size))

    @property
    def dimension(self) -> int:
        """Number of pixels of a patch, which is the length of ``z``."""
        return self.config.patch_size**2

    def set_compute_dtype(self, dtype: torch.dtype) -> None:
        """Choose the precision inside the couplings' networks (the rest is float32)."""
        for module in self.modules():
            if isinstance(module, AffineCoupling):
                module.compute_dtype = dtype

    def _steps(self, level: int) -> Sequence[FlowStep]:
        return cast("Sequence[FlowStep]", self.levels[level])

    def _embedding(self, sigma: float | None, x: Tensor) -> Tensor:
        if self.embed is None:
            return x.new_zeros(0)
        if sigma is None:
            sigma = self.config.sigma_min
        level = torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
        embedding: Tensor = self.embed(level)
        return embedding

    def forward(
        self, y: Tensor, sigma: float | None = None, *, checkpointing: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Encode patches.

        Parameters
        ----------
        y : Tensor, shape (B, 1, S, S)
            Patches, nominally in [0, 1].
        sigma : float, optional
            Noise standard deviation in ``y``, one for the batch; the prior's smallest
            when omitted.
        checkpointing : bool
            Recompute the activations of each step in a backward pass, not keep them.

        Returns
        -------
        z : Tensor, shape (B, S * S)
        log_det : Tensor, shape (B,)
            ``log |det dz/dy|``.
        """
        e = self._embedding(sigma, y)
        log_det = y.new_zeros(y.shape[0])
        outs = []
        x = y
        for i in range(len(self.levels)):
            x = squeeze(x)
            for step in self._steps(i):
                x, d = _run(step.forward, x, e, checkpointing)
                log_det = log_det + d
            if i < len(self.levels) - 1:
                out, x = x.chunk(2, dim=1)
                outs.append(out)
        outs.append(x)
        return torch.cat([o.flatten(1) for o in outs], dim=1), log_det

    def inverse(
        self, z: Tensor, sigma: float | None = None, *, checkpointing: bool = False
    ) -> Tensor:
        """Decode latents (B, S * S) into patches (B, 1, S, S).

        With ``checkpointing`` the activations of each step are recomputed in a
        backward pass instead of kept.
        """
        e = self._embedding(sigma, z)
        sizes = [c * h * w for c, h, w in self._shapes]
        outs = [
            part.reshape(-1, *shape)
            for part, shape in zip(z.split(sizes, dim=1), self._shapes, strict=True)
        ]
        x = outs[-1].contiguous(memory_format=torch.channels_last)
        for i in reversed(range(len(self.levels))):
            if i < len(self.levels) - 1:
                x = torch.cat([outs[i], x], dim=1)
            for step in reversed(self._steps(i)):
                x = _run(step.inverse, x, e, checkpointing)
            x = unsqueeze(x)
        return cast(Tensor, x)

    def log_prob(
        self, y: Tensor, sigma: float | None = None, *, checkpointing: bool = False
    ) -> Tensor:
        """Log-density in nats of each patch, shape (B,)."""
        z, log_det = self(y, sigma, checkpointing=checkpointing)
        log_base = -0.5 * (z.square().sum(dim=1) + z.shape[1] * math.log(2 * math.pi))
        result: Tensor = log_base + log_det
        return result

    def posterior_mean(
        self,
        y: Tensor,
        sigma: float,
        *,
        create_graph: bool = False,
        checkpointing: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Denoise patches with one gradient: ``y + sigma^2 grad log p(y; sigma)``.

        Parameters
        ----------
        y : Tensor, shape (B, 1, S, S)
        sigma : float
        create_graph : bool
            Keep the graph, to train on the error of the estimate.
        checkpointing : bool
            As in :meth:`forward`.

        Returns
        -------
        x : Tensor, shape (B, 1, S, S)
            The posterior mean.
        log_p : Tensor, shape (B,)
            ``log p(y; sigma)``.
        """
        with torch.enable_grad():
            y = y.detach().requires_grad_(True)
            log_p = self.log_prob(y, sigma, checkpointing=checkpointing)
            # Of frozen weights there are no gradients to leave out, and other threads
            # may be at work: one that trains must not be told to leave out its own.
            trained = any(weights.requires_grad for weights in self.parameters())
            with input_gradients_only() if trained else nullcontext():
                (score,) = torch.autograd.grad(
                    log_p.sum(), y, create_graph=create_graph
                )
        x = y + sigma**2 * score
        return (x, log_p) if create_graph else (x.detach(), log_p.detach())


def _run(function: Any, x: Tensor, e: Tensor, checkpointing: bool) -> Any:
    if checkpointing and torch.is_grad_enabled():
        return checkpoint(function, x, e, use_reentrant=False)
    return function(x, e)
