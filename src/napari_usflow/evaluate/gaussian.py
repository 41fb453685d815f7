"""Denoising of MRI crops with white Gaussian noise: a method against its peers.

The protocol of the paper's Fig. 3 and 4: crops of 64 x 64 pixels of 0.4375 mm, noise
that is not clipped, results clipped to [0, 1], PSNR with a peak of 1. NLM is given the
best of an exhaustive grid for every noise level and anatomy, chosen on the very crops
it is judged on, which is more than a user could do.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_usflow.io.fastmri import find_files, read_stack
from napari_usflow.prior import PRIOR_PIXEL_MM
from napari_usflow.prior.patches import resample_slices, tenengrad

__all__ = ["NLM_GRID", "Score", "evaluate", "noisy", "pick_crops", "score", "tuned_nlm"]

Float = npt.NDArray[np.float32]

NLM_GRID = tuple(
    itertools.product((3, 5, 7), (5, 7, 9, 11), (0.4, 0.5, 0.6, 0.7, 0.8, 1.0))
)
"""Patch side, search distance, h over sigma: 72 settings."""


@dataclass(frozen=True)
class Score:
    """Mean quality of a method over the crops of one anatomy at one noise level."""

    method: str
    anatomy: str
    sigma: float
    psnr_db: float
    ssim: float
    seconds: float


def pick_crops(folder: Path, anatomy: str, *, count: int = 16, size: int = 64) -> Float:
    """Take the most structured crops (count, size, size) of an anatomy, in [0, 1].

    The files whose name begins with ``anatomy`` take turns; within a file each slice
    may give one crop, the one with the highest Tenengrad measure, and slices are taken
    at even distances.
    """
    files = [f for f in find_files([folder]) if f.name.startswith(anatomy)]
    per_file: list[list[Float]] = []
    for file in files:
        stack = read_stack(file)
        wanted = -(-count // len(files))
        rows = np.linspace(0, len(stack.slices) - 1, wanted + 2)[1:-1].round()
        chosen = stack.slices[rows.astype(int)]
        images = resample_slices(chosen, stack.pixel_size_mm, PRIOR_PIXEL_MM)
        per_file.append([_best_crop(image, size) for image in images])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*per_file))
    crops = [crop for crop in turns if crop is not None][:count]
    return np.asarray(np.clip(np.stack(crops), 0.0, 1.0), dtype=np.float32)


def _best_crop(image: Float, size: int) -> Float:
    half = size // 2
    focus = tenengrad(image, size)[half : -half + 1 or None, half : -half + 1 or None]
    r, c = np.unravel_index(int(np.argmax(focus)), focus.shape)
    return image[r : r + size, c : c + size]


def noisy(crops: Float, sigma: float, *, seed: int = 0) -> Float:
    """Add white Gaussian noise."""
    rng = np.random.default_rng([seed, round(1000 * sigma)])
    return crops + np.float32(sigma) * rng.standard_normal(
        crops.shape, dtype=np.float32
    )


def score(clean: Float, result: Float) -> tuple[float, float]:
    """Mean PSNR (dB) and SSIM of results clipped to [0, 1]."""
    from napari_usflow.evaluate.metrics import psnr, ssim

    pairs = list(zip(np.clip(result, 0.0, 1.0), clean, strict=True))
    return (
        float(np.mean([psnr(a, b, data_range=1.0) for a, b in pairs])),
        float(np.mean([ssim(a, b, data_range=1.0) for a, b in pairs])),
    )


def tuned_nlm(
    clean: Float,
    noisy_crops: Float,
    sigma: float,
    grid: Sequence[tuple[int, int, float]],
) -> tuple[Float, tuple[int, int, float]]:
    """Denoise by scikit-image's NLM with the setting of the highest PSNR."""
    from skimage.restoration import denoise_nl_means

    def run(setting: tuple[int, int, float]) -> Float:
        patch, distance, factor = setting
        return np.stack(
            [
                denoise_nl_means(
                    y,
                    patch_size=patch,
                    patch_distance=distance,
                    h=factor * sigma,
                    sigma=sigma,
                    fast_mode=True,
                )
                for y in noisy_crops
            ]
        )

    best = max(grid, key=lambda setting: score(clean, run(setting))[0])
    return run(best), best


def evaluate(
    folder: Path,
    methods: dict[str, Callable[[Float, float], Float]],
    *,
    sigmas: Sequence[float] = (0.1, 0.2, 0.3, 0.4),
    anatomies: Sequence[str] = ("knee", "brain"),
    count: int = 16,
) -> Iterator[Score]:
    """Score tuned NLM and methods (noisy frame, sigma) -> frame on a folder of MRI."""
    import time

    for anatomy, sigma in itertools.product(anatomies, sigmas):
        clean = pick_crops(folder, anatomy, count=count)
        y = noisy(clean, sigma)
        start = time.perf_counter()
        result, _ = tuned_nlm(clean, y, sigma, NLM_GRID)
        seconds = (time.perf_counter() - start) / (len(NLM_GRID) + 1) / len(y)
        yield Score("nlm (tuned)", anatomy, sigma, *score(clean, result), seconds)
        for name, run in methods.items():
            start = time.perf_counter()
            result = np.stack([run(frame, sigma) for frame in y])
            seconds = (time.perf_counter() - start) / len(y)
            yield Score(name, anatomy, sigma, *score(clean, result), seconds)
