"""Between an image's pixel and the pixel of the prior.

At the prior's pixel speckle is almost white, on a finer grid it is not, and a
denoiser that expects white noise would keep it as structure. A fine image is
therefore taken apart into interleaved images (``polyphase``): nothing is interpolated
and the resolution is kept. Their pixel is about two thirds of the prior's, a
compromise between edges, which want it fine, and speckle. ``resample`` interpolates
to the prior's pixel and back instead, which is quicker and blurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_usflow.denoise.contract import Frame
from napari_usflow.prior import PRIOR_PIXEL_MM
from napari_usflow.ultrasound.resample import (
    polyphase_merge,
    polyphase_split,
    resample_from,
    resample_to,
)

__all__ = ["PRIOR_PIXEL_MM", "Mode", "Sampling", "remove_grid"]

POLYPHASE_PIXEL_MM = PRIOR_PIXEL_MM / 1.5
"""The pixel at which interleaved images are denoised best.

Chosen on simulated plane-wave acquisitions (the sample at two other seeds, nine cysts
in full speckle; ``benchmarks/sampling.py``): contrast rose by 13.2, 13.4 and 10.7 dB,
against 12.1, 11.8 and 10.8 dB at best with about the prior's own pixel. That finer
images do better was first seen on the PICMUS images, so those are no independent test.
"""

SPECKLE_EXCESS = 1.4
"""White noise as strong as speckle is, at low frequencies, at that pixel.

Speckle is still correlated there, so its slow fluctuations are stronger than those of
white noise of the same standard deviation. Found on the same acquisitions: 1 leaves
mottle and 2 blurs, both at the cost of about 2 dB of contrast.
"""

TOLERANCE = 0.15
"""A pixel this much larger or smaller than wanted is taken as it is."""

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

        In mode ``polyphase`` a fine axis is split by the k that brings its pixel
        nearest to :data:`POLYPHASE_PIXEL_MM`; only a pixel coarser than the prior's
        is interpolated. In mode ``resample`` the pixel becomes the prior's. A pixel
        within 15 % of what is wanted, and an axis shorter than two coarse pixels, are
        left as they are.
        """
        pixel, steps = list(spacing_mm), [1, 1]
        finest = PRIOR_PIXEL_MM * (1 - TOLERANCE)
        for axis, spacing in enumerate(spacing_mm):
            if mode == "none" or shape[axis] < 2 * round(PRIOR_PIXEL_MM / spacing):
                continue
            if mode == "polyphase":
                steps[axis] = _nearest_multiple(spacing, POLYPHASE_PIXEL_MM)
                finest = POLYPHASE_PIXEL_MM * (1 - TOLERANCE)
            reached = spacing * steps[axis]
            if not finest <= reached <= PRIOR_PIXEL_MM * (1 + TOLERANCE):
                pixel[axis] = PRIOR_PIXEL_MM
        return cls(
            shape, spacing_mm, (pixel[0], pixel[1]), (steps[0], steps[1]), domain
        )

    @property
    def interpolates(self) -> bool:
        """Whether the frame is interpolated at all."""
        return self.pixel_mm != self.spacing_mm

    @property
    def reached_mm(self) -> tuple[float, float]:
        """Pixel of the images to be denoised (axial, lateral)."""
        axial, lateral = np.multiply(self.pixel_mm, self.steps)
        return float(axial), float(lateral)

    @property
    def reach(self) -> tuple[int, int]:
        """Pixels of the frame to one of the images to be denoised, at least 1."""
        axial, lateral = np.divide(self.reached_mm, self.spacing_mm)
        return max(1, round(axial)), max(1, round(lateral))

    @property
    def speckle_excess(self) -> float:
        """How many times stronger than white noise of its spread speckle counts.

        From 1 at the prior's pixel to :data:`SPECKLE_EXCESS` at
        :data:`POLYPHASE_PIXEL_MM` and below, linear in the logarithm of the pixel.
        """
        finer = np.log(PRIOR_PIXEL_MM / np.array(self.reached_mm)).mean()
        share = finer / np.log(PRIOR_PIXEL_MM / POLYPHASE_PIXEL_MM)
        return float(SPECKLE_EXCESS ** np.clip(share, 0.0, 1.0))

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


def _nearest_multiple(spacing: float, wanted: float) -> int:
    """Give the k for which k times the spacing is nearest, as a ratio, not too fine."""
    low = max(1, ceil(wanted * (1 - TOLERANCE) / spacing))
    return min(
        (low, low + 1), key=lambda k: max(k * spacing / wanted, wanted / (k * spacing))
    )


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
