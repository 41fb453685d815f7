"""Effect of a method on details: thin layers, stripes, walls, points, flat fields.

Small scenes under simulated speckle of fine grain, each with one kind of detail whose
truth is known, and the lattice of real frames. Every line of the table stands for one
detail; nothing is averaged over kinds. Methods run with their defaults, and nothing is
told to them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_usflow.denoising.algorithms import methods
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.evaluate.tables import Scored, last_frame
from napari_usflow.io import read
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.lab.detail.measures import lattice
from napari_usflow.lab.detail.scenes import SHOWN_DB, Frame, Scene, scenes
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = ["DetailScore", "DetailTest", "detail_events"]


@dataclass(frozen=True)
class DetailScore:
    """One line of the table.

    Attributes
    ----------
    method : str
    scene : str
        The detail.
    measure : str
        What was measured of it.
    unit : str
    truth : float
        What a perfect result has; NaN where there is no such number.
    input, result : float
        What the image shows, and what the method made of it.
    """

    method: str
    scene: str
    measure: str
    unit: str
    truth: float
    input: float
    result: float

    @property
    def label(self) -> str:
        """Name in tables."""
        return self.method


@dataclass(frozen=True)
class DetailTest:
    """The table, and the frames in decibels by scene and method."""

    scores: list[DetailScore]
    frames: dict[str, dict[str, Frame]]


def detail_events(
    *,
    files: Sequence[Path] = (),
    names: Sequence[str] | None = None,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, DetailTest]:
    """Measure what methods do to details.

    Parameters
    ----------
    files : sequence of Path
        Real images or clips, whose first frame's lattice is measured.
    names : sequence of str, optional
        Methods; all but ``flow-map``, which takes long, by default.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Progress, and :class:`~napari_usflow.evaluate.tables.Scored` for every line.
    """
    token = token or CancelToken()
    names = [n for n in methods() if n != "flow-map"] if names is None else list(names)
    test = DetailTest([], {})
    cases = [*scenes(), *map(_real_scene, files)]
    for number, scene in enumerate(cases):
        inputs = list(scene.measure(scene.images))
        shown = test.frames.setdefault(scene.name, {"input": scene.images[0]})
        for place, name in enumerate(names):
            yield Progress(
                number * len(names) + place, len(cases) * len(names), scene.name
            )
            results = []
            for image in scene.images:
                results.append((yield from _denoised(image, name, device, token)))
            shown[name] = results[0]
            values = scene.measure(results)
            for (measure, unit, truth, before), (*_, after) in zip(
                inputs, values, strict=True
            ):
                line = DetailScore(
                    name, scene.name, measure, unit, truth, before, after
                )
                test.scores.append(line)
                yield Scored(line)
    return test


def _denoised(
    image: Frame, name: str, device: str, token: CancelToken
) -> Generator[Event, None, Frame]:
    grid = PixelGrid((image.shape[0], image.shape[1]), (1.0, 1.0), (0.0, 0.0))
    wrapped = UltrasoundImage(image[np.newaxis], "db", grid)
    settings = Settings(value_range=(-SHOWN_DB, 0.0))
    run = denoise_events(wrapped, create(name, device=device), settings, token=token)
    done = yield from last_frame(run)
    result: Frame = done.data
    return result


def _real_scene(path: Path) -> Scene:
    """Return the first frame of a file; decibels below its maximum, grey as 60 dB."""
    image = read(path)[0]
    frame = np.asarray(image.data[0], np.float32)
    if image.values == "display":
        frame = SHOWN_DB * (frame / np.float32(255) - 1)
    else:
        frame = frame - frame.max()

    def measure(frames: Sequence[Frame]) -> Iterator[tuple[str, str, float, float]]:
        clipped = np.clip(frames[0], -SHOWN_DB, None)
        for axis, value in zip(("axial", "lateral"), lattice(clipped), strict=True):
            yield f"lattice, {axis}", "", float("nan"), value

    return Scene(path.name, [frame], measure)
