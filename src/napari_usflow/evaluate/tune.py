"""The best setting of a method, by trying every one of a grid.

A setting is judged on the image it is meant for, denoised as it would be: through
:func:`napari_usflow.denoising.pipeline.denoise_events`, with its values, its pixel and
its noise level. What a good result is says :mod:`napari_usflow.evaluate.criteria`.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms import method_class, methods
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.frame_loop import estimate_noise, values_of
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.errors import Cancelled
from napari_usflow.evaluate.criteria import Criterion, unit_frame
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note, Progress
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = [
    "Cell",
    "Grid",
    "Tuning",
    "setting_text",
    "tune_events",
    "value_text",
]

Grid = Mapping[str, Sequence[Any]]
Setting = Mapping[str, Any]


@dataclass(frozen=True)
class Cell(Event):
    """One setting was tried.

    Attributes
    ----------
    number : int
        Its place in the grid, the last parameter changing fastest.
    setting : mapping
        Parameters by name.
    score : float
        By the criterion, the mean over the frames; the higher the better.
    seconds : float
        Of one frame.
    """

    number: int
    setting: Setting
    score: float
    seconds: float


@dataclass(frozen=True)
class Tuning:
    """Result of a parameter search.

    Attributes
    ----------
    method : str
    grid : mapping
        The values that were to be tried of each parameter.
    cells : tuple of Cell
        Those that were, in the order of the grid.
    """

    method: str
    grid: Grid
    cells: tuple[Cell, ...]

    @property
    def size(self) -> int:
        """Number of settings in the grid."""
        return math.prod(len(values) for values in self.grid.values())

    @property
    def complete(self) -> bool:
        """Whether every setting was tried."""
        return len(self.cells) == self.size

    @property
    def scored(self) -> tuple[Cell, ...]:
        """The cells that have a score: something was taken away."""
        return tuple(cell for cell in self.cells if not math.isnan(cell.score))

    @property
    def best(self) -> Cell:
        """The cell with the highest score; ValueError when none has one."""
        if not self.scored:
            raise ValueError(f"no setting of {self.method!r} has been scored")
        return max(self.scored, key=lambda cell: cell.score)

    def surface(self, *names: str) -> npt.NDArray[np.float64]:
        """Return the best score for each value of some parameters, over all others.

        Returns
        -------
        ndarray, one axis for each name, float64
            NaN where nothing has been tried.
        """
        scores = np.full([len(values) for values in self.grid.values()], np.nan)
        for cell in self.cells:
            scores.flat[cell.number] = cell.score
        order = list(self.grid)
        others = tuple(i for i, name in enumerate(order) if name not in names)
        best = np.fmax.reduce(scores, axis=others) if others else scores
        axes = [name for name in order if name in names]
        return np.transpose(best, [axes.index(name) for name in names])


def tune_events(
    image: UltrasoundImage,
    method: str,
    criterion: Criterion,
    *,
    settings: Settings | None = None,
    grid: Grid | None = None,
    frames: Sequence[int] | None = None,
    weights: Any = None,
    device: str = "auto",
    workers: int = 1,
    token: CancelToken | None = None,
) -> Generator[Event, None, Tuning]:
    """Try every setting of a grid on an image.

    Parameters
    ----------
    image : UltrasoundImage
        What to denoise.
    method : str
        One of :func:`napari_usflow.methods`.
    criterion : Criterion
        What a good result is.
    settings : Settings, optional
        What goes for every method. The noise is measured once.
    grid : mapping of str to sequence, optional
        Values of parameters; the method's own (:attr:`Denoiser.grid`) by default. What
        it does not name has its default.
    frames : sequence of int, optional
        Which frames to judge by; all of them by default.
    weights, device
        See :func:`napari_usflow.denoising.denoise.create`.
    workers : int
        Settings tried at a time. The libraries work outside of Python's lock.
    token : CancelToken, optional
        Set it to stop; the settings that were tried are kept.

    Yields
    ------
    Event
        :class:`Cell` for every setting, in the order of the grid, and progress.

    Returns
    -------
    Tuning
        Not complete when it was stopped.

    Raises
    ------
    ValueError
        When the method has no grid of its own and none is given, or a value of the
        grid is out of its limits.
    Cancelled
        When it was stopped before the first setting had been tried.
    """
    token, settings = token or CancelToken(), settings or Settings()
    grid = method_class(method).grid if grid is None else grid
    if not grid:
        tuned = [name for name in methods() if method_class(name).grid]
        raise ValueError(
            f"method {method!r} has no grid of its own; pass one, or choose one of "
            f"{', '.join(tuned)}"
        )
    frames = range(int(image.data.shape[0])) if frames is None else frames
    choices = [
        dict(zip(grid, values, strict=True))
        for values in itertools.product(*grid.values())
    ]
    # All of them now: a value that cannot be is told before any work is done.
    denoisers = [create(method, weights=weights, device=device, **c) for c in choices]
    noise = estimate_noise(image, settings, device=device)
    if settings.sigma_db is None:
        span_db = values_of(image, settings).dynamic_range_db
        yield Note(f"noise level estimated: {noise.sigma * span_db:.1f} dB")
    trial = _Trial(image, criterion, settings, noise, frames, token)
    cells: list[Cell] = []
    yield Progress(0, len(choices), "settings")
    pool = ThreadPoolExecutor(workers, thread_name_prefix="usflow-tune")
    try:
        runs: list[Future[Cell]] = [
            pool.submit(trial.cell, number, choice, denoiser)
            for number, (choice, denoiser) in enumerate(
                zip(choices, denoisers, strict=True)
            )
        ]
        for run in runs:
            cells.append(run.result())
            yield cells[-1]
            yield Progress(len(cells), len(choices), "settings")
    except Cancelled:
        if not cells:
            raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return Tuning(method, grid, tuple(cells))


def setting_text(setting: Setting) -> str:
    """Write a setting for a table, such as ``patch size 5, h 0.8``."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value_text(value)}"
        for name, value in setting.items()
    )


def value_text(value: float | None) -> str:
    """Write the value of a parameter; ``auto`` where it is left to the method."""
    return "auto" if value is None else f"{value:g}"


@dataclass(frozen=True)
class _Trial:
    """Inputs shared by all settings of a search."""

    image: UltrasoundImage
    criterion: Criterion
    settings: Settings
    noise: Noise
    frames: Sequence[int]
    token: CancelToken

    def cell(self, number: int, setting: Setting, denoiser: Denoiser) -> Cell:
        """Try one setting."""
        scores = []
        start = time.perf_counter()
        events = denoise_events(
            self.image,
            denoiser,
            self.settings,
            order=self.frames,
            token=self.token,
            noise=self.noise,
        )
        for event in events:
            if isinstance(event, FrameDone):
                scores.append(self._score(event))
        seconds = (time.perf_counter() - start) / len(scores)
        return Cell(number, setting, float(np.mean(scores)), seconds)

    def _score(self, done: FrameDone) -> float:
        image, settings = self.image, self.settings
        noisy = unit_frame(image, done.index, settings)
        result = unit_frame(image, done.index, settings, of=done.data)
        return self.criterion.score(done.index, noisy, result, done.info)
