"""Effect of the point-spread function on a log-compressed image.

The expected intensity of speckle is the echogenicity blurred with the squared
point-spread function; in decibels a bright pixel therefore spills into dark neighbours,
however little of it. How wide the function is can be read from the speckle: with an
envelope exp(-t^2 / 2 a^2) the speckle's intensity has the autocorrelation
q(t) = exp(-t^2 / 2 a^2), and the squared function is exp(-t^2 / a^2) = q(t)^2. Where
the width is known, a follows from the full width at half maximum, 2 a sqrt(2 ln 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.speckle_statistics import correlation

__all__ = ["SpeckleBlur", "neighbour_correlation"]

_RADIUS = 3
_FAINTEST = 1e-4  # of a kernel's middle
_LARGEST = 0.7
_CLIP_NATS = (-4.0, 2.0)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class SpeckleBlur:
    """x -> ln(h * e^(r x)) / r with a separable Gaussian h; symmetric at the borders.

    Attributes
    ----------
    neighbour : (float, float)
        Autocorrelation of the intensity of speckle between neighbouring pixels (axial,
        lateral), in [0, 1), at most 0.7 where it is measured; 0 is no blur.
    rate : float
        r, natural-logarithmic units of intensity in one unit of the frame's values.
    """

    neighbour: tuple[float, float]
    rate: float

    @classmethod
    def measured(cls, noise: Array, rate: float) -> SpeckleBlur:
        """Measure it in speckle.

        Parameters
        ----------
        noise : ndarray, shape (Z, X)
            Frame minus denoised frame, in the frame's values.
        rate : float
            As of the class.

        Notes
        -----
        The logarithm of the intensity has the autocorrelation Li2(q) / Li2(1), Li2
        the dilogarithm, which is inverted. What the denoiser missed at edges is
        clipped before.
        """
        if min(noise.shape) < 2 * _RADIUS or np.ptp(noise) == 0:
            return cls((0.0, 0.0), rate)
        nats = rate * np.asarray(noise, np.float64)
        rho = correlation(np.clip(nats - nats.mean(), *_CLIP_NATS), 1)
        return cls((_intensity(rho[2, 1]), _intensity(rho[1, 2])), rate)

    def apply(self, x: Array) -> Array:
        """Blur a log-mean intensity (Z, X)."""
        top = x.max()
        blurred = self._convolve(np.exp(self.rate * (x - top)))
        return np.asarray(top + np.log(blurred) / self.rate)

    def transpose(self, x: Array, expected: Array, residual: Array) -> Array:
        """Bring residuals of the blurred image back to the pixels they come from.

        The adjoint of the derivative of :meth:`apply` at ``x``, whose value there is
        ``expected``: J_ij = h_ij e^(r x_j) / e^(r expected_i), so that rows sum to 1.
        """
        top = x.max()
        shares = residual * np.exp(-self.rate * (expected - top))
        return np.asarray(np.exp(self.rate * (x - top)) * self._convolve(shares))

    def _convolve(self, intensity: Array) -> Array:
        from scipy.ndimage import convolve1d

        out = np.asarray(intensity, np.float64)
        for axis, q in enumerate(self.neighbour):
            radius = _RADIUS
            if q > 0:
                radius = max(radius, ceil(sqrt(log(_FAINTEST) / (2 * log(q)))))
            kernel = q ** (2.0 * np.arange(-radius, radius + 1) ** 2)
            out = convolve1d(out, kernel / kernel.sum(), axis=axis, mode="reflect")
        return out


def neighbour_correlation(width: float) -> float:
    """Return the intensity's autocorrelation at one pixel, ``q(1) = 2^(-4 / width^2)``.

    Parameters
    ----------
    width : float
        Full width at half maximum of the point-spread function's envelope, in pixels.
    """
    return float(2 ** (-4 / width**2))


def _intensity(rho: float) -> float:
    """Return the q for which Li2(q) / Li2(1) is rho, between 0 and the largest."""
    from scipy.optimize import brentq
    from scipy.special import spence

    def excess(q: float) -> float:
        # scipy's spence(x) is Li2(1 - x).
        return float(spence(1 - q)) / (np.pi**2 / 6) - rho

    if rho <= 0 or excess(_LARGEST) <= 0:
        return 0.0 if rho <= 0 else _LARGEST
    return float(brentq(excess, 0.0, _LARGEST, xtol=1e-9))
