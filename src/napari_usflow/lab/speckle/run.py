"""Denoising of MRI crops under simulated speckle: methods, priors, tuned baselines.

The experiment of the paper's Fig. 5 (van de Schaft and van Sloun, arXiv:2112.13110)
with numbers: crops of 128 x 128 pixels of 0.4375 mm become B-mode images by its Eq. 8
and 9, in two readings of the grey of MRI (a display map, or the amplitude of the echo),
and every method makes a map of them again, once with the noise level of fully developed
speckle, once with the one it estimates. Baselines whose setting can be tuned have the
best of an exhaustive grid for each cell of the table, chosen on the very crops they are
judged on, which is more than a user could do.

Log-compressed speckle lies 2.51 dB below the logarithm of its mean intensity, and what
a filter makes of that depends on what it averages. So the offset of every method is
fitted before it is scored; the score without that fit is given beside it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from napari_usflow.denoising.algorithms import methods as our_methods
from napari_usflow.denoising.frame_loop import estimate_noise
from napari_usflow.denoising.settings import Settings
from napari_usflow.evaluate.residuals import fitted_offset
from napari_usflow.evaluate.tables import Scored
from napari_usflow.jobs import CancelToken, Event, Note, share_of
from napari_usflow.lab.contest.contestants import Contestant, attempt, registered
from napari_usflow.lab.contest.mri_crops import (
    Float,
    as_image,
    pick_crops,
    simulated_events,
)
from napari_usflow.lab.contest.peers import Bm3d, available_peers, check_peers
from napari_usflow.lab.speckle.scores import (
    DYNAMIC_RANGE_DB,
    UNIFORM,
    Level,
    Reading,
    Speckled,
    SpeckleExample,
    SpeckleScore,
    SpeckleTest,
    quality,
)
from napari_usflow.prior.store import DEFAULT_PRIOR
from napari_usflow.ultrasound.simulate.speckle import SpeckleParams
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

__all__ = [
    "LEVELS",
    "READINGS",
    "contestant_names",
    "default_methods",
    "speckle_events",
    "speckled_events",
]

READINGS: tuple[Reading, ...] = ("display", "amplitude")
LEVELS: tuple[Level, ...] = ("given", "estimated")

BM3D_FACTORS = (0.8, 1.0, 1.2, 1.5, 1.8)
"""Noise levels that BM3D is told, in multiples of the level that is known."""

CROP_SIZE = 128


def contestant_names() -> tuple[str, ...]:
    """Names of all that can take part: the registered methods, and BM3D."""
    return (*our_methods(), Bm3d.method)


def default_methods() -> tuple[str, ...]:
    """All but ``flow-map``, which takes long; BM3D if it is installed."""
    ours = (name for name in our_methods() if name != "flow-map")
    return (*ours, *(p for p in available_peers() if p == Bm3d.method))


def speckle_events(
    data: Path,
    *,
    methods: Sequence[str] | None = None,
    priors: Sequence[str | os.PathLike[str]] = (DEFAULT_PRIOR,),
    anatomies: Sequence[str] = ("knee", "brain"),
    readings: Sequence[Reading] = READINGS,
    levels: Sequence[Level] = LEVELS,
    count: int = 8,
    seed: int = 0,
    changes: Sequence[str] = (),
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, SpeckleTest]:
    """Score methods on speckle that is simulated over a folder of MRI.

    Parameters
    ----------
    data : Path
        Folder of MRI that nothing was trained on.
    methods : sequence of str, optional
        See :func:`contestant_names` and :func:`default_methods`.
    priors : sequence of str or path
        A method that uses a prior takes part once with each.
    anatomies : sequence of str
        A uniform map is always tested as well.
    readings : sequence of {"display", "amplitude"}
    levels : sequence of {"given", "estimated"}
    count : int
        Crops an anatomy.
    seed : int
        Of the scatterers.
    changes : sequence of str
        Parameters of methods that are set, see
        :func:`~napari_usflow.lab.contest.contestants.parameters_of`.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Notes, progress, and :class:`~napari_usflow.evaluate.tables.Scored` for every
        line of the table.

    Raises
    ------
    ValueError
        When a method is unknown or its package is missing, or the folder does not
        hold enough.
    """
    token = token or CancelToken()
    names = default_methods() if methods is None else tuple(methods)
    if methods is None and Bm3d.method not in names:
        yield Note("without bm3d, which needs the bench extra")
    _check(names, readings, levels, count)
    clean = {
        anatomy: pick_crops(data, anatomy, count=count, size=CROP_SIZE)
        for anatomy in dict.fromkeys(anatomies)
    }
    contestants = _contestants(names, priors, changes, device)
    maps: list[tuple[str, Reading]] = [
        *itertools.product(clean, dict.fromkeys(readings)),
        (UNIFORM, "display"),
    ]
    clean[UNIFORM] = np.full((1, CROP_SIZE, CROP_SIZE), 0.5, dtype=np.float32)
    scores: list[SpeckleScore] = []
    examples: list[SpeckleExample] = []
    # Each map: its simulation, then every contestant at every level.
    parts = 1 + len(dict.fromkeys(levels)) * len(contestants)
    for number, (anatomy, reading) in enumerate(maps):
        start, total = number * parts, len(maps) * parts
        run = speckled_events(anatomy, reading, clean[anatomy], seed, token)
        speckled = yield from share_of(run, start, total, f"{anatomy}: speckle")
        cells = itertools.product(dict.fromkeys(levels), contestants)
        lines, shown = [_line(speckled)], {}
        yield Scored(lines[0])
        for part, (level, contestant) in enumerate(cells):
            cell = _cell_events(contestant, speckled, level, token)
            label = f"{anatomy}, {reading}, {level}: {contestant.label}"
            line, result = yield from share_of(cell, start + 1 + part, total, label)
            if level == next(iter(levels)):
                shown[contestant.label] = result
            lines.append(line)
            yield Scored(line)
        scores += lines
        examples.append(
            SpeckleExample(
                anatomy, reading, speckled.clean[0], speckled.noisy[0], shown
            )
        )
    return SpeckleTest(scores, examples)


def speckled_events(
    anatomy: str, reading: Reading, crops: Float, seed: int, token: CancelToken
) -> Generator[Event, None, Speckled]:
    """Simulate speckle over crops (N, Z, X) of MRI in [0, 1].

    Yields
    ------
    Event
        Progress in crops.
    """
    clean = crops
    if reading == "amplitude":
        with np.errstate(divide="ignore"):
            map_db = 20 * np.log10(crops)
        clean = np.clip(1 + map_db / DYNAMIC_RANGE_DB, 0, 1, dtype=np.float32)
    params = SpeckleParams(
        reading=reading, dynamic_range_db=DYNAMIC_RANGE_DB, seed=seed
    )
    noisy = yield from simulated_events(crops, params, token, name=anatomy)
    return Speckled(anatomy, reading, clean, noisy)


def _contestants(
    names: Sequence[str],
    priors: Sequence[str | os.PathLike[str]],
    changes: Sequence[str],
    device: str,
) -> list[Contestant]:
    contestants: list[Contestant] = []
    for name in dict.fromkeys(names):
        if name == Bm3d.method:
            contestants.append(Bm3d(BM3D_FACTORS, fit_offset=True))
        else:
            contestants += registered(
                name, priors, fit_offset=True, changes=changes, device=device
            )
    return contestants


def _cell_events(
    contestant: Contestant, speckled: Speckled, level: Level, token: CancelToken
) -> Generator[Event, None, tuple[SpeckleScore, Float]]:
    """Score one contestant; give also what it made of the first crop."""
    given = SPECKLE_DB / DYNAMIC_RANGE_DB
    sigma = given if level == "given" else estimated_sigma(speckled.noisy)
    made = yield from attempt(
        contestant, speckled.noisy, sigma, clean=speckled.clean, token=token
    )
    line = replace(
        _line(speckled, made.crops),
        method=contestant.method,
        prior=contestant.prior,
        level=level,
        sigma_db=DYNAMIC_RANGE_DB * sigma,
        seconds=made.seconds,
        setting=made.setting,
    )
    first, clean = made.crops[0], speckled.clean[0]
    return line, first + np.float32(fitted_offset(first, clean, clean > 0))


def estimated_sigma(noisy: Float) -> float:
    """Root mean square of the noise levels that are read from each image (N, Z, X)."""
    settings = Settings(dynamic_range_db=DYNAMIC_RANGE_DB)
    levels = [
        estimate_noise(as_image(DYNAMIC_RANGE_DB * (image[None] - 1)), settings).sigma
        for image in noisy
    ]
    return float(np.sqrt(np.mean(np.square(levels))))


def _line(speckled: Speckled, results: Float | None = None) -> SpeckleScore:
    """Make the line of the input, or that of results without who made them."""
    return SpeckleScore(
        method="input",
        prior="",
        anatomy=speckled.anatomy,
        reading=speckled.reading,
        level="",
        sigma_db=float("nan"),
        **asdict(quality(speckled, results)),
        seconds=0.0,
        setting="",
    )


def _check(
    methods: Sequence[str], readings: Sequence[str], levels: Sequence[str], count: int
) -> None:
    """Refuse a test that cannot be made; ValueError says why."""
    for what, named, known in (
        ("method", methods, contestant_names()),
        ("reading", readings, READINGS),
        ("level", levels, LEVELS),
    ):
        if not named:
            raise ValueError(f"name at least one {what}")
        for name in named:
            if name not in known:
                raise ValueError(
                    f"there is no {what} {name!r}; choose from {', '.join(known)}"
                )
    if count < 1:
        raise ValueError(f"the number of crops must be at least 1, got {count}")
    check_peers([name for name in methods if name == Bm3d.method], None)
