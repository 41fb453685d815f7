"""Shared parts of the tests on MRI: crops, noise, speckle, training patches, scores.

Crops of 64 x 64 pixels of 0.4375 mm with white Gaussian noise that is not clipped are
the test of the paper's Fig. 3 and 4 (van de Schaft and van Sloun, arXiv:2112.13110).
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.metrics import psnr, ssim
from napari_usflow.jobs import CancelToken, Event, FrameDone, Progress
from napari_usflow.mri import find_files, open_stack, read_stack
from napari_usflow.mri.anatomy import is_shown
from napari_usflow.mri.patches import PatchConfig, PatchSampler
from napari_usflow.mri.resampling import resample_slices, tenengrad
from napari_usflow.mri.slices import prepare_slices
from napari_usflow.prior import PRIOR_PIXEL_MM
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage, Values
from napari_usflow.ultrasound.simulate.speckle import (
    SpeckleParams,
    simulate_stack_events,
)
from napari_usflow.ultrasound.speckle_statistics import BIAS_DB

__all__ = [
    "Crops",
    "as_image",
    "draw_events",
    "half_interval",
    "mean_psnr",
    "mean_ssim",
    "noisy",
    "pick_crops",
    "pick_crops_of",
    "psnrs",
    "simulated_events",
    "ssims",
    "subpatches",
]

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Crops:
    """Crops of one anatomy, and whose they are.

    Attributes
    ----------
    images : ndarray, shape (N, S, S)
        In [0, 1].
    subjects : list of str
        One for each.
    """

    images: Float
    subjects: list[str]


def pick_crops(folder: Path, anatomy: str, *, count: int = 16, size: int = 64) -> Float:
    """Take the most structured crops (count, size, size) of an anatomy, in [0, 1].

    The files that show ``anatomy`` take turns, by what they say, else by the beginning
    of their names (:mod:`napari_usflow.mri.anatomy`); within a file each slice may give
    one crop, the one with the highest Tenengrad measure, and slices are taken at even
    distances.

    Raises
    ------
    ValueError
        When no file shows it, or there are fewer slices than crops.
    """
    return pick_crops_of([folder], anatomy, count=count, size=size).images


def pick_crops_of(
    data: Sequence[Path],
    anatomy: str,
    *,
    count: int = 16,
    each: int | None = None,
    size: int = 64,
) -> Crops:
    """Take crops as :func:`pick_crops` does, and say whose they are.

    Parameters
    ----------
    data : sequence of Path
        Files, and folders of them.
    anatomy : str
    count : int
        Crops of all subjects together.
    each : int, optional
        Crops of every subject, in place of ``count``: each then counts alike.
    size : int
        Side of a crop in pixels.
    """
    whose = _files_of(data, anatomy)
    if each is None:
        return _turns(whose, anatomy, count, size)
    parts = [
        _turns({f: n for f, n in whose.items() if n == name}, anatomy, each, size)
        for name in dict.fromkeys(whose.values())
    ]
    return Crops(
        np.concatenate([part.images for part in parts]),
        [name for part in parts for name in part.subjects],
    )


def half_interval(values: Sequence[float], subjects: Sequence[str]) -> float | None:
    """Return half of the 95 % confidence interval of a mean over subjects.

    Student's t for the means of the subjects; None where there is one.
    """
    from scipy.stats import t

    means = [
        np.mean([v for v, owner in zip(values, subjects, strict=True) if owner == name])
        for name in dict.fromkeys(subjects)
    ]
    if len(means) < 2:
        return None
    spread = np.std(means, ddof=1) / math.sqrt(len(means))
    return float(t.ppf(0.975, len(means) - 1) * spread)


def _turns(files: Mapping[Path, str], anatomy: str, count: int, size: int) -> Crops:
    """Take crops of files in turn; ``files`` says whose each is."""
    per_file: list[list[tuple[Float, str]]] = []
    for file, subject in files.items():
        stack = read_stack(file)
        wanted = -(-count // len(files))
        rows = np.arange(len(stack.slices))
        if wanted + 2 <= len(rows):
            even = np.linspace(0, len(rows) - 1, wanted + 2)[1:-1]
            rows = even.round().astype(int)
        slices = stack.slices[rows]
        images = resample_slices(slices, stack.pixel_size_mm, PRIOR_PIXEL_MM)
        if min(images.shape[1:]) >= size:
            per_file.append([(_best_crop(image, size), subject) for image in images])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*per_file))
    crops = [crop for crop in turns if crop is not None][:count]
    if len(crops) < count:
        raise ValueError(
            f"{next(iter(files)).parent}: the {anatomy!r} files give {len(crops)} "
            f"crops of {size} pixels of {PRIOR_PIXEL_MM} mm, and {count} were asked "
            "for; ask for fewer"
        )
    images = np.clip(np.stack([image for image, _ in crops]), 0.0, 1.0)
    return Crops(images.astype(np.float32), [subject for _, subject in crops])


def _files_of(data: Sequence[Path], anatomy: str) -> dict[Path, str]:
    """Find the stacks that show an anatomy, and whom.

    Raises
    ------
    ValueError
        When there is none.
    """
    files: dict[Path, str] = {}
    others = []
    for path in find_files(data):
        with open_stack(path) as stack:
            if is_shown([anatomy.lower()], stack.anatomy, stack.name):
                files[path] = stack.subject
            else:
                others.append(f"{stack.name} ({stack.anatomy or 'not stated'})")
    if not files:
        raise ValueError(
            f"{', '.join(map(str, data))}: no file shows {anatomy!r}, by what it says "
            f"or by its name (there are {', '.join(others[:4])}); name the anatomies "
            "that are there"
        )
    return files


def _best_crop(image: Float, size: int) -> Float:
    half = size // 2
    focus = tenengrad(image, size)[half : -half + 1 or None, half : -half + 1 or None]
    r, c = np.unravel_index(int(np.argmax(focus)), focus.shape)
    return image[r : r + size, c : c + size]


def noisy(crops: Float, sigma: float, *, seed: int = 0) -> Float:
    """Add white Gaussian noise of standard deviation ``sigma``; nothing is clipped."""
    rng = np.random.default_rng([seed, round(1000 * sigma)])
    return crops + np.float32(sigma) * rng.standard_normal(
        crops.shape, dtype=np.float32
    )


def simulated_events(
    crops: Float, params: SpeckleParams, token: CancelToken, *, name: str = "the image"
) -> Generator[Event, None, Float]:
    """Simulate speckle over crops (N, Z, X) in [0, 1], at the level of their maps.

    1 is 0 dB. The 2.51 dB by which log-compressed speckle lies low are added, and
    nothing is clipped. ``name`` is what an error calls the crops.

    Yields
    ------
    Progress
        In crops.
    """
    noisy = np.empty_like(crops)
    for event in simulate_stack_events(crops, params, name=name, token=token):
        if isinstance(event, FrameDone):
            # Each image has its own maximum at 0 dB; the map knows the gain.
            gain_db = float(event.info["maximum_db"]) + BIAS_DB
            noisy[event.index] = 1 + (event.data + gain_db) / params.dynamic_range_db
            yield Progress(event.index + 1, len(crops), "simulated speckle")
    return noisy


def as_image(frames: Float, values: Values = "db") -> UltrasoundImage:
    """Take frames (N, Z, X) for an image whose pixel is the prior's."""
    pixel = (PRIOR_PIXEL_MM, PRIOR_PIXEL_MM)
    grid = PixelGrid((frames.shape[1], frames.shape[2]), pixel, (0.0, 0.0))
    return UltrasoundImage(frames, values, grid)


