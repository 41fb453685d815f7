"""Architecture of a network; readable without torch."""

from __future__ import annotations

from dataclasses import dataclass

from napari_usflow.parameters import parameter

__all__ = ["UNetConfig"]

_MOST_SCALES = 8
"""Each doubles the multiple that images are padded to: at 8 that is 256 pixels."""


@dataclass(frozen=True)
class UNetConfig:
    """Architecture of a network; stored with its weights."""

    channels: tuple[int, ...] = parameter(
        (64, 128, 256), help="channels at a half, a quarter, ... of the resolution"
    )
    blocks: tuple[int, ...] = parameter(
        (2, 2, 4), help="residual blocks on each scale, down and up"
    )
    antialias: bool = parameter(
        True, help="low-pass filter before each halving and after each doubling"
    )

    def __post_init__(self) -> None:
        if not 0 < len(self.channels) == len(self.blocks):
            raise ValueError(
                f"channels {self.channels} and blocks {self.blocks} need one entry a "
                "scale"
            )
        if len(self.channels) > _MOST_SCALES:
            raise ValueError(
                f"there are {len(self.channels)} scales in channels; at most "
                f"{_MOST_SCALES} can be had"
            )
        if min(self.channels) < 1 or min(self.blocks) < 0:
            raise ValueError(
                f"channels {self.channels} must be positive, blocks {self.blocks} not "
                "negative"
            )

    @property
    def multiple(self) -> int:
        """The sides of an image are padded to a multiple of this."""
        return int(2 ** len(self.channels))
