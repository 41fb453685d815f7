"""What the test on PICMUS images gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["Carotid", "PicmusScore", "PicmusTest", "PointScore", "label_of"]

Float = npt.NDArray[np.float32]


def label_of(method: str, prior: str, block: int | None) -> str:
    """Return the name of a method, its prior and its block in tables and figures."""
    name = f"{method} ({prior})" if prior else method
    if block is None:
        return name
    return f"{name}, own pixel" if block == 1 else f"{name}, block {block}"


@dataclass(frozen=True)
class PicmusScore:
    """One method on one scene at one number of plane waves; means over the targets.

    Attributes
    ----------
    method, prior : str
        ``input`` for the image itself; ``prior`` is empty for a method without one.
    block : int, optional
        Side of the blocks whose means a classical filter works on; None where the grain
        decides, and for all that is no such filter.
    scene : {"experiment", "simulation"}
    plane_waves : int
    contrast_db, gcnr : float
        Of the cysts.
    edge_mm : float
        10-90 % width of their edge.
    speckle_db : float
        Standard deviation that is left in the homogeneous regions.
    level_db : float
        How far their mean level was moved.
    fwhm_axial_mm, fwhm_lateral_mm, peak_db : float
        Widths of the points at -6 dB, and how far their peaks were moved.
    seconds : float
        Of the contrast image.
    setting : str
        The strength that was found.
    """

    method: str
    prior: str
    block: int | None
    scene: str
    plane_waves: int
    contrast_db: float
    gcnr: float
    edge_mm: float
    speckle_db: float
    level_db: float
    fwhm_axial_mm: float
    fwhm_lateral_mm: float
    peak_db: float
    seconds: float
    setting: str = ""

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return label_of(self.method, self.prior, self.block)


@dataclass(frozen=True)
class PointScore:
    """One method on one point; see :class:`PicmusScore` for the first five.

    Attributes
    ----------
    depth_mm, lateral_mm : float
        Where the point is.
    fwhm_axial_mm, fwhm_lateral_mm : float
        Widths at -6 dB of the brightest spot within 1.8 mm.
    peak_db : float
        How far its peak was moved.
    kept : bool
        Whether it is still there: moved by no more than 6 dB, each width between two
        thirds and three halves of the input's.
    """

    method: str
    prior: str
    block: int | None
    scene: str
    plane_waves: int
    depth_mm: float
    lateral_mm: float
    fwhm_axial_mm: float
    fwhm_lateral_mm: float
    peak_db: float
    kept: bool


@dataclass(frozen=True)
class Carotid:
    """The in-vivo image, its results by label; decibels, one frame each."""

    image: UltrasoundImage
    results: Mapping[str, Float]


@dataclass(frozen=True)
class PicmusTest:
    """What the test gave.

    Attributes
    ----------
    scores : sequence of PicmusScore
    points : sequence of PointScore
        The points of these scores, one by one.
    images : mapping
        From (scene, plane waves) to the contrast image.
    results : mapping
        From (scene, plane waves) to frames (Z, X) in dB by label.
    carotid : Carotid, optional
    """

    scores: Sequence[PicmusScore]
    points: Sequence[PointScore]
    images: Mapping[tuple[str, int], UltrasoundImage]
    results: Mapping[tuple[str, int], Mapping[str, Float]]
    carotid: Carotid | None = None
