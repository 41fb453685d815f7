"""Configuration of the draw of training patches."""

from __future__ import annotations

from dataclasses import dataclass

from napari_usflow.mri.anatomy import is_shown, words_of
from napari_usflow.parameters import parameter
from napari_usflow.prior import PRIOR_PIXEL_MM

__all__ = ["OWN_NOISE", "PatchConfig"]

OWN_NOISE = ("keep", "drop", "clean")
"""Treatment of the noise that training volumes have of their own."""


@dataclass(frozen=True)
class PatchConfig:
    """Configuration of the draw of training patches."""

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
        "",
        help="body parts to use, such as knee, with commas between: by what a file "
        "says, else by the beginning of its name; empty is all",
    )
    tenengrad_power: float = parameter(
        0.5,
        help="patches are drawn in proportion to this power of the Tenengrad measure; "
        "1 is the measure itself, 0.5 its root",
        minimum=0.0,
        maximum=2.0,
    )
    turned: bool = parameter(
        True, help="turn patches by quarters and mirror them, at random"
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

    def takes(self, name: str, anatomy: str = "") -> bool:
        """Return whether a volume is used, by ``only``.

        Parameters
        ----------
        name : str
            Of the volume.
        anatomy : str
            What its file says that it shows.
        """
        return is_shown(words_of(self.only), anatomy, name)
