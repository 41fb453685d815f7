"""What the tests on MRI are made of: crops, noise, speckle, training patches, scores.

Crops of 64 x 64 pixels of 0.4375 mm with white Gaussian noise that is not clipped are
the test of the paper's Fig. 3 and 4 (van de Schaft and van Sloun, arXiv:2112.13110).
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Generator, Sequence
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
    "as_image",
    "count_subjects",
    "draw_events",
    "mean_psnr",
    "mean_ssim",
    "noisy",
    "pick_crops",
    "simulated_events",
    "subpatches",
]

Float = npt.NDArray[np.float32]


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
    files = list(_files_of(folder, anatomy))
    per_file: list[list[Float]] = []
    for file in files:
        stack = read_stack(file)
        wanted = -(-count // len(files))
        rows = np.arange(len(stack.slices))
        if wanted + 2 <= len(rows):
            even = np.linspace(0, len(rows) - 1, wanted + 2)[1:-1]
            rows = even.round().astype(int)
        chosen = stack.slices[rows]
        images = resample_slices(chosen, stack.pixel_size_mm, PRIOR_PIXEL_MM)
        if min(images.shape[1:]) >= size:
            per_file.append([_best_crop(image, size) for image in images])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*per_file))
    crops = [crop for crop in turns if crop is not None][:count]
    if len(crops) < count:
        raise ValueError(
            f"{folder}: the {anatomy!r} files give {len(crops)} crops of {size} pixels "
            f"of {PRIOR_PIXEL_MM} mm, and {count} were asked for; ask for fewer"
        )
    return np.asarray(np.clip(np.stack(crops), 0.0, 1.0), dtype=np.float32)


def count_subjects(folder: Path, anatomy: str) -> int:
    """Count the subjects that :func:`pick_crops` takes crops of.

    A stack whose file names no subject counts as one.
    """
    return len(set(_files_of(folder, anatomy).values()))


def _files_of(folder: Path, anatomy: str) -> dict[Path, str]:
    """Find the stacks of a folder that show an anatomy, and whom.

    Raises
    ------
    ValueError
        When there is none.
    """
    files: dict[Path, str] = {}
    others = []
    for path in find_files([folder]):
        with open_stack(path) as stack:
            if is_shown([anatomy.lower()], stack.anatomy, stack.name):
                files[path] = stack.subject
            else:
                others.append(f"{stack.name} ({stack.anatomy or 'not stated'})")
    if not files:
        raise ValueError(
            f"{folder}: no file shows {anatomy!r}, by what it says or by its name "
            f"(found {', '.join(others[:4])}); name the anatomies that are there"
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


def mean_psnr(clean: Float, result: Float) -> float:
    """Mean PSNR in dB of results (N, Z, X) clipped to [0, 1]; the peak is 1."""
    pairs = zip(np.clip(result, 0.0, 1.0), clean, strict=True)
    return float(np.mean([psnr(a, b, data_range=1.0) for a, b in pairs]))


def mean_ssim(clean: Float, result: Float) -> float:
    """Mean SSIM of results (N, Z, X) clipped to [0, 1]."""
    pairs = zip(np.clip(result, 0.0, 1.0), clean, strict=True)
    return float(np.mean([ssim(a, b, data_range=1.0) for a, b in pairs]))


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
