"""Between an image's pixel and the pixel of the prior.

At the prior's pixel speckle is almost white, on a finer grid it is not, and a
denoiser that expects white noise would keep it as structure. A fine image is
therefore taken apart into interleaved images whose pixel is about the prior's
(``polyphase``): nothing is interpolated and the resolution is kept. ``resample``
interpolates down and up again instead, which is quicker and blurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_usflow.denoise.contract import Frame
from napari_usflow.ultrasound.resample import (
    polyphase_merge,
    polyphase_split,
    resample_from,
    resample_to,
)

__all__ = ["PRIOR_PIXEL_MM", "Mode", "Sampling", "remove_grid"]

PRIOR_PIXEL_MM = 14 / 32
"""The prior sees 32 by 32 pixels that cover 14 mm by 14 mm."""

TOLERANCE = 0.15
"""A pixel this much larger or smaller than the prior's is taken as it is."""

Mode = Literal["polyphase", "resample", "none"]


@dataclass(frozen=True)
class Sampling:
    """How frames of one shape and pixel are brought to the prior's pixel and back.

    Attributes
    ----------
    shape : (int, int)
        Of a frame (axial, lateral).
    spacing_mm : (float, float)
        Its pixel (axial, lateral).
    pixel_mm : (float, float)
        The pixel it is interpolated to, ``spacing_mm`` where it is not.
    steps : (int, int)
        How many interleaved images it is then split into along each axis.
    domain : {"db", "envelope"}
        What is interpolated.
    """

    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    pixel_mm: tuple[float, float]
    steps: tuple[int, int]
    domain: Literal["db", "envelope"] = "db"

    @classmethod
    def choose(
        cls,
        shape: tuple[int, int],
        spacing_mm: tuple[float, float],
        mode: Mode,
        domain: Literal["db", "envelope"] = "db",
    ) -> Sampling:
        """Choose the way, axis by axis.

        With k the prior's pixel over the image's, rounded: split by k when k pixels
        are within 15 % of the prior's, else interpolate to a k-th of the prior's
        pixel and split that. In mode ``resample`` k is always 1. An axis that is
        shorter than two of the prior's pixels is left as it is.
        """
        pixel, steps = list(spacing_mm), [1, 1]
        for axis, spacing in enumerate(spacing_mm):
            fits = max(1, round(PRIOR_PIXEL_MM / spacing))
            if mode == "none" or shape[axis] < 2 * fits:
                continue
            if mode == "polyphase":
                steps[axis] = fits
            if abs(spacing * steps[axis] / PRIOR_PIXEL_MM - 1) > TOLERANCE:
                pixel[axis] = PRIOR_PIXEL_MM / steps[axis]
        return cls(
            shape, spacing_mm, (pixel[0], pixel[1]), (steps[0], steps[1]), domain
        )

    @property
    def interpolates(self) -> bool:
        """Whether the frame is interpolated at all."""
        return self.pixel_mm != self.spacing_mm

    @property
    def name(self) -> str:
        """The way that was taken: polyphase, resample, both or none."""
        ways = ["resample"] * self.interpolates + ["polyphase"] * (self.steps != (1, 1))
        return "+".join(ways) or "none"

    def split(self, frame_db: Frame) -> list[Frame]:
        """Give the images to be denoised, each at about the prior's pixel.

        Parameters
        ----------
        frame_db : ndarray, shape (Z, X), float32, dB

        Returns
        -------
        list of ndarray, float32, dB
        """
        if self.interpolates:
            frame_db = resample_to(
                frame_db, self.spacing_mm, self.pixel_mm, domain=self.domain
            )
        if self.steps == (1, 1):
            return [frame_db]
        return polyphase_split(frame_db, self.steps)

    def merge(self, images_db: list[Frame]) -> Frame:
        """Put denoised images together again; the inverse of :meth:`split`."""
        if self.steps == (1, 1):
            merged = images_db[0]
        else:
            merged = remove_grid(polyphase_merge(images_db, self.steps), self.steps)
        if self.interpolates:
            merged = resample_from(merged, self.shape, self.spacing_mm, self.pixel_mm)
        return merged


def remove_grid(frame: Frame, steps: tuple[int, int]) -> Frame:
    """Even out what separately denoised interleaved images differ by.

    Their differences repeat with the interleaving, so the mean over one period has
    none. That mean alone would blur points to the size of the prior's pixel. It is
    therefore taken in proportion, by the local Wiener filter of Lee (1980): with m
    and v the mean and the variance over one period around a pixel and v0 the median
    of v, which homogeneous regions decide,

        out = m + max(v - v0, 0) / v * (frame - m).

    Parameters
    ----------
    frame : ndarray, shape (Z, X), float32
    steps : (int, int)
        Period of the interleaving (axial, lateral).
    """
    mean = _period_mean(frame.astype(np.float64), steps)
    variance = _period_mean(frame.astype(np.float64) ** 2, steps) - mean**2
    noise = float(np.median(variance))
    kept = np.clip(1 - noise / np.maximum(variance, 1e-12), 0, 1)
    return np.asarray(mean + kept * (frame - mean), dtype=np.float32)


def _period_mean(
    frame: npt.NDArray[np.float64], steps: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Centred mean over one period; an even one takes half of each end pixel."""
    from scipy.ndimage import convolve1d

    for axis, period in enumerate(steps):
        window = np.ones(period)
        if period % 2 == 0:
            window = np.concatenate([[0.5], np.ones(period - 1), [0.5]])
        frame = convolve1d(frame, window / period, axis=axis, mode="nearest")
    return frame
