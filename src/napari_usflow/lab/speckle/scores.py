"""Results of the speckle test, and the score of one result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.metrics import psnr, ssim
from napari_usflow.evaluate.residuals import (
    fitted_offset,
    mean_bias,
    residual_whiteness,
)

__all__ = [
    "DYNAMIC_RANGE_DB",
    "UNIFORM",
    "Level",
    "Quality",
    "Reading",
    "SpeckleExample",
    "SpeckleScore",
    "SpeckleTest",
    "Speckled",
    "quality",
]

Float = npt.NDArray[np.float32]
Level = Literal["given", "estimated"]
Reading = Literal["display", "amplitude"]

DYNAMIC_RANGE_DB = 60.0
"""Decibels from 0 to 1 of the maps."""


UNIFORM = "uniform"
"""The map without structure, of half the range: what is flat must come out flat."""


@dataclass(frozen=True)
class Speckled:
    """Crops of one anatomy under speckle; arrays are (N, Z, X), 60 dB from 0 to 1.

    Attributes
    ----------
    anatomy : str
    reading : {"display", "amplitude"}
        What the grey of MRI was taken for.
    clean : ndarray
        Map of the echogenicity, in [0, 1].
    noisy : ndarray
        Not clipped. Its gain is that of the map, and the 2.51 dB by which
        log-compressed speckle lies low are added: a filter that keeps the mean level
        has that of the map.
    """

    anatomy: str
    reading: str
    clean: Float
    noisy: Float


@dataclass(frozen=True)
class Quality:
    """Mean scores over crops.

    Attributes
    ----------
    psnr_db, ssim : float
        Against the clean map, after the offset of each crop was fitted and the result
        clipped to [0, 1].
    offset_db : float
        The offset that was fitted: 0 for a filter that keeps the mean of the decibels.
    plain_psnr_db, plain_ssim : float
        Without that fit.
    bias_db : float
        How far the mean level of the input was moved.
    residual_db : float
        Standard deviation of input minus result where the map is above black; 5.57 for
        fully developed speckle.
    whiteness : float
        :func:`~napari_usflow.evaluate.residuals.residual_whiteness` of the same.
    spread_db : float
        Standard deviation of the results themselves: what is left, where the map is
        uniform.
    """

    psnr_db: float
    ssim: float
    offset_db: float
    plain_psnr_db: float
    plain_ssim: float
    bias_db: float
    residual_db: float
    whiteness: float
    spread_db: float


@dataclass(frozen=True)
class SpeckleScore:
    """One method on one anatomy: a line of the table; see :class:`Quality`.

    Attributes
    ----------
    method, prior : str
        ``prior`` is empty for a method without one. The method ``input`` is the
        speckled crops themselves; as its residual the speckle is given, input minus
        clean map, which is what the others' should be.
    anatomy : str
        :data:`UNIFORM` for the map without structure.
    reading : {"display", "amplitude"}
    level : {"given", "estimated"}
        How the noise level was known; empty for the input.
    sigma_db : float
        The noise level that was told.
    seconds : float
        Of one crop.
    setting : str
        Parameters that were chosen.
    """

    method: str
    prior: str
    anatomy: str
    reading: str
    level: str
    sigma_db: float
    psnr_db: float
    ssim: float
    offset_db: float
    plain_psnr_db: float
    plain_ssim: float
    bias_db: float
    residual_db: float
    whiteness: float
    spread_db: float
    seconds: float
    setting: str

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return f"{self.method} ({self.prior})" if self.prior else self.method


@dataclass(frozen=True)
class SpeckleExample:
    """One crop of every anatomy and reading to look at; frames are (Z, X).

    ``results`` maps a label to what that method made of ``noisy`` at the first of the
    noise levels, its offset fitted.
    """

    anatomy: str
    reading: str
    clean: Float
    noisy: Float
    results: Mapping[str, Float]


@dataclass(frozen=True)
class SpeckleTest:
    """Result of the test: its table, and crops to look at."""

    scores: Sequence[SpeckleScore]
    examples: Sequence[SpeckleExample]


def quality(speckled: Speckled, results: Float | None = None) -> Quality:
    """Score results (N, Z, X), by default the speckled crops themselves.

    As the residual of those the speckle is taken, input minus map. The scores of
    results that are not finite are NaN.
    """
    if results is not None and not np.isfinite(results).all():
        return Quality(*(math.nan for _ in fields(Quality)))
    rows = []
    taken_for_clean = speckled.clean if results is None else results
    results = speckled.noisy if results is None else results
    for clean, noisy, result, kept in zip(
        speckled.clean, speckled.noisy, results, taken_for_clean, strict=True
    ):
        # Below black nothing is seen, and an offset changes nothing there.
        seen = clean > 0
        offset = fitted_offset(result, clean, seen)
        fitted, plain = np.clip(result + offset, 0, 1), np.clip(result, 0, 1)
        removed = noisy - kept
        shown = np.where(seen, removed, removed[seen].mean())
        rows.append(
            (
                psnr(fitted, clean, data_range=1.0),
                ssim(fitted, clean, data_range=1.0),
                DYNAMIC_RANGE_DB * offset,
                psnr(plain, clean, data_range=1.0),
                ssim(plain, clean, data_range=1.0),
                DYNAMIC_RANGE_DB * mean_bias(result[seen], noisy[seen]),
                DYNAMIC_RANGE_DB * float(removed[seen].std()),
                residual_whiteness(shown),
                DYNAMIC_RANGE_DB * float(result.std()),
            )
        )
    return Quality(*(float(mean) for mean in np.mean(rows, axis=0)))
