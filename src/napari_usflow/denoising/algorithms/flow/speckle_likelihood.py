"""The likelihood of log-compressed speckle, in the values of a frame.

The mean intensity of L independent speckle values (looks) has a gamma distribution of
shape L about the echogenicity, its logarithm the Fisher-Tippett distribution. With y
the log-compressed frame, x the logarithm of the mean intensity and r the nats of
intensity (ln(10) / 10 of a decibel each) in one unit of the frame's values::

    p(y | x) = r L^L / Gamma(L) exp(L (s - e^s)),    s = r (y - x)

(J. W. Goodman, "Speckle Phenomena in Optics", 2007). For one look its standard
deviation is 5.570 dB and its mean lies 2.507 dB below x; for many looks it is Gaussian.
Deep nulls pull at x with a bounded force, where the Gaussian's grows without limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.speckle_statistics import (
    DB_PER_NAT,
    SPECKLE_DB,
    looks_from_std,
    looks_mean_db,
)

if TYPE_CHECKING:
    import torch

__all__ = ["BRIGHTEST", "SpeckleLikelihood", "kept_level"]

BRIGHTEST = 5.0
"""Intensity over its mean beyond which the likelihood goes on linearly.

Speckle is brighter with a probability of e^-5, so its mean moves by 0.03 dB only; a
point target, which is no speckle, would otherwise outweigh a whole patch.
"""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class SpeckleLikelihood:
    """p(y | x) of speckle of L looks, tempered.

    Attributes
    ----------
    looks : float
        L, at least 1: fully developed speckle is the strongest there is.
    rate : float
        r, natural-logarithmic units of intensity in one unit of the frame's values.
    weight : float
        In (0, 1]. Multiplies the log-likelihood: what neighbours that are correlated
        say together is said fewer times than there are pixels.
    """

    looks: float
    rate: float
    weight: float = 1.0

    @classmethod
    def of_noise(cls, sigma: float, dynamic_range_db: float) -> SpeckleLikelihood:
        """Choose looks and weight by the noise level.

        Less than the 5.57 dB of one look means more looks. More cannot be speckle: it
        is taken for speckle whose correlation makes it count as that much stronger.

        Parameters
        ----------
        sigma : float
            Standard deviation of the noise in the frame's values.
        dynamic_range_db : float
            Decibels from 0 to 1 of the frame's values.
        """
        std_db = sigma * dynamic_range_db
        rate = dynamic_range_db / DB_PER_NAT
        if std_db < SPECKLE_DB:
            return cls(looks_from_std(std_db), rate)
        return cls(1.0, rate, (SPECKLE_DB / std_db) ** 2)

    @property
    def bias(self) -> float:
        """Mean of y - x in the frame's values: (psi(L) - ln L) / r, never positive."""
        return looks_mean_db(self.looks) / DB_PER_NAT / self.rate

    @property
    def working_std(self) -> float:
        """Standard deviation of a working residual, 1 / (r sqrt(w L)).

        For one look 4.343 dB, where y itself has 5.570: the intensity tells more of
        its mean than its logarithm does.
        """
        return 1 / (self.rate * float(np.sqrt(self.looks * self.weight)))

    def working_residual(self, y: Array, x: Array) -> Array:
        """Return (e^s - 1) / r, the step of Fisher scoring.

        Minus the gradient of the negative log-likelihood over its expected second
        derivative w L r^2. To first order ``x + residual`` is an observation of x with
        the standard deviation :attr:`working_std`.

        Parameters
        ----------
        y, x : ndarray, same shape
            Frame and log-mean intensity, in the frame's values.
        """
        s = np.minimum(self.rate * (y - x), np.log(BRIGHTEST))
        return np.asarray((np.exp(s) - 1) / self.rate)

    def negative_log(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return w L (e^s - s - 1) of each pixel; 0 where y = x, convex in x."""
        s = self.rate * (y - x)
        beyond = (s - np.log(BRIGHTEST)).clamp_min(0.0)
        ratio = (s - beyond).exp() + BRIGHTEST * beyond
        value: torch.Tensor = self.weight * self.looks * (ratio - s - 1)
        return value


def kept_level(x: Array, expected: Array, y: Array) -> Array:
    """Shift a log-mean intensity to the level of the frame it was found in.

    By the mean of ``y - expected``: -2.507 dB in fully developed speckle, and what it
    truly is elsewhere. Pixels all of whose neighbours are the same (clipped, outside
    the sector) hold no noise, and say nothing about it.

    Parameters
    ----------
    x : ndarray, shape (Z, X)
        Log-mean intensity of the tissue.
    expected : ndarray, shape (Z, X)
        The same as the frame should show it, which is ``x`` unless it is blurred.
    y : ndarray, shape (Z, X)
        The frame.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    noisy = maximum_filter(y, size=3) > minimum_filter(y, size=3)
    residual = np.asarray(y, np.float64) - expected
    return x + residual[noisy].mean() if noisy.any() else x
