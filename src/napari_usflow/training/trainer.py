"""The state of a training run, and one step of it, whatever it trains.

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
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_usflow.errors import PriorError, UsflowError
from napari_usflow.files import write_beside
from napari_usflow.mri.patches import PatchSampler
from napari_usflow.training.checkpoint_file import read_state, unreadable
from napari_usflow.training.events import Previewed, Validated
from napari_usflow.training.run_config import RunConfig

__all__ = ["EVALUATION_BATCH", "VALIDATION_SIGMAS", "Trainer", "connect", "psnr_db"]

VALIDATION_SIGMAS = (0.1, 0.2, 0.3, 0.4)
EVALUATION_BATCH = 64
_MOST_BROKEN = 50
# The others wait while the first process prepares slices or validates.
_PATIENCE = timedelta(hours=24)

ConfigT = TypeVar("ConfigT", bound=RunConfig)
ModelT = TypeVar("ModelT", bound=nn.Module)


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


def psnr_db(result: Tensor, clean: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each of the images (B, 1, S, S) in [0, 1]."""
    error = (result - clean).square().mean(dim=(1, 2, 3))
    return -10 * error.clamp_min(1e-8).log10()


class Trainer(ABC, Generic[ConfigT, ModelT]):
    """Model, average, optimizer and step of a run.

    Random numbers are made anew for each step from (seed, step, process), so that
    there is no state of them to keep: a run that goes on draws what it would have
    drawn. A subclass says what is built, how a step's loss comes about and what the
    result is judged by.

    Parameters
    ----------
    config : RunConfig
    fabric : lightning_fabric.Fabric
        Launched.
    sampler : PatchSampler
        Of the training slices.
    held_out : ndarray, shape (N, 1, S, S)
        Validation patches.
    weights : dict, optional
        Of a trained model, to begin with.
    """

    def __init__(
        self,
        config: ConfigT,
        fabric: Any,
        sampler: PatchSampler,
        held_out: npt.NDArray[np.float32],
        *,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.config, self.fabric, self.sampler = config, fabric, sampler
        torch.manual_seed(config.seed)
        self.step = 0
        self.model = self._built().train()
        self.average = self._built().eval()
        if weights is None:
            self._initialise()
        else:
            self.model.load_state_dict(weights)
        self.average.load_state_dict(self.model.state_dict())
        self.average.to(fabric.device)
        self._held_out = torch.from_numpy(held_out)
        self.model.to(fabric.device)
        self.objective, self.optimizer = fabric.setup(
            self._objective(), self._optimizer()
        )
        self.quality: dict[str, Any] = {}
        self._broken = 0

    @abstractmethod
    def _built(self) -> ModelT:
        """Make a model with random weights."""

    def _initialise(self) -> None:
        """Initialise a new model from data."""

    @abstractmethod
    def _objective(self) -> nn.Module:
        """Make what gives the loss of a batch; all processes share its step."""

    @abstractmethod
    def _optimizer(self) -> torch.optim.Optimizer:
        """Make the optimizer of the model's weights."""

    @abstractmethod
    def _gradient(self, rng: np.random.Generator) -> float:
        """Draw the batch of this step, go backward, and give the loss."""

    @abstractmethod
    def _judge(self) -> Validated:
        """Judge the averaged weights on the held-out patches."""

    @abstractmethod
    def preview(self) -> Previewed:
        """Make pictures of what the averaged weights can do."""

    def _rng(self, step: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, step, self.fabric.global_rank])

    def learning_rate(self) -> float:
        """Return the learning rate of this step.

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
        """Take an optimizer step and return loss and learning rate."""
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.model.zero_grad(set_to_none=True)
        loss = self._gradient(self._rng(self.step))
        self._apply_gradients()
        self.step += 1
        self._update_average()
        return loss, rate

    def _clip(self, parameters: list[nn.Parameter]) -> Tensor:
        """Clip the gradients; give their norm before."""
        return nn.utils.clip_grad_norm_(parameters, self.config.clip_norm)

    def _apply_gradients(self) -> None:
        norm = self._clip(list(self.model.parameters()))
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
    def _update_average(self) -> None:
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        ours, theirs = self.average.state_dict(), self.model.state_dict()
        for key, value in ours.items():
            if value.is_floating_point():
                value.lerp_(theirs[key], 1 - decay)
            else:
                value.copy_(theirs[key])

    def validate(self) -> Validated:
        """Judge the averaged weights on the held-out patches; remember the result."""
        with torch.no_grad():
            judged = self._judge()
        self.quality = judged.record()
        return judged

    def save(self, path: Path) -> None:
        """Write everything that is needed to go on."""
        state = {
            "step": self.step,
            self.config.kind: self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "quality": json.dumps(self.quality),
            "architecture": json.dumps(asdict(self.config.architecture)),
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
        state = read_state(path, self.config.kind)
        # A field that an earlier version did not have is at its default.
        made_with = {
            **asdict(type(self.config.architecture)()),
            **state["architecture"],
        }
        ours = json.loads(json.dumps(asdict(self.config.architecture)))
        differ = ", ".join(
            f"{key} {made_with.get(key)} and not {value}"
            for key, value in ours.items()
            if made_with.get(key) != value
        )
        if differ:
            raise PriorError(
                f"{path}: made with another architecture ({differ}); go on with the "
                "configuration it was begun with, or choose another folder"
            )
        try:
            self.model.load_state_dict(state[self.config.kind])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except Exception as error:
            raise unreadable(path, error) from error
        self.step, self.quality = state["step"], state["quality"]
