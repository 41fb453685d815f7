"""Test pictures of the benchmark: noisy scenes with a known truth."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, share_of
from napari_usflow.lab.bench.scores import Size
from napari_usflow.lab.contest.contestants import Contestant
from napari_usflow.lab.contest.mri_crops import mean_psnr, mean_ssim, noisy, pick_crops
from napari_usflow.lab.speckle.run import speckled_events
from napari_usflow.lab.speckle.scores import DYNAMIC_RANGE_DB, Speckled, quality
from napari_usflow.ultrasound.speckle_statistics import BIAS_DB, SPECKLE_DB

__all__ = [
    "CROP_SIZE",
    "WHITE_SIGMA",
    "BenchQuality",
    "Pictures",
    "made_scenes",
    "picture_events",
    "quality_events",
    "timed_stack",
]

Float = npt.NDArray[np.float32]

CROP_SIZE = 96
"""Side in pixels of the pictures that quality is measured on."""

WHITE_SIGMA = 0.2
"""Standard deviation of the white noise, as a fraction of the value range."""

SPECKLE_SIGMA = SPECKLE_DB / DYNAMIC_RANGE_DB

_BLACK, _WHITE = 0.05, 0.95


@dataclass(frozen=True)
class Pictures:
    """Clean pictures (N, Z, X) in [0, 1], and what was made of them.

    Attributes
    ----------
    clean : ndarray
    white : ndarray
        With white Gaussian noise of :data:`WHITE_SIGMA`, not clipped.
    speckled : Speckled
        As display maps of 60 dB under simulated speckle.
    origin : str
        Where they come from.
    """

    clean: Float
    white: Float
    speckled: Speckled
    origin: str


@dataclass(frozen=True)
class BenchQuality:
    """PSNR in dB and SSIM under either noise."""

    white_psnr_db: float
    white_ssim: float
    speckle_psnr_db: float
    speckle_ssim: float


def made_scenes(count: int, size: tuple[int, int], *, seed: int = 0) -> Float:
    """Draw scenes (count, rows, columns) in [0.05, 0.95]: what there is without MRI.

    Tissue of a texture whose amplitude falls with frequency as 1 / f, in it ellipses of
    other levels, an echo-free one among them, and a bent wall of layers one to three
    pixels thin.
    """
    rows, columns = size
    z, x = np.mgrid[:rows, :columns]
    scenes = np.empty((count, rows, columns), np.float32)
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        scene = rng.uniform(0.4, 0.6) + 0.05 * _texture(rng, rows, columns)
        # As many for the area, whatever the size.
        for number in range(max(3, rows * columns // 2500)):
            radii = rng.uniform(3, 14, 2)
            centre = rng.uniform(0, rows), rng.uniform(0, columns)
            inside = np.hypot((z - centre[0]) / radii[0], (x - centre[1]) / radii[1])
            level = -1.0 if number == 0 else rng.uniform(-0.3, 0.3)
            scene = np.where(inside < 1, scene + level, scene)
        depth = rng.uniform(0.2, 0.8) * rows + 6 * np.sin(
            2 * np.pi * (x / 96 + rng.uniform())
        )
        below = z - depth
        for step in (0.25, -0.3, 0.2):
            thickness = rng.uniform(1.0, 3.0)
            scene = scene + step * ((below >= 0) & (below < thickness))
            below = below - thickness
        scenes[index] = np.clip(scene, _BLACK, _WHITE)
    return scenes


def _texture(
    rng: np.random.Generator, rows: int, columns: int
) -> npt.NDArray[np.float64]:
    """Noise of unit variance whose amplitude falls as 1 / f."""
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((rows, columns))) / frequency
    made = np.fft.irfft2(spectrum, (rows, columns))
    return np.asarray(made / made.std())


def timed_stack(size: Size) -> Float:
    """Make a stack (T, Z, X) to time methods on: a scene with new speckle every frame.

    Fully developed and white, 60 dB from 0 to 1; not clipped.
    """
    (scene,) = made_scenes(1, (size.rows, size.columns))
    stack = np.empty(size.shape, np.float32)
    for index in range(size.frames):
        rng = np.random.default_rng([1, index])
        intensity_db = 10 * np.log10(rng.exponential(size=scene.shape))
        stack[index] = scene + (intensity_db + BIAS_DB) / DYNAMIC_RANGE_DB
    return stack


def picture_events(
    count: int,
    *,
    data: Path | None,
    anatomies: Sequence[str],
    token: CancelToken,
) -> Generator[Event, None, Pictures]:
    """Make the pictures of which quality is measured.

    Parameters
    ----------
    count : int
        Pictures, an anatomy.
    data : Path, optional
        Folder of MRI that nothing was trained on, from which crops are taken as
        :func:`~napari_usflow.lab.contest.mri_crops.pick_crops` does; without it scenes
        are made.
    anatomies : sequence of str
        What file names begin with.

    Yields
    ------
    Event
        Progress of the simulated speckle.
    """
    if data is None:
        clean = made_scenes(count, (CROP_SIZE, CROP_SIZE))
        origin = f"{count} made scenes"
    else:
        names = tuple(dict.fromkeys(anatomies))
        crops = [pick_crops(data, n, count=count, size=CROP_SIZE) for n in names]
        clean = np.concatenate(crops)
        origin = " and ".join(f"{count} {name}" for name in names) + " crops of MRI"
    speckled = yield from speckled_events("pictures", "display", clean, 0, token)
    return Pictures(clean, noisy(clean, WHITE_SIGMA), speckled, origin)


def quality_events(
    pictures: Pictures,
    for_white: Contestant,
    for_speckle: Contestant,
    token: CancelToken,
) -> Generator[Event, None, BenchQuality]:
    """Denoise all pictures with a method and score the results."""
    clean, maps = pictures.clean, pictures.speckled
    white = yield from share_of(
        for_white.denoise(pictures.white, WHITE_SIGMA, clean=clean, token=token),
        0,
        2,
        "",
    )
    speckle = yield from share_of(
        for_speckle.denoise(maps.noisy, SPECKLE_SIGMA, clean=maps.clean, token=token),
        1,
        2,
        "",
    )
    scored = quality(maps, speckle.crops)
    return BenchQuality(
        mean_psnr(clean, white.crops),
        mean_ssim(clean, white.crops),
        scored.psnr_db,
        scored.ssim,
    )
