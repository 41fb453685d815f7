"""What decides how training patches are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from napari_usflow.parameters import parameter
from napari_usflow.prior import PRIOR_PIXEL_MM

__all__ = ["OWN_NOISE", "PatchConfig"]

OWN_NOISE = ("keep", "drop", "clean")
"""What is done about the noise that training volumes have of their own."""


@dataclass(frozen=True)
class PatchConfig:
    """How training patches are drawn."""

    pixel_mm: float = parameter(
        PRIOR_PIXEL_MM, help="pixel the slices are brought to", unit="mm", minimum=0.05
    )
    uniform_fraction: float = parameter(
        0.05, help="share of patches of one value in [0, 0.5]", minimum=0.0, maximum=1.0
    )
    knee_weight: float = parameter(
        3.0,
        help="how much more often a knee is drawn than another anatomy",
        minimum=0.0,
    )
    native_fraction: float = parameter(
        0.15,
        help="share drawn from coarse scans at their own pixel, for sharper detail",
        minimum=0.0,
        maximum=1.0,
    )
    contrast_fraction: float = parameter(
        0.3, help="share given a random gain and offset", minimum=0.0, maximum=1.0
    )
    only: str = parameter(
        "", help="beginnings of file names to use, with commas between; empty is all"
    )
    own_noise: str = parameter(
        "keep",
        help="volumes' own noise: keep it, drop noisy volumes, or clean the slices",
        choices=OWN_NOISE,
    )
    max_own_noise: float = parameter(
        0.03,
        help="volumes with more noise of their own are dropped, if any are",
        unit="of the tissue's range",
        minimum=0.0,
        maximum=1.0,
    )

    def takes(self, name: str) -> bool:
        """Return whether ``only`` selects a volume of this name."""
        beginnings = [part.strip().lower() for part in self.only.split(",")]
        wanted = tuple(part for part in beginnings if part)
        return not wanted or name.lower().startswith(wanted)
