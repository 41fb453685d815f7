"""Results of the test of Gaussian noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Example", "GaussianTest", "Score"]

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Score:
    """Mean quality of a method over the crops of one anatomy at one noise level.

    Quality and time are NaN where the method ended without an image.

    Attributes
    ----------
    method, prior : str
        ``prior`` is empty for a method without one.
    anatomy : str
    sigma : float
        Fraction of the value range.
    psnr_db, ssim : float
    psnr_half_db, ssim_half : float, optional
        Half of the 95 % confidence interval over subjects; None where there is one.
    crops, subjects : int
        How many crops, and of how many subjects.
    seconds : float
        Of one crop.
    setting : str
        Parameters that were chosen or fitted, or why there is no image.
    """

    method: str
    prior: str
    anatomy: str
    sigma: float
    psnr_db: float
    ssim: float
    psnr_half_db: float | None
    ssim_half: float | None
    crops: int
    subjects: int
    seconds: float
    setting: str

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return f"{self.method} ({self.prior})" if self.prior else self.method


@dataclass(frozen=True)
class Example:
    """A few crops of an anatomy at one noise level; arrays are (N, Z, X).

    ``results`` maps a label to what that method made of ``noisy``.
    """

    anatomy: str
    sigma: float
    clean: Float
    noisy: Float
    results: dict[str, Float]


@dataclass(frozen=True)
class GaussianTest:
    """Result of the test: its table, and a few crops of each anatomy to look at."""

    scores: Sequence[Score]
    examples: Sequence[Example]
