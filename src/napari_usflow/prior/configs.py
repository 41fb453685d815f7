"""What decides a training run, and the runs that have a name."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from napari_usflow.parameters import parameter
from napari_usflow.prior.architecture import GlowConfig
from napari_usflow.prior.patch_config import PatchConfig

__all__ = ["CONFIGS", "TrainConfig", "read_config"]

T = TypeVar("T")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run; stored with it."""

    flow: GlowConfig = field(default_factory=GlowConfig)
    patches: PatchConfig = field(default_factory=PatchConfig)
    likelihood_steps: int = parameter(
        10_000, help="steps on the likelihood alone", minimum=0
    )
    denoising_steps: int = parameter(
        0, help="steps after these that also train the posterior mean", minimum=0
    )
    batch_size: int = parameter(
        128,
        help="patches a step, shared out evenly over noise levels and processes",
        unit="patches",
        minimum=2,
        maximum=100_000,
    )
    noise_groups: int = parameter(
        4,
        help="noise levels a step, each shared by a part of the batch; rounded up to "
        "a multiple of the processes",
        minimum=1,
    )
    learning_rate: float = parameter(1e-3, help="of Adam", minimum=0.0, maximum=1.0)
    final_learning_rate: float = parameter(
        2e-5, help="at the last step", minimum=0.0, maximum=1.0
    )
    warmup_steps: int = parameter(200, help="steps of rising learning rate", minimum=0)
    decay_fraction: float = parameter(
        0.4,
        help="share of the run, at its end, over which the learning rate falls",
        minimum=0.0,
        maximum=1.0,
    )
    denoising_weight: float = parameter(
        10.0, help="weight of the error of the posterior mean", minimum=0.0
    )
    likelihood_weight: float = parameter(
        0.02, help="weight of the likelihood beside the denoising error", minimum=0.0
    )
    denoising_sigma: float = parameter(
        0.03,
        help="noise level below which the likelihood alone is trained",
        unit="of the value range",
        minimum=0.0,
        maximum=1.0,
    )
    small_noise_weight: float = parameter(
        0.1, help="weight of the likelihood below that level", minimum=0.0
    )
    clip_value: float = parameter(50.0, help="largest entry of a gradient", minimum=0.0)
    clip_norm: float = parameter(5.0, help="largest norm of a gradient", minimum=0.0)
    average: float = parameter(
        0.999, help="decay of the average of the weights", minimum=0.0, maximum=1.0
    )
    validate_every: int = parameter(250, help="steps between validations", minimum=1)
    validation_patches: int = parameter(
        256, help="held-out patches of a validation", unit="patches", minimum=1
    )
    checkpoint_minutes: float = parameter(
        5.0, help="time between checkpoints", unit="min", minimum=0.001
    )
    checkpointing: bool = parameter(
        False,
        help="compute activations again in the backward pass: much less memory for the "
        "likelihood, a little less for the posterior mean",
    )
    bfloat16: bool = parameter(
        True, help="bfloat16 inside the couplings' networks; slow on CPUs without it"
    )
    seed: int = parameter(0, help="of weights, patches and noise", minimum=0)

    @property
    def steps(self) -> int:
        """All steps of the run."""
        return self.likelihood_steps + self.denoising_steps

    def parts(self, processes: int = 1) -> int:
        """Noise levels that each of the processes works on, one after the other.

        Processes share out the levels and not the patches of each: large parts are
        worked on faster.
        """
        return -(-self.noise_groups // processes)

    def part_size(self, processes: int = 1) -> int:
        """Patches of one noise level that a process works on at once.

        The batch is rounded down where it cannot be shared out evenly.
        """
        return max(1, self.batch_size // (self.parts(processes) * processes))

    def patches_per_step(self, processes: int = 1) -> int:
        """Patches of a step, of all processes together."""
        return self.part_size(processes) * self.parts(processes) * processes


CONFIGS: dict[str, TrainConfig] = {
    # The paper's recipe: one noise level (the dequantisation), likelihood only.
    "paper": TrainConfig(
        flow=GlowConfig(steps=(32,) * 3, hidden=(512,) * 3, conditional=False),
        patches=PatchConfig(
            only="knee", native_fraction=0.0, contrast_fraction=0.0, knee_weight=1.0
        ),
        batch_size=800,
        noise_groups=1,
    ),
    # A few hours on one core; the architecture of the shipped prior.
    "cpu": TrainConfig(
        flow=GlowConfig(depth=(2, 1)),
        likelihood_steps=2_000,
        denoising_steps=10_000,
        batch_size=96,
        noise_groups=3,
        learning_rate=7e-4,
    ),
    # For a GPU.
    "best": TrainConfig(
        flow=GlowConfig(steps=(12, 12, 12), hidden=(128, 160, 192), depth=(2, 1)),
        likelihood_steps=20_000,
        denoising_steps=30_000,
        batch_size=256,
        noise_groups=4,
    ),
}
"""Named configurations."""


def read_config(path: Path) -> TrainConfig:
    """Read the configuration of a run.

    Fields that the file does not have, or that this version no longer has, are left
    at their defaults.

    Raises
    ------
    ValueError
        When the file is damaged.
    """
    try:
        return _filled(TrainConfig(), json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the configuration of a run ({error})") from error


def _filled(params: T, stored: dict[str, Any]) -> T:
    if not isinstance(stored, dict):
        raise TypeError(f"{stored!r} is no set of fields")
    changes: dict[str, Any] = {}
    for described in dataclasses.fields(params):  # type: ignore[arg-type]
        if described.name not in stored:
            continue
        value, now = stored[described.name], getattr(params, described.name)
        if dataclasses.is_dataclass(now):
            value = _filled(now, value)
        elif isinstance(now, tuple):
            value = tuple(value)
        changes[described.name] = value
    return dataclasses.replace(params, **changes)  # type: ignore[type-var]
