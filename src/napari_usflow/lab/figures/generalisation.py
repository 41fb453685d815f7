"""Loss of a method where an image breaks its assumptions.

Crops of MRI under simulated speckle, as in :mod:`~napari_usflow.lab.speckle.run`, but
with one thing changed at a time: the noise level that the method is told, the pixel,
the point-spread function, the dynamic range. Every method has its default setting and
is told, unless the line says otherwise, the level of fully developed speckle and the
pixel of the prior; so the loss is that of a user who does not know better.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.evaluate.residuals import fitted_offset
from napari_usflow.evaluate.tables import Scored, last_frame
from napari_usflow.jobs import CancelToken, Event, Progress, result_of, share_of
from napari_usflow.lab.contest.mri_crops import (
    Float,
    as_image,
    mean_psnr,
    pick_crops,
    simulated_events,
)
from napari_usflow.mri.resampling import resample_slices
from napari_usflow.prior import PRIOR_PIXEL_MM
from napari_usflow.ultrasound.data import pixel_pair
from napari_usflow.ultrasound.simulate.speckle import SpeckleParams
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

__all__ = [
    "CONDITIONS",
    "METHODS",
    "Condition",
    "GeneralisationExample",
    "GeneralisationScore",
    "GeneralisationTest",
    "at_pixel",
    "generalisation_events",
    "simulated_events",
]

METHODS = ("flow", "flow-speckle", "realtime", "nlm")

CROP_SIZE = 96
_COARSEST = 0.6


@dataclass(frozen=True)
class Condition:
    """One way in which an image differs from what methods take it for.

    Attributes
    ----------
    name : str
    told : float, optional
        Noise level that is told, in multiples of the true one; estimated when None.
    changes : mapping
        Parameters of the simulation
        (:class:`~napari_usflow.ultrasound.simulate.speckle.SpeckleParams`).
    """

    name: str
    told: float | None = 1.0
    changes: Mapping[str, Any] = field(default_factory=dict)


CONDITIONS = (
    Condition("as trained"),
    Condition("noise level estimated", told=None),
    Condition("noise level 30 % low", told=0.7),
    Condition("noise level 30 % high", told=1.3),
    Condition("pixel 0.3 mm", changes={"pixel_size_mm": 0.3}),
    Condition("pixel 0.6 mm", changes={"pixel_size_mm": _COARSEST}),
    Condition("carrier 3 MHz", changes={"f0_hz": 3e6}),
    Condition("carrier 12 MHz", changes={"f0_hz": 12e6}),
    Condition(
        "point spread halved",
        changes={"sigma_axial_mm": 0.125, "sigma_lateral_mm": 0.15},
    ),
    Condition(
        "point spread doubled",
        changes={"sigma_axial_mm": 0.5, "sigma_lateral_mm": 0.6},
    ),
    Condition("envelope averaged", changes={"downscale": "envelope-mean"}),
    Condition("dynamic range 40 dB", changes={"dynamic_range_db": 40.0}),
    Condition("dynamic range 80 dB", changes={"dynamic_range_db": 80.0}),
)
"""The first is the measure of the others. The dynamic range is told."""


@dataclass(frozen=True)
class GeneralisationScore:
    """One method under one condition: a line of the table.

    Attributes
    ----------
    condition : str
    method : str
        ``input`` for the speckled crops themselves.
    psnr_db : float
        Against the clean map, mean over crops; the offset of each crop was fitted, and
        the result clipped to [0, 1].
    change_db : float
        Against the same method under the first condition.
    error_db : float
        Root mean square error in decibels of the echo.
    """

    condition: str
    method: str
    psnr_db: float
    change_db: float
    error_db: float


@dataclass(frozen=True)
class GeneralisationExample:
    """One crop under one condition; frames are (Z, X), in [0, 1].

    ``results`` maps a method to what it made of ``noisy``, its offset fitted.
    """

    condition: str
    clean: Float
    noisy: Float
    results: Mapping[str, Float]


@dataclass(frozen=True)
class GeneralisationTest:
    """The table, and the last crop under each condition to look at."""

    scores: Sequence[GeneralisationScore]
    examples: Sequence[GeneralisationExample]


def generalisation_events(
    data: Path,
    *,
    methods: Sequence[str] = METHODS,
    conditions: Sequence[Condition] = CONDITIONS,
    anatomies: Sequence[str] = ("knee", "brain"),
    count: int = 3,
    seed: int = 0,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, GeneralisationTest]:
    """Score methods where images differ from what they are taken for.

    Parameters
    ----------
    data : Path
        Folder of MRI that nothing was trained on.
    methods : sequence of str
        Names of registered methods.
    conditions : sequence of Condition
        The first is what the others are compared with.
    anatomies : sequence of str
    count : int
        Crops an anatomy.
    seed : int
        Of the scatterers.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Progress, and :class:`~napari_usflow.evaluate.tables.Scored` for every line of
        the table.

    Raises
    ------
    ValueError
        When a method is unknown, or the folder does not hold enough.
    """
    token = token or CancelToken()
    denoisers = {name: create(name, device=device) for name in dict.fromkeys(methods)}
    # Wide enough for a crop of the coarsest pixel.
    wide = int(np.ceil(CROP_SIZE * _COARSEST / PRIOR_PIXEL_MM)) + 1
    crops = np.concatenate(
        [pick_crops(data, name, count=count, size=wide) for name in anatomies]
    )
    scores: list[GeneralisationScore] = []
    examples: list[GeneralisationExample] = []
    first: dict[str, float] = {}
    for number, condition in enumerate(conditions):
        run = _condition_events(crops, condition, denoisers, seed, token)
        label = condition.name
        measured, example = yield from share_of(run, number, len(conditions), label)
        examples.append(example)
        for method, (psnr_db, error_db) in measured.items():
            change = psnr_db - first.setdefault(method, psnr_db)
            line = GeneralisationScore(label, method, psnr_db, change, error_db)
            scores.append(line)
            yield Scored(line)
    return GeneralisationTest(scores, examples)


def _condition_events(
    crops: Float,
    condition: Condition,
    denoisers: Mapping[str, Denoiser],
    seed: int,
    token: CancelToken,
) -> Generator[
    Event, None, tuple[dict[str, tuple[float, float]], GeneralisationExample]
]:
    """Simulate one condition; give PSNR and error of every method, and a crop."""
    params = SpeckleParams(seed=seed, **condition.changes)
    clean = at_pixel(crops, params)
    cells = 1 + len(denoisers)
    run = simulated_events(clean, params, token)
    noisy = yield from share_of(run, 0, cells, condition.name)
    results = {"input": noisy}
    for number, (name, denoiser) in enumerate(denoisers.items(), 1):
        made = _denoised(noisy, denoiser, condition, params.dynamic_range_db, token)
        results[name] = yield from share_of(made, number, cells, condition.name)
    scores, shown = {}, {}
    for name, frames in results.items():
        fitted = _fitted(frames, clean)
        error = float(np.sqrt(np.mean((fitted - clean) ** 2)))
        scores[name] = (mean_psnr(clean, fitted), params.dynamic_range_db * error)
        shown[name] = fitted[-1]
    noisy_crop = shown.pop("input")
    example = GeneralisationExample(condition.name, clean[-1], noisy_crop, shown)
    return scores, example


def at_pixel(crops: Float, params: SpeckleParams) -> Float:
    """Resample crops (N, Z, X) from the prior's pixel to another; keep the middle."""
    spacing = pixel_pair(params.pixel_size_mm)
    if spacing != (PRIOR_PIXEL_MM, PRIOR_PIXEL_MM):
        crops = resample_slices(crops, (PRIOR_PIXEL_MM, PRIOR_PIXEL_MM), spacing[0])
    rows, columns = ((size - CROP_SIZE) // 2 for size in crops.shape[1:])
    middle = crops[:, rows : rows + CROP_SIZE, columns : columns + CROP_SIZE]
    return np.asarray(np.clip(middle, 0, 1), np.float32)


def _denoised(
    noisy: Float,
    denoiser: Denoiser,
    condition: Condition,
    dynamic_range_db: float,
    token: CancelToken,
) -> Generator[Event, None, Float]:
    """Denoise crops (N, Z, X) as images of their own, at the pixel of the prior."""
    sigma_db = None if condition.told is None else condition.told * SPECKLE_DB
    settings = Settings(sigma_db=sigma_db, dynamic_range_db=dynamic_range_db)
    made = np.empty_like(noisy)
    for number, crop in enumerate(noisy):
        image = as_image(dynamic_range_db * (crop[np.newaxis] - 1))
        run = denoise_events(image, denoiser, settings, token=token)
        made[number] = 1 + result_of(last_frame(run)).data / dynamic_range_db
        yield Progress(number + 1, len(noisy))
    return made


def _fitted(frames: Float, clean: Float) -> Float:
    """Add to each frame the offset that brings it nearest to its map, and clip."""
    offsets = [
        fitted_offset(frame, truth, truth > 0)
        for frame, truth in zip(frames, clean, strict=True)
    ]
    fitted = frames + np.array(offsets, np.float32)[:, None, None]
    return np.asarray(np.clip(fitted, 0, 1), np.float32)
