"""Training a flow: the step, and what the result is judged by."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_usflow.prior.glow import Glow
from napari_usflow.training.events import Previewed, Validated
from napari_usflow.training.flow.configs import TrainConfig
from napari_usflow.training.flow.objective import Objective, noise_levels
from napari_usflow.training.trainer import (
    EVALUATION_BATCH,
    VALIDATION_SIGMAS,
    Trainer,
    psnr_db,
)

__all__ = ["FlowTrainer"]

_PREVIEW_SIGMA = 0.2
_PREVIEWS = 16


class FlowTrainer(Trainer[TrainConfig, Glow]):
    """The state of a flow's run; see :class:`~.trainer.Trainer`."""

    def _built(self) -> Glow:
        flow = Glow(self.config.flow)
        flow.set_compute_dtype(
            torch.bfloat16 if self.config.bfloat16 else torch.float32
        )
        return flow

    @torch.no_grad()
    def _initialise(self) -> None:
        """Set the actnorms by a first batch over all noise levels."""
        c = self.config.flow
        rng = np.random.default_rng([self.config.seed, 2**31])
        x = torch.from_numpy(self.sampler.draw(128, rng))
        noise = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32))
        high = c.sigma_max if c.conditional else c.sigma_min
        spread = torch.linspace(math.log(c.sigma_min), math.log(high), len(x)).exp()
        self.model.log_prob(x + spread[:, None, None, None] * noise)

    def _objective(self) -> nn.Module:
        return Objective(self.model, self.config)

    def _optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            self.model.parameters(),
            lr=self.config.learning_rate,
            betas=(0.9, self.config.second_moment),
        )

    def _gradient(self, rng: np.random.Generator) -> float:
        c = self.config
        rank, processes = self.fabric.global_rank, self.fabric.world_size
        sigmas = noise_levels(c, rng, rank, processes)
        count = c.part_size(processes)
        total = 0.0
        for i, sigma in enumerate(sigmas):
            x, y = self._draw(count, sigma, rng)
            denoising = self.step >= c.likelihood_steps
            with self._no_sync(i < len(sigmas) - 1):
                loss = self.objective(x, y, sigma, denoising) / len(sigmas)
                self.fabric.backward(loss)
            total += float(loss.detach())
        return total

    def _no_sync(self, enabled: bool) -> AbstractContextManager[Any]:
        if self.fabric.world_size == 1 or not enabled:
            return nullcontext()
        manager: AbstractContextManager[Any] = self.fabric.no_backward_sync(
            self.objective
        )
        return manager

    def _draw(
        self, count: int, sigma: float, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw patches, and the same with noise of ``sigma``."""
        patches = self.sampler.draw(count, rng)
        device = self.fabric.device
        x = torch.from_numpy(patches).to(device)
        drawn = rng.standard_normal(patches.shape, dtype=np.float32)
        return x, x + sigma * torch.from_numpy(drawn).to(device)

    def _clip(self, parameters: list[nn.Parameter]) -> Tensor:
        nn.utils.clip_grad_value_(parameters, self.config.clip_value)
        return super()._clip(parameters)

    def _judge(self) -> Validated:
        x = self._held_out.to(self.fabric.device)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).to(x)
        smallest = self.config.flow.sigma_min
        log_p = torch.cat(
            [
                self.average.log_prob(y, smallest)
                for y in (x + smallest * noise).split(EVALUATION_BATCH)
            ]
        )
        nats = -float(log_p.double().mean()) / self.model.dimension
        psnr = {}
        for sigma in VALIDATION_SIGMAS if self.config.flow.conditional else ():
            values = [
                psnr_db(self._denoise(a + sigma * n, sigma), a)
                for a, n in zip(
                    x.split(EVALUATION_BATCH),
                    noise.split(EVALUATION_BATCH),
                    strict=True,
                )
            ]
            psnr[sigma] = float(torch.cat(values).mean())
        return Validated(self.step, nats / math.log(2) + 8.0, psnr)

    def _denoise(self, y: Tensor, sigma: float) -> Tensor:
        return self.average.posterior_mean(y, sigma)[0].clamp(0.0, 1.0)

    def preview(self) -> Previewed:
        """Draw samples, and denoise held-out patches, with the averaged weights."""
        size = self.config.flow.patch_size
        x = self._held_out[:_PREVIEWS].to(self.fabric.device)
        generator = torch.Generator().manual_seed(3)
        z = torch.randn(len(x), self.model.dimension, generator=generator).to(x)
        with torch.no_grad():
            generated = self.average.inverse(z).clamp(0.0, 1.0)
        noisy = denoised = x[:0]
        if self.config.flow.conditional:
            noise = torch.randn(x.shape, generator=generator).to(x)
            noisy = x + _PREVIEW_SIGMA * noise
            denoised = self._denoise(noisy, _PREVIEW_SIGMA)
        pictures = (
            t.reshape(-1, size, size).cpu().numpy()
            for t in (x, generated, noisy, denoised)
        )
        return Previewed(self.step, _PREVIEW_SIGMA, *pictures)
