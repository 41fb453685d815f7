"""Settings shared by all methods."""

from __future__ import annotations

from dataclasses import dataclass

from napari_usflow.parameters import check_parameters, parameter

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """Settings shared by all methods."""

    sigma_db: float | None = parameter(
        None,
        unit="dB",
        minimum=0.01,
        maximum=100.0,
        help="Standard deviation of the speckle in dB: 5.6 for raw B-mode, 2 to 4 for "
        "scanner pictures; higher smooths more",
        left_out="measured in the middle frame",
    )
    strength: float = parameter(
        1.0,
        minimum=0.0,
        maximum=2.0,
        help="How much speckle is removed: raise it when grain is left, lower it when "
        "texture disappears; 0 keeps the input, and networks hardly change above 1",
    )
    dynamic_range_db: float = parameter(
        60.0,
        unit="dB",
        minimum=10.0,
        maximum=200.0,
        help="Decibels from black to white, as set on the scanner",
    )
    mix_back: float = parameter(
        0.0,
        minimum=0.0,
        maximum=1.0,
        help="Share of the removed speckle that is added back; a fifth keeps some "
        "texture",
    )
    bias_correction: bool = parameter(
        False,
        help="Raise the level by 2.51 dB, from the mean of log-compressed speckle to "
        "the logarithm of its mean intensity",
    )
    seed: int = parameter(
        0,
        minimum=0,
        maximum=2**31 - 1,
        help="The same seed gives the same result where a method is random",
    )
    # (black, white); None = as the image says, else the usual ones of its values.
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_parameters(self)
