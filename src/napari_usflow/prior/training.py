"""Training a prior: one loop, a generator of events, that can stop and go on.

First the likelihood of noisy patches is maximised over a range of noise levels. Then
the error of the posterior mean (Tweedie's formula) is trained as well: likelihood alone
cares little for the small errors of the score that denoising multiplies by sigma^2.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_usflow.errors import PriorError
from napari_usflow.io.fastmri import find_files, read_stack
from napari_usflow.io.writing import write_beside
from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.parameters import check_parameters
from napari_usflow.prior.configs import CONFIGS, TrainConfig
from napari_usflow.prior.glow import Glow
from napari_usflow.prior.patches import PatchSampler
from napari_usflow.prior.store import save_prior

__all__ = [
    "CheckpointWritten",
    "TrainStep",
    "Validated",
    "train_prior",
]

VALIDATION_SIGMAS = (0.1, 0.2, 0.3, 0.4)


@dataclass(frozen=True)
class TrainStep(Event):
    """A step was taken."""

    step: int
    steps: int
    loss: float
    learning_rate: float
    patches_per_second: float


@dataclass(frozen=True)
class Validated(Event):
    """Quality of the averaged weights on held-out patches.

    ``bits_per_dim`` is at the smallest noise level, on a scale of 256 grey levels;
    ``psnr_db`` of the posterior mean, one a noise level.
    """

    step: int
    bits_per_dim: float
    psnr_db: dict[float, float]


@dataclass(frozen=True)
class CheckpointWritten(Event):
    """Everything needed to go on was written."""

    step: int
    path: Path


def train_prior(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str],
    config: TrainConfig | str | None = None,
    resume: bool = False,
    validation: str | os.PathLike[str] | None = None,
    minutes: float | None = None,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, Path]:
    """Train a prior; yields events and returns the path of the prior file.

    Parameters
    ----------
    data : path or sequence of paths
        MRI files in the fastMRI layout, or folders of them.
    out : path
        Run folder: ``prior.safetensors``, ``checkpoint.pt``, ``config.json``,
        ``log.jsonl``.
    config : TrainConfig or str, optional
        Or a name of :data:`CONFIGS`; ``cpu`` when omitted.
    resume : bool
        Go on from the run folder's checkpoint; starts when there is none.
    validation : path, optional
        Held-out files. Without it every tenth file of ``data`` is held out.
    minutes : float, optional
        Stop (and save) after so many minutes more.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        When cancelled, the run is saved and ends.

    Raises
    ------
    FileFormatError
        When a data file cannot be used.
    PriorError
        When the checkpoint does not fit the configuration.
    ValueError
        When there is no such configuration, or the folder holds another run.
    """
    from napari_usflow.device import choose_device

    if not isinstance(config, TrainConfig):
        name = config or "cpu"
        if name not in CONFIGS:
            raise ValueError(
                f"there is no configuration {name!r}; choose one of "
                f"{', '.join(CONFIGS)}"
            )
        config = CONFIGS[name]
    check_parameters(config)
    token = token or CancelToken()
    paths = [data] if isinstance(data, str | os.PathLike) else list(data)
    files = find_files([Path(p) for p in paths])
    held_out = find_files([Path(validation)]) if validation else files[::10]
    if validation is None and len(files) > 1:
        files = [f for f in files if f not in held_out]
    run = Path(out)
    run.mkdir(parents=True, exist_ok=True)
    for name in ("checkpoint.pt", "prior.safetensors"):
        if not resume and (run / name).exists():
            raise ValueError(
                f"{run} holds {name} of an earlier run; resume it, or name another "
                "folder"
            )
    yield Note(f"reading {len(files)} files for training, {len(held_out)} held out")
    size = config.flow.patch_size
    sampler = PatchSampler([read_stack(f) for f in files], config.patches, size)
    plain = replace(config.patches, uniform_fraction=0.0, contrast_fraction=0.0)
    held = PatchSampler([read_stack(f) for f in held_out], plain, size)
    trainer = _Trainer(config, choose_device(device), run)
    trainer.set_validation(held.draw(256, np.random.default_rng(1)))
    if resume and trainer.checkpoint.is_file():
        trainer.load()
        yield Note(f"going on from step {trainer.step} of {config.steps}")
    with write_beside(run / "config.json") as beside:
        beside.write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")
    names = [f.name for f in files]
    started = saved = time.monotonic()
    while trainer.step < config.steps and not token.cancelled:
        before = time.monotonic()
        loss, rate = trainer.train_step(sampler)
        now = time.monotonic()
        yield TrainStep(
            trainer.step, config.steps, loss, rate, config.batch_size / (now - before)
        )
        if trainer.step % config.validate_every == 0:
            yield trainer.validate()
        if now - saved > 60 * config.checkpoint_minutes:
            saved = now
            yield trainer.save(names)
        if minutes is not None and now - started > 60 * minutes:
            break
    if trainer.step > 0:
        yield trainer.validate()
        yield trainer.save(names)
    return trainer.prior


class _Trainer:
    """The state of a run: model, average, optimizer, random numbers, step."""

    def __init__(self, config: TrainConfig, device: torch.device, run: Path) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        self.checkpoint, self.prior = run / "checkpoint.pt", run / "prior.safetensors"
        self.log = run / "log.jsonl"
        self.flow = Glow(config.flow).to(device).train()
        self.average = Glow(config.flow).to(device).eval()
        self.average.load_state_dict(self.flow.state_dict())
        dtype = torch.bfloat16 if config.bfloat16 else torch.float32
        self.flow.set_compute_dtype(dtype)
        self.average.set_compute_dtype(dtype)
        self.optimizer = torch.optim.Adam(
            self.flow.parameters(), lr=config.learning_rate, betas=(0.9, 0.99)
        )
        self.rng = np.random.default_rng(config.seed)
        self.step = 0
        self.quality: dict[str, Any] = {}

    def set_validation(self, patches: np.ndarray) -> None:
        self.held_out = torch.from_numpy(patches).to(self.device)

    def learning_rate(self) -> float:
        c = self.config
        if self.step < c.warmup_steps:
            return c.learning_rate * (self.step + 1) / c.warmup_steps
        progress = min(1.0, self.step / max(1, c.steps))
        fall = 0.5 * (1 + math.cos(math.pi * progress))
        return c.final_learning_rate + (c.learning_rate - c.final_learning_rate) * fall

    def train_step(self, sampler: PatchSampler) -> tuple[float, float]:
        c = self.config
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        clean = torch.from_numpy(sampler.draw(c.batch_size, self.rng)).to(self.device)
        noise = torch.from_numpy(
            self.rng.standard_normal(clean.shape, dtype=np.float32)
        ).to(self.device)
        sigmas = self._noise_levels()
        if self.step == 0:
            self._initialise(clean, noise)
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        parts = zip(
            sigmas, clean.chunk(len(sigmas)), noise.chunk(len(sigmas)), strict=True
        )
        for sigma, x, n in parts:
            loss = self._loss(x, x + sigma * n, sigma) / len(sigmas)
            loss.backward()
            total += float(loss.detach())
        parameters = list(self.flow.parameters())
        torch.nn.utils.clip_grad_value_(parameters, c.clip_value)
        norm = torch.nn.utils.clip_grad_norm_(parameters, c.clip_norm)
        # One broken batch must not poison the run.
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
        self.step += 1
        self._update_average()
        return total, rate

    def _noise_levels(self) -> list[float]:
        c = self.config
        low, high = math.log(c.flow.sigma_min), math.log(c.flow.sigma_max)
        if not c.flow.conditional:
            return [c.flow.sigma_min]
        if self.step >= c.likelihood_steps:
            # Below this the denoising error no longer says anything.
            low = max(low, math.log(0.02))
        # Stratified over the groups of a step, so that each sees the whole range.
        u = (
            np.arange(c.noise_groups) + self.rng.random(c.noise_groups)
        ) / c.noise_groups
        return [math.exp(low + (high - low) * float(v)) for v in u]

    def _loss(self, x: torch.Tensor, y: torch.Tensor, sigma: float) -> torch.Tensor:
        c = self.config
        pixels = self.flow.dimension
        if self.step < c.likelihood_steps:
            return -self.flow.log_prob(y, sigma).mean() / pixels
        estimate, log_p = self.flow.posterior_mean(y, sigma, create_graph=True)
        # The error grows about as sigma: divided by it, every level counts alike.
        error = (estimate - x).square().mean() / sigma
        return 10.0 * error - c.likelihood_weight * log_p.mean() / pixels

    @torch.no_grad()
    def _initialise(self, clean: torch.Tensor, noise: torch.Tensor) -> None:
        c = self.config.flow
        spread = torch.linspace(
            math.log(c.sigma_min),
            math.log(c.sigma_max if c.conditional else c.sigma_min),
            len(clean),
        ).exp()
        self.flow.log_prob(clean + spread.to(clean)[:, None, None, None] * noise)
        self.average.load_state_dict(self.flow.state_dict())

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
        x = self.held_out
        generator = torch.Generator().manual_seed(2)
        noise = torch.randn(x.shape, generator=generator).to(x)
        smallest = self.config.flow.sigma_min
        with torch.no_grad():
            log_p = torch.cat(
                [
                    self.average.log_prob(y, smallest)
                    for y in (x + smallest * noise).split(64)
                ]
            )
        nats = -float(log_p.double().mean()) / self.flow.dimension
        psnr = {}
        for sigma in VALIDATION_SIGMAS if self.config.flow.conditional else ():
            error = [
                (self.average.posterior_mean(a + sigma * n, sigma)[0].clamp(0, 1) - a)
                .square()
                .mean(dim=(1, 2, 3))
                for a, n in zip(x.split(64), noise.split(64), strict=True)
            ]
            psnr[sigma] = float(-10 * torch.cat(error).clamp_min(1e-8).log10().mean())
        event = Validated(self.step, nats / math.log(2) + 8.0, psnr)
        self.quality = asdict(event)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps({**self.quality, "time": time.time()}) + "\n")
        return event

    def save(self, names: list[str]) -> CheckpointWritten:
        card = {
            "pixel_mm": self.config.patches.pixel_mm,
            "value_range": [0.0, 1.0],
            "training": {**asdict(self.config), "steps_done": self.step},
            "data": names,
            "held_out": self.quality,
        }
        save_prior(self.average, self.prior, card)
        state = {
            "step": self.step,
            "flow": self.flow.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "numpy": json.dumps(self.rng.bit_generator.state),
            "torch": torch.get_rng_state(),
            "architecture": json.dumps(asdict(self.config.flow)),
        }
        with write_beside(self.checkpoint) as beside:
            torch.save(state, beside)
        return CheckpointWritten(self.step, self.checkpoint)

    def load(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        if state["architecture"] != json.dumps(asdict(self.config.flow)):
            raise PriorError(
                f"{self.checkpoint}: made with another architecture "
                f"({state['architecture']}); use its configuration or another folder"
            )
        self.flow.load_state_dict(state["flow"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = json.loads(state["numpy"])
        torch.set_rng_state(state["torch"].cpu())
        self.step = state["step"]
