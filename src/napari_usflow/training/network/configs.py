"""Configuration of a network's training, and the named configurations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from napari_usflow.mri.patch_config import PatchConfig
from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.parameters import parameter
from napari_usflow.training.run_config import RunConfig, read_run_config

__all__ = ["MARGIN", "NETWORK_CONFIGS", "NetworkConfig", "read_network_config"]

MARGIN = 16
"""Pixels around a patch that are simulated with it, for its speckle to be whole."""


def _patches() -> PatchConfig:
    # Scenes vary the contrast themselves.
    return PatchConfig(uniform_fraction=0.02, contrast_fraction=0.0, knee_weight=1.5)


@dataclass(frozen=True)
class NetworkConfig(RunConfig):
    """Everything that decides the training of a network; stored with it."""

    kind: ClassVar[str] = "network"

    network: UNetConfig = field(default_factory=UNetConfig)
    patches: PatchConfig = field(default_factory=_patches)
    steps: int = parameter(12_000, help="steps of the run", minimum=1)
    batch_size: int = parameter(
        16,
        help="pairs a step, shared out evenly over processes",
        unit="pairs",
        minimum=1,
        maximum=100_000,
    )
    crop: int = parameter(
        128,
        help="side of the training patches, a multiple of 8",
        unit="pixel",
        minimum=8,
    )
    gaussian_fraction: float = parameter(
        0.1,
        help="share of pairs with white noise; the others have simulated speckle",
        minimum=0.0,
        maximum=1.0,
    )
    shift_weight: float = parameter(
        0.0,
        help="weight of the shift-equivariance loss; 0 turns it off",
        minimum=0.0,
    )
    weight_decay: float = parameter(1e-4, help="of AdamW", minimum=0.0, maximum=1.0)
    learning_rate: float = parameter(5e-4, help="of AdamW", minimum=0.0, maximum=1.0)
    final_learning_rate: float = parameter(
        1e-6, help="at the last step", minimum=0.0, maximum=1.0
    )
    warmup_steps: int = parameter(300, help="steps of rising learning rate", minimum=0)
    decay_fraction: float = parameter(
        0.85,
        help="share of the run, at its end, over which the learning rate falls",
        minimum=0.0,
        maximum=1.0,
    )
    clip_norm: float = parameter(0.1, help="largest norm of a gradient", minimum=0.0)
    average: float = parameter(
        0.9995, help="decay of the average of the weights", minimum=0.0, maximum=1.0
    )
    validate_every: int = parameter(500, help="steps between validations", minimum=1)
    validation_patches: int = parameter(
        64, help="held-out patches of a validation", unit="patches", minimum=1
    )

    def __post_init__(self) -> None:
        # Blocks of JPEG.
        if self.crop % 8:
            raise ValueError(f"crop is {self.crop} pixels; it must be a multiple of 8")

    @property
    def architecture(self) -> UNetConfig:
        """See :class:`~napari_usflow.training.run_config.RunConfig`."""
        return self.network

    @property
    def drawn_size(self) -> int:
        """Side of a patch with what is simulated around it."""
        return self.crop + 2 * MARGIN

    def share(self, processes: int = 1) -> int:
        """Pairs of a step that a process makes; rounded down to an even share."""
        return max(1, self.batch_size // processes)

    def patches_per_step(self, processes: int = 1) -> int:
        """Pairs of a step, of all processes together."""
        return self.share(processes) * processes


NETWORK_CONFIGS: dict[str, NetworkConfig] = {
    # The shipped networks of the method of that name. One network for both kinds of
    # noise was 0.5 dB worse on white noise.
    "realtime": NetworkConfig(shift_weight=1.0),
    "realtime-white": NetworkConfig(gaussian_fraction=1.0),
    # For a GPU.
    "best-network": NetworkConfig(
        network=UNetConfig(channels=(96, 192, 320), blocks=(2, 3, 4)), steps=40_000
    ),
}
"""Named configurations."""


def read_network_config(path: Path) -> NetworkConfig:
    """Read the configuration of a network's run.

    Raises
    ------
    ValueError
        When the file is damaged, or the run is one of another kind.
    """
    return read_run_config(path, NetworkConfig())
