"""Patches of MRI slices: where they are taken, and how.

Slices are resampled to the prior's pixel. Positions are drawn with a probability that
grows with the Tenengrad focus measure (mean squared Sobel gradient over the patch), so
that the flow sees more edges and texture than background; a small share of patches is
uniform, since ultrasound has regions without any structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_usflow.io.fastmri import MriStack
from napari_usflow.parameters import parameter
from napari_usflow.prior import PRIOR_PIXEL_MM

__all__ = [
    "PatchConfig",
    "PatchSampler",
    "resample_slices",
    "tenengrad",
]

_STRIDE = 4
Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PatchConfig:
    """How training patches are drawn."""

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


def resample_slices(
    slices: Float, pixel_mm: tuple[float, float], target_mm: float
) -> Float:
    """Resample slices (N, H, W) to a square pixel, smoothed first if it is coarser."""
    factors = [p / target_mm for p in pixel_mm]
    out = []
    for image in slices:
        blurred = ndimage.gaussian_filter(
            image, [max(0.0, 0.4 * (1 / f - 1)) if f < 1 else 0.0 for f in factors]
        )
        out.append(
            ndimage.zoom(blurred, factors, order=3, mode="mirror", grid_mode=True)
        )
    return np.asarray(np.clip(np.stack(out), 0.0, 2.0), dtype=np.float32)


def tenengrad(image: Float, size: int) -> Float:
    """Mean squared Sobel gradient over a window of ``size`` pixels, of shape (H, W).

    The focus measure of J. M. Tenenbaum (1970): the squared responses of the two Sobel
    filters, scaled to slopes per pixel, averaged over the patch.
    """
    energy = sum(np.square(ndimage.sobel(image, axis) / 8.0) for axis in (-2, -1))
    return np.asarray(ndimage.uniform_filter(energy, size), dtype=np.float32)


class PatchSampler:
    """Draws batches of clean patches from stacks held in memory at half precision.

    Parameters
    ----------
    stacks : sequence of MriStack
    config : PatchConfig
    patch_size : int
    """

    def __init__(
        self, stacks: Sequence[MriStack], config: PatchConfig, patch_size: int
    ) -> None:
        self.config, self.size = config, patch_size
        self._sets: list[
            tuple[npt.NDArray[np.float16], npt.NDArray[np.float64], tuple[int, int]]
        ]
        self._sets, weights = [], []
        for stack in stacks:
            weight = config.knee_weight if "knee" in stack.name.lower() else 1.0
            weight *= len(stack.slices) ** 0.5
            coarse = min(stack.pixel_size_mm) > 1.25 * config.pixel_mm
            versions = [
                (stack.pixel_size_mm, 1.0 - (config.native_fraction if coarse else 0.0))
            ]
            if coarse and config.native_fraction > 0:
                versions.append(
                    ((config.pixel_mm, config.pixel_mm), config.native_fraction)
                )
            for pixel, share in versions:
                entry = self._prepare(stack.slices, pixel)
                if entry is not None:
                    self._sets.append(entry)
                    weights.append(weight * share)
        if not self._sets:
            raise ValueError(
                f"no slice is larger than a patch of {patch_size} pixels of "
                f"{config.pixel_mm} mm"
            )
        self._weights = np.asarray(weights) / np.sum(weights)

    def _prepare(
        self, slices: Float, pixel_mm: tuple[float, float]
    ) -> (
        tuple[npt.NDArray[np.float16], npt.NDArray[np.float64], tuple[int, int]] | None
    ):
        images = resample_slices(slices, pixel_mm, self.config.pixel_mm)
        rows, columns = ((d - self.size) // _STRIDE + 1 for d in images.shape[1:])
        if min(rows, columns) < 1:
            return None
        half = self.size // 2
        scores = np.stack(
            [
                tenengrad(image, self.size)[half::_STRIDE, half::_STRIDE][
                    :rows, :columns
                ]
                for image in images
            ]
        )
        # Proportional to the gradient's magnitude, not its energy: the energy would
        # draw little but the skin. The constant keeps smooth tissue in the set.
        probability = np.sqrt(np.maximum(scores, 0.0)).ravel().astype(np.float64)
        probability += 0.1 * probability.mean() + 1e-12
        return images.astype(np.float16), np.cumsum(probability), (rows, columns)

    def draw(self, count: int, rng: np.random.Generator) -> Float:
        """Draw ``count`` clean patches, shape (count, 1, S, S), float32, in [0, 1]."""
        s = self.size
        patches = np.empty((count, s, s), dtype=np.float32)
        for i, which in enumerate(rng.choice(len(self._sets), count, p=self._weights)):
            images, cumulative, (rows, columns) = self._sets[which]
            position = int(np.searchsorted(cumulative, rng.random() * cumulative[-1]))
            position = min(position, cumulative.size - 1)
            n, rest = divmod(position, rows * columns)
            r, c = divmod(rest, columns)
            r, c = (
                min(_STRIDE * p + int(rng.integers(_STRIDE)), limit - s)
                for p, limit in zip((r, c), images.shape[1:], strict=True)
            )
            patch = images[n, r : r + s, c : c + s]
            patches[i] = np.rot90(patch, int(rng.integers(4)))
            if rng.random() < 0.5:
                patches[i] = patches[i, :, ::-1]
        self._vary_contrast(patches, rng)
        uniform = rng.random(count) < self.config.uniform_fraction
        patches[uniform] = rng.uniform(0.0, 0.5, (int(uniform.sum()), 1, 1))
        return np.clip(patches, 0.0, 1.0)[:, None]

    def _vary_contrast(self, patches: Float, rng: np.random.Generator) -> None:
        # B-mode images are greyer than MRI: their tissue has less contrast on a higher
        # level.
        chosen = np.flatnonzero(
            rng.random(len(patches)) < self.config.contrast_fraction
        )
        gain = rng.uniform(0.4, 1.1, (chosen.size, 1, 1))
        offset = rng.uniform(0.0, 1.0, (chosen.size, 1, 1)) * np.maximum(
            1.0 - gain, 0.0
        )
        patches[chosen] = gain * patches[chosen] + offset