def psnrs(clean: Float, result: Float) -> list[float]:
    """Return the PSNR in dB of each result (N, Z, X) clipped to [0, 1]; peak 1."""
    pairs = zip(np.clip(result, 0.0, 1.0), clean, strict=True)
    return [float(psnr(a, b, data_range=1.0)) for a, b in pairs]


def ssims(clean: Float, result: Float) -> list[float]:
    """Return the SSIM of each result (N, Z, X) clipped to [0, 1]."""
    pairs = zip(np.clip(result, 0.0, 1.0), clean, strict=True)
    return [float(ssim(a, b, data_range=1.0)) for a, b in pairs]


def mean_psnr(clean: Float, result: Float) -> float:
    """Return the mean PSNR in dB of results (N, Z, X) clipped to [0, 1]."""
    return float(np.mean(psnrs(clean, result)))


def mean_ssim(clean: Float, result: Float) -> float:
    """Return the mean SSIM of results (N, Z, X) clipped to [0, 1]."""
    return float(np.mean(ssims(clean, result)))


def draw_events(
    files: Sequence[Path], count: int, size: int, *, seed: int, token: CancelToken
) -> Generator[Event, None, Float]:
    """Draw patches (count, size, size) as the training of a prior draws them.

    Of tissue as it is: without the uniform patches and the changes of contrast that
    training adds.

    Yields
    ------
    Event
        Progress in slices.
    """
    config = PatchConfig(uniform_fraction=0.0, contrast_fraction=0.0)
    with tempfile.TemporaryDirectory(prefix="usflow-slices-") as folder:
        store = yield from prepare_slices(
            files, config, size, Path(folder), token=token
        )
        sampler = PatchSampler(store, config)
        patches = sampler.draw(count, np.random.default_rng(seed))[:, 0]
        # The slices are mapped; Windows deletes no file that is.
        del sampler, store
    return patches


def subpatches(patches: Float, size: int, each: int, *, seed: int) -> Float:
    """Cut ``each`` random patches out of every patch: (N * each, size * size)."""
    rng = np.random.default_rng(seed)
    view = np.lib.stride_tricks.sliding_window_view(patches, (size, size), axis=(1, 2))
    which = np.repeat(np.arange(len(patches)), each)
    rows = rng.integers(view.shape[1], size=len(which))
    columns = rng.integers(view.shape[2], size=len(which))
    return view[which, rows, columns].reshape(len(which), -1)
