"""The results of the test on PICMUS images: tables, images, frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = [
    "PUBLISHED",
    "Carotid",
    "PicmusPoint",
    "PicmusScore",
    "PicmusTest",
    "label_of",
]

Float = npt.NDArray[np.float32]


PUBLISHED = "published"
"""Stands for the prior of a method whose results other people have published."""


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
        ``input`` for the image itself; ``prior`` is empty for a method without one, and
        :data:`PUBLISHED` for results of other people.
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
        How far their mean level was moved; NaN for results of other people.
    fwhm_axial_mm, fwhm_lateral_mm, peak_db : float
        Widths of the points at -6 dB, and how far their peaks were moved.
    seconds : float
        Of the contrast image; NaN for results of other people.
    setting : str
        Strength that was chosen; file names of results of other people.
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
class PicmusPoint:
    """One point of a scene in the result of one method.

    Attributes
    ----------
    method, prior, block, scene, plane_waves
        As in :class:`PicmusScore`.
    z_mm, x_mm : float
        Position of the point in the phantom.
    peak_db : float
        Peak in the result, relative to the input.
    above_db : float
        Peak in the result above its surroundings.
    lost : bool
        Whether that is less than 6 dB.
    axial_mm, lateral_mm : float
        Widths at -6 dB in the result; NaN where the point is lost.
    input_axial_mm, input_lateral_mm : float
        Widths at -6 dB in the input.
    """

    method: str
    prior: str
    block: int | None
    scene: str
    plane_waves: int
    z_mm: float
    x_mm: float
    peak_db: float
    above_db: float
    lost: bool
    axial_mm: float
    lateral_mm: float
    input_axial_mm: float
    input_lateral_mm: float

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return label_of(self.method, self.prior, self.block)


@dataclass(frozen=True)
class Carotid:
    """The in-vivo image, its results by label; decibels, one frame each."""

    image: UltrasoundImage
    results: Mapping[str, Float]


@dataclass(frozen=True)
class PicmusTest:
    """Results of the test.

    Attributes
    ----------
    scores : sequence of PicmusScore
    points : sequence of PicmusPoint
        Empty where the folder holds no image of points.
    images : mapping
        From (scene, plane waves) to the contrast image.
    results : mapping
        From (scene, plane waves) to frames (Z, X) in dB by label.
    carotid : Carotid, optional
    """

    scores: Sequence[PicmusScore]
    points: Sequence[PicmusPoint]
    images: Mapping[tuple[str, int], UltrasoundImage]
    results: Mapping[tuple[str, int], Mapping[str, Float]]
    carotid: Carotid | None = None
