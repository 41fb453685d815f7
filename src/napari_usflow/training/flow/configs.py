"""Configuration of a flow's training, and the named configurations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from napari_usflow.mri.patch_config import PatchConfig
from napari_usflow.parameters import parameter
from napari_usflow.prior.architecture import GlowConfig
from napari_usflow.training.run_config import RunConfig, read_run_config

__all__ = ["CONFIGS", "TrainConfig", "read_config"]


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """Everything that decides the training of a flow; stored with it."""

    kind: ClassVar[str] = "flow"

    flow: GlowConfig = field(default_factory=GlowConfig)
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
    second_moment: float = parameter(
        0.99,
        help="decay of the second moment of Adam (beta 2); its own default is 0.999",
        minimum=0.0,
        maximum=1.0,
    )
    checkpointing: bool = parameter(
        False,
        help="compute activations again in the backward pass: much less memory for the "
        "likelihood, a little less for the posterior mean",
    )

    @property
    def steps(self) -> int:
        """All steps of the run."""
        return self.likelihood_steps + self.denoising_steps

    @property
    def architecture(self) -> GlowConfig:
        """See :class:`~.run_config.RunConfig`."""
        return self.flow

    @property
    def drawn_size(self) -> int:
        """Side of a patch."""
        return self.flow.patch_size

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


# What the paper states, and where it states nothing what docs/paper.md lists: one
# noise level (the dequantisation), likelihood only.
_PAPER = TrainConfig(
    flow=GlowConfig(
        steps=(32,) * 3,
        hidden=(512,) * 3,
        conditional=False,
        activation="relu",
        smallest_scale=0.0,
    ),
    patches=PatchConfig(
        only="knee",
        native_fraction=0.0,
        contrast_fraction=0.0,
        knee_weight=1.0,
        tenengrad_power=1.0,
        turned=False,
    ),
    batch_size=800,
    noise_groups=1,
    second_moment=0.999,
    average=0.0,
    checkpointing=True,
    bfloat16=False,
)

CONFIGS: dict[str, TrainConfig] = {
    "paper": _PAPER,
    # Five to nine hours on two cores; the architecture of the shipped prior.
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
    # The paper's recipe at a size and length that one core finishes in two hours. Of
    # few subjects patches are turned and mirrored.
    "paper-small": replace(
        _PAPER,
        flow=replace(_PAPER.flow, steps=(16,) * 3, hidden=(96,) * 3),
        patches=replace(_PAPER.patches, turned=True),
        likelihood_steps=4_200,
        batch_size=32,
        warmup_steps=100,
        checkpointing=False,
    ),
}
"""Named configurations."""


def read_config(path: Path) -> TrainConfig:
    """Read the configuration of a flow's run, see :func:`~.run_config.read_run_config`.

    Raises
    ------
    ValueError
        When the file is damaged, or the run is one of another kind.
    """
    return read_run_config(path, TrainConfig())
