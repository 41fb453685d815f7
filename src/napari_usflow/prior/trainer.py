"""The state of a training run, and one step of it.

Devices and processes are Lightning Fabric's: with several, each draws its own patches
and the gradients are averaged (DDP), so that a step is one of ``batch_size`` patches
whatever the number of processes.
"""

from __future__ import annotations

import io
import json
import logging
import math
import time
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_usflow.errors import PriorError, UsflowError
from napari_usflow.io.writing import write_beside
from napari_usflow.prior.configs import TrainConfig
from napari_usflow.prior.events import Previewed, Validated
from napari_usflow.prior.glow import Glow
from napari_usflow.prior.objective import Objective, noise_levels
from napari_usflow.prior.patches import PatchSampler

__all__ = ["VALIDATION_SIGMAS", "Trainer", "connect"]

VALIDATION_SIGMAS = (0.1, 0.2, 0.3, 0.4)
_PREVIEW_SIGMA = 0.2
_PREVIEWS = 16
_EVALUATION_BATCH = 64
_MOST_BROKEN = 50
# The others wait while the first process prepares slices or validates.
_PATIENCE = timedelta(hours=24)


def connect(device: torch.device, processes: int, nodes: int) -> Any:
    """Start Fabric; with several processes each of them returns from here.

    Raises
    ------
    ValueError
        When the device is no accelerator that several processes can share.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    if processes * nodes > 1 and device.type == "mps":
        raise ValueError("several processes need CUDA devices or the CPU, not mps")
    several = processes * nodes > 1
    # A weight of 1x1 pixels has two layouts that are the same; DDP warns of it.
    warnings.filterwarnings("ignore", message="Grad strides do not match")
    # Fabric's banner would be written by every process.
    for name in ("distributed", "rank_zero"):
        logging.getLogger(f"lightning_fabric.utilities.{name}").setLevel("WARNING")
    backend = "nccl" if device.type == "cuda" else "gloo"
    devices: int | list[int] = processes
    if not several and device.type == "cuda":
        devices = [device.index or 0]
    fabric = Fabric(
        accelerator=device.type,
        devices=devices,
        num_nodes=nodes,
        strategy=DDPStrategy(process_group_backend=backend, timeout=_PATIENCE)
        if several
        else "auto",
    )
    fabric.launch()
    return fabric


class Trainer:
    """Model, average, optimizers and step of a run.

    Random numbers are made anew for each step from (seed, step, process), so that
    there is no state of them to keep: a run that goes on draws what it would have
    drawn.

    Parameters
    ----------
    config : TrainConfig
    fabric : lightning_fabric.Fabric
        Launched.
    sampler : PatchSampler
        Of the training slices.
    held_out : ndarray, shape (N, 1, S, S)
        Validation patches.
    weights : dict, optional
        Of a trained flow, to begin with.
    """

    def __init__(
        self,
        config: TrainConfig,
        fabric: Any,
        sampler: PatchSampler,
        held_out: npt.NDArray[np.float32],
        *,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.config, self.fabric, self.sampler = config, fabric, sampler
        torch.manual_seed(config.seed)
        flow = Glow(config.flow).train()
        flow.set_compute_dtype(self._dtype)
        self.step = 0
        self.average = Glow(config.flow).eval()
        self.average.set_compute_dtype(self._dtype)
        if weights is None:
            self._initialise(flow)
        else:
            flow.load_state_dict(weights)
        self.average.load_state_dict(flow.state_dict())
        self.average.to(fabric.device)
        self._held_out = torch.from_numpy(held_out).to(fabric.device)
        objective = Objective(flow.to(fabric.device), config)
        optimizer = torch.optim.Adam(
            flow.parameters(), lr=config.learning_rate, betas=(0.9, 0.99)
        )
        self.objective, self.optimizer = fabric.setup(objective, optimizer)
        self.flow = flow
        self.quality: dict[str, Any] = {}
        self._broken = 0

    @property
    def _dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.config.bfloat16 else torch.float32

    def _rng(self, step: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, step, self.fabric.global_rank])

    def learning_rate(self) -> float:
        """Give the learning rate of this step.

        It rises, stays, and falls along half a cosine: a run can be made longer from
        any checkpoint before the fall.
        """
        c = self.config
        if self.step < c.warmup_steps:
            return c.learning_rate * (self.step + 1) / c.warmup_steps
        fall = max(1.0, c.decay_fraction * c.steps)
        progress = min(1.0, max(0.0, (self.step - (c.steps - fall)) / fall))
        low, high = c.final_learning_rate, c.learning_rate
        return low + (high - low) * 0.5 * (1.0 + math.cos(math.pi * progress))

    def train_step(self) -> tuple[float, float]:
        """Take a step; gives the loss and the learning rate."""
        c = self.config
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rng = self._rng(self.step)
        rank, processes = self.fabric.global_rank, self.fabric.world_size
        sigmas = noise_levels(c, rng, rank, processes)
        count = c.part_size(processes)
        self.flow.zero_grad(set_to_none=True)
        total = 0.0
        for i, sigma in enumerate(sigmas):
            x, y = self._draw(count, sigma, rng)
            denoising = self.step >= c.likelihood_steps
            with self._no_sync(i < len(sigmas) - 1):
                loss = self.objective(x, y, sigma, denoising) / len(sigmas)
                self.fabric.backward(loss)
            total += float(loss.detach())
        self._apply_gradients()
        self.step += 1
        self._update_average()
        return total, rate

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

    def _apply_gradients(self) -> None:
        parameters = list(self.flow.parameters())
        nn.utils.clip_grad_value_(parameters, self.config.clip_value)
        norm = nn.utils.clip_grad_norm_(parameters, self.config.clip_norm)
        # One broken batch must not poison the run.
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
            self._broken = 0
            return
        self._broken += 1
        if self._broken == _MOST_BROKEN:
            raise UsflowError(
                f"the gradient of {_MOST_BROKEN} steps on end, up to step {self.step}, "
                "was not finite; resume from an earlier checkpoint with a lower "
                "learning rate"
            )

    @torch.no_grad()
    def _initialise(self, flow: Glow) -> None:
        """Set the actnorms by a first batch over all noise levels."""
        c = self.config.flow
        rng = np.random.default_rng([self.config.seed, 2**31])
        x = torch.from_numpy(self.sampler.draw(128, rng))
        noise = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32))
        high = c.sigma_max if c.conditional else c.sigma_min
        spread = torch.linspace(math.log(c.sigma_min), math.log(high), len(x)).exp()
        flow.log_prob(x + spread[:, None, None, None] * noise)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        ours, theirs = self.average.state_dict(), self.flow.state_dict()
        for key, value in ours.items():
            if value.is_floating_point():
                value.lerp_(theirs[key], 1 - decay)
            else:
                value.copy_(theirs[key])

    def validate(self) -> Validated:
        """Judge the averaged weights on the held-out patches."""
        x = self._held_out
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).to(x)
        smallest = self.config.flow.sigma_min
        with torch.no_grad():
            log_p = torch.cat(
                [
                    self.average.log_prob(y, smallest)
                    for y in (x + smallest * noise).split(_EVALUATION_BATCH)
                ]
            )
        nats = -float(log_p.double().mean()) / self.flow.dimension
        psnr = {}
        for sigma in VALIDATION_SIGMAS if self.config.flow.conditional else ():
            error = [
                (self._denoise(a + sigma * n, sigma) - a).square().mean(dim=(1, 2, 3))
                for a, n in zip(
                    x.split(_EVALUATION_BATCH),
                    noise.split(_EVALUATION_BATCH),
                    strict=True,
                )
            ]
            psnr[sigma] = float(-10 * torch.cat(error).clamp_min(1e-8).log10().mean())
        event = Validated(self.step, nats / math.log(2) + 8.0, psnr)
        self.quality = asdict(event)
        return event

    def _denoise(self, y: Tensor, sigma: float) -> Tensor:
        return self.average.posterior_mean(y, sigma)[0].clamp(0.0, 1.0)

    def preview(self) -> Previewed:
        """Draw samples, and denoise held-out patches, with the averaged weights."""
        size = self.config.flow.patch_size
        x = self._held_out[:_PREVIEWS]
        generator = torch.Generator().manual_seed(3)
        z = torch.randn(len(x), self.flow.dimension, generator=generator).to(x)
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

    def save(self, path: Path) -> None:
        """Write everything that is needed to go on."""
        state = {
            "step": self.step,
            "flow": self.flow.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "quality": json.dumps(self.quality),
            "architecture": json.dumps(asdict(self.config.flow)),
            "time": time.time(),
        }
        # In memory first: torch turns a full disk into an error of its own.
        buffer = io.BytesIO()
        torch.save(state, buffer)
        with write_beside(path) as beside:
            beside.write_bytes(buffer.getbuffer())

    def load(self, path: Path) -> None:
        """Go back to a checkpoint.

        Raises
        ------
        PriorError
            When it cannot be read, or was made with another architecture.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            made_with = json.loads(state["architecture"])
        except Exception as error:
            raise PriorError(
                f"{path}: not a readable checkpoint ({error}); resume from another"
            ) from error
        ours = json.loads(json.dumps(asdict(self.config.flow)))
        differ = ", ".join(
            f"{key} {made_with.get(key)} and not {value}"
            for key, value in ours.items()
            if made_with.get(key) != value
        )
        if differ:
            raise PriorError(
                f"{path}: made with another architecture ({differ}); go on with the "
                "configuration it was begun with, or name another folder"
            )
        self.flow.load_state_dict(state["flow"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.quality = json.loads(state["quality"])
