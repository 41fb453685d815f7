"""The noise that a training volume has of its own: how much, and cleaning it.

Noise is told from tissue where tissue is smooth and not in the air, whose Rician noise
has another spread. The measure is a diagonal second difference, the outer product of
[1, -2, 1] / sqrt(6) with itself (J. Immerkaer, "Fast noise variance estimation", 1996),
read robustly (median over 0.6745). It is taken of neighbours and of every second pixel:
scanners interpolate (k-space is filled with zeros), which leaves no noise in the finest
diagonal detail. Noise that is flat up to a fraction ``band`` of the Nyquist frequency
gives, for pixels ``d`` apart and a = pi band d, the variance

    sigma^2 (m(a) / 6)^2,   m(a) = 6 - 8 sin(a) / a + sin(2 a) / a

so that the ratio of the two measures tells the band, and then sigma.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_usflow.mri.resampling import resample_slices

__all__ = ["OwnNoise", "clean_slice", "estimate_own_noise"]

Float = npt.NDArray[np.float32]

_SMOOTH = 2.0  # pixels
_FLATTEST = 0.25  # share of the tissue that is looked at
_DARKEST_TISSUE = 0.1
# Rician noise is Gaussian to 3 % in its spread from here on (Gudbjartsson and Patz
# 1995).
_LEAST_SNR = 4.0
_FEWEST_PIXELS = 200
_LARGEST_PART = 512  # pixels; the middle of a larger slice tells as much
_BANDS = np.linspace(0.4, 1.0, 61)


@dataclass(frozen=True)
class OwnNoise:
    """Noise of a volume at its own pixel.

    Attributes
    ----------
    std : float
        In units of the tissue's range [0, 1].
    band : float
        Fraction of the Nyquist frequency up to which it reaches, in [0.4, 1].
    """

    std: float
    band: float = 1.0

    def at_pixel(self, pixel_mm: tuple[float, float], target_mm: float) -> float:
        """Return its standard deviation once slices are resampled to a square pixel."""
        n = 96
        spectrum = np.fft.fft2(np.random.default_rng(0).standard_normal((n, n)))
        low = np.abs(np.fft.fftfreq(n)) <= 0.5 * self.band
        noise = np.fft.ifft2(spectrum * low * low[:, None]).real
        # Small enough about a half that no value is clipped.
        unit = 0.02 / noise.std()
        resampled = resample_slices(
            np.asarray(0.5 + unit * noise[None], np.float32), pixel_mm, target_mm
        )
        return self.std * float(resampled.std()) / 0.02


def estimate_own_noise(slices: Iterable[Float]) -> OwnNoise:
    """Estimate the noise of slices (H, W) whose tissue lies in [0, 1].

    Zero when there is too little tissue to tell. Fine texture counts as noise, so that
    the estimate is rather too high than too low where there is hardly any.
    """
    measures = []
    for whole in slices:
        image = whole[tuple(map(_middle, whole.shape))]
        smooth = ndimage.gaussian_filter(image, _SMOOTH)
        slope = np.hypot(*np.gradient(smooth))
        # The largest window of the measures lies inside the tissue.
        inside = ndimage.minimum_filter(smooth, 9)
        fine, coarse = (_second_difference(image, step) for step in (1, 2))
        measures.append(
            np.stack([inside, slope, fine, coarse]).astype(np.float32).reshape(4, -1)
        )
    if not measures:
        return OwnNoise(0.0)
    inside, slope, fine, coarse = np.concatenate(measures, axis=1)
    darkest, noise = _DARKEST_TISSUE, OwnNoise(0.0)
    for _ in range(3):
        tissue = inside > darkest
        if np.count_nonzero(tissue) < _FEWEST_PIXELS:
            break
        flat = tissue & (slope <= np.quantile(slope[tissue], _FLATTEST))
        noise = _from_measures(
            *(float(np.median(np.abs(m[flat]))) / 0.6745 for m in (fine, coarse))
        )
        darkest = max(_DARKEST_TISSUE, _LEAST_SNR * noise.std)
    return noise


def _middle(size: int) -> slice:
    before = max(0, (size - _LARGEST_PART) // 2)
    return slice(before, before + _LARGEST_PART)


def _second_difference(image: Float, step: int) -> npt.NDArray[np.float64]:
    """Diagonal second difference of pixels ``step`` apart, unit gain for white noise.

    Wrapped around at the border, which is not tissue.
    """
    out = np.asarray(image, np.float64)
    for axis in (0, 1):
        out = np.roll(out, step, axis) - 2 * out + np.roll(out, -step, axis)
    return out / 6.0


def _from_measures(fine: float, coarse: float) -> OwnNoise:
    if coarse <= 0:
        return OwnNoise(fine)
    of_fine, of_coarse = _gain(np.pi * _BANDS), _gain(2 * np.pi * _BANDS)
    best = int(np.argmin(np.abs(of_fine / of_coarse - fine / coarse)))
    return OwnNoise(coarse / float(of_coarse[best]), float(_BANDS[best]))


def _gain(a: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """m(a) / 6 of the module's equation."""
    return np.asarray((6 - 8 * np.sin(a) / a + np.sin(2 * a) / a) / 6)


def clean_slice(image: Float, noise: OwnNoise) -> Float:
    """Denoise a slice (H, W) lightly at its own noise, by non-local means."""
    from skimage.restoration import denoise_nl_means

    if noise.std <= 0:
        return image
    return np.asarray(
        denoise_nl_means(
            image,
            patch_size=5,
            patch_distance=5,
            # 0.8 sigma is the usual choice; less keeps texture near the noise.
            h=0.6 * noise.std,
            sigma=noise.std,
            fast_mode=True,
        ),
        dtype=np.float32,
    )
