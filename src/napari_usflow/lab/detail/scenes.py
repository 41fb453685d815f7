"""Scenes under simulated speckle whose details are known, and how they are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_usflow.lab.detail.measures import (
    above_surroundings,
    ridge,
    rms,
    shifted_change,
)

__all__ = ["SHOWN_DB", "Frame", "Scene", "scenes", "speckled"]

Frame = npt.NDArray[np.float32]

SIDE = 256
LEVEL_DB = -25.0
SHOWN_DB = 60.0
FINE_GRAIN = (0.55, 0.8)
"""Standard deviation (axial, lateral) of the point-spread function in pixels.
"""

GRAINS = ((0.5, 0.7), (1.0, 1.5), (1.7, 2.1), (3.0, 4.0))
_REPEATS = 3
_LAYER_DB = 10.0
_STRIPES_DB = 6.0
_WALL_DB, _WALL_ROWS, _WALL_SLOPE = 20.0, 4, 0.35
_POINTS_DB = (10.0, 15.0, 20.0, 25.0, 30.0)
_FLICKER_DB = -20.0
_SAMPLED_GRAIN = (1.0, 1.5)
"""Grain that the pixels sample without aliasing."""
_FINE, _BUMP_DB, _BUMP_PX = 4, 15.0, 30.0


@dataclass(frozen=True)
class Scene:
    """A scene, and how it is measured.

    Attributes
    ----------
    name : str
    images : sequence of ndarray, shape (Z, X), dB
        What is denoised.
    measure : callable
        Takes as many frames; gives (measure, unit, truth, value) each.
    """

    name: str
    images: Sequence[Frame]
    measure: Callable[[Sequence[Frame]], Iterator[tuple[str, str, float, float]]]


def scenes() -> list[Scene]:
    """Return the scenes under simulated speckle, always the same."""
    made = [_layers(sign, rows) for sign in (-1, 1) for rows in (1, 2, 3)]
    made += [_stripes(rows) for rows in (2, 3, 4)]
    made += [_wall(), _points(), _moved(), _panned(), _flickering()]
    return made + [_flat(grain) for grain in GRAINS]


def speckled(
    level_db: npt.NDArray[np.floating],
    seed: int,
    *,
    grain: tuple[float, float] = FINE_GRAIN,
    points: Sequence[tuple[float, float, float]] = (),
) -> Frame:
    """Simulate the log-compressed image of a scene, in decibels.

    Parameters
    ----------
    level_db : ndarray, shape (Z, X)
        Mean intensity of the tissue.
    seed : int
    grain : (float, float)
        See :data:`FINE_GRAIN`.
    points : sequence of (row, column, dB)
        Point scatterers.
    """
    import torch

    from napari_usflow.training.network.speckle_synthesis import (
        point_echoes,
        speckle_field,
    )

    power = torch.from_numpy(10 ** (np.asarray(level_db, np.float32) / 10))[None]
    psf = torch.tensor([grain])
    echoes = None
    if points:
        row, column, strength = torch.tensor(points).T
        echoes = point_echoes(
            (power.shape[1], power.shape[2]),
            torch.stack([row, column], dim=1)[None],
            (10 ** (strength / 20))[None].to(torch.complex64),
            psf,
        )
    generator = torch.Generator().manual_seed(seed)
    field = speckle_field(power, psf, echoes, generator=generator)
    decibels: Frame = (20 * field[0].abs().clamp_min(1e-7).log10()).numpy()
    return decibels


def _background() -> npt.NDArray[np.float64]:
    return np.full((SIDE, SIDE), LEVEL_DB)


def _layers(sign: int, rows: int) -> Scene:
    """Layers of ``rows`` pixels across the image, far from each other."""
    level, starts = _background(), range(24, SIDE - 24, 26)
    for start in starts:
        level[start : start + rows] += sign * _LAYER_DB

    def measure(frames: Sequence[Frame]) -> Iterator[tuple[str, str, float, float]]:
        depths = [
            above_surroundings(frame, slice(start, start + rows))
            for frame in frames
            for start in starts
        ]
        yield "step", "dB", sign * _LAYER_DB, float(np.mean(depths))

    name = f"{'bright' if sign > 0 else 'dark'} layer, {rows} px"
    return Scene(name, [speckled(level, seed) for seed in range(_REPEATS)], measure)


def _stripes(rows: int) -> Scene:
    bright = (np.arange(SIDE) // rows) % 2 == 0
    level = _background() + np.where(bright, 0.5, -0.5)[:, None] * _STRIPES_DB

    def measure(frames: Sequence[Frame]) -> Iterator[tuple[str, str, float, float]]:
        inner = slice(16, -16)
        depths = [
            frame[bright, inner].mean() - frame[~bright, inner].mean()
            for frame in frames
        ]
        yield "step", "dB", _STRIPES_DB, float(np.mean(depths))

    images = [speckled(level, seed) for seed in range(_REPEATS)]
    return Scene(f"stripes, {rows} px", images, measure)


def _wall() -> Scene:
    z, x = np.mgrid[:SIDE, :SIDE]
    depth = (SIDE - 1) / 2
    distance = z - depth - _WALL_SLOPE * (x - depth)
    level = _background() + _WALL_DB * (np.abs(distance) <= _WALL_ROWS / 2)

    def measure(frames: Sequence[Frame]) -> Iterator[tuple[str, str, float, float]]:
        measured = np.mean(
            [ridge(frame, _WALL_SLOPE, depth) for frame in frames], axis=0
        )
        yield "spread along", "dB", 0.0, float(measured[0])
        yield "width across", "px", float(_WALL_ROWS), float(measured[1])

    images = [speckled(level, seed) for seed in range(_REPEATS)]
    return Scene("wall", images, measure)


def _points() -> Scene:
    """Points of several strengths, each with its own lines in the table."""
    grain = _SAMPLED_GRAIN
    places = [
        (64.0 + 32 * (k % 2), 40.0 + 44 * k, LEVEL_DB + over)
        for k, over in enumerate(_POINTS_DB)
    ]

    def measure(frames: Sequence[Frame]) -> Iterator[tuple[str, str, float, float]]:
        (frame,) = frames
        for (row, column, peak), over in zip(places, _POINTS_DB, strict=True):
            near = frame[int(row) - 4 : int(row) + 5, int(column) - 4 : int(column) + 5]
            yield f"peak, {over:g} dB", "dB", peak, float(near.max())
            for axis, direction in enumerate(("axial", "lateral")):
                profile = frame[int(row)] if axis else frame[:, int(column)]
                width = _width(profile, int((row, column)[axis]))
                truth = 2 * grain[axis] * np.sqrt(2 * np.log(10 ** (6 / 20)))
                yield f"{direction} width, {over:g} dB", "px", float(truth), width

    image = speckled(_background(), 7, grain=grain, points=places)
    return Scene("points", [image], measure)


def _width(profile: Frame, middle: int) -> float:
    """Return the width 6 dB below a peak; NaN where it does not fall that far."""
    fine = np.interp(
        np.arange(-12, 12.01, 0.05) + middle, np.arange(len(profile)), profile
    )
    peak = 200 + int(np.argmax(fine[200:281]))
    low = fine < fine[peak] - 6
    before, after = np.flatnonzero(low[:peak]), np.flatnonzero(low[peak:])
    if not len(before) or not len(after):
        return float("nan")
    return float((peak + after[0] - before[-1]) * 0.05)


def _moved() -> Scene:
    """The same speckle moved by a pixel along each axis."""
    level = _background()
    level[96:160, 96:160] += 15
    image = speckled(level, 11)
    shifts = {"axial": (1, 0), "lateral": (0, 1), "both": (1, 1)}

    def measure(frames: Sequence[Frame]) -> Iterator[tuple[str, str, float, float]]:
        for frame, (name, shift) in zip(frames[1:], shifts.items(), strict=True):
            yield f"change, {name}", "dB", 0.0, shifted_change(frames[0], frame, shift)

    images = [image, *(np.roll(image, shift, (0, 1)) for shift in shifts.values())]
    return Scene("moved by a pixel", images, measure)


def _panned() -> Scene:
    """A static scene in a clip that is panned by fractions of a pixel.

    Scene and speckle are simulated on pixels of a quarter of the size, and every fourth
    is taken. The scene is smooth: shifted back, a perfect result would be the same.
    """
    from_middle = (np.arange(_FINE * SIDE) - _FINE * SIDE / 2) / _FINE
    away = np.hypot(from_middle[:, None], from_middle) / _BUMP_PX
    level = LEVEL_DB + _BUMP_DB * np.exp(-(away**2) / 2)
    axial, lateral = _SAMPLED_GRAIN
    fine = speckled(level, 11, grain=(_FINE * axial, _FINE * lateral))
    shifts = {
        "axial 1/2 px": (0.5, 0.0),
        "lateral 1/2 px": (0.0, 0.5),
        "both 1/4 px": (0.25, 0.25),
    }

    def measure(frames: Sequence[Frame]) -> Iterator[tuple[str, str, float, float]]:
        for frame, (name, shift) in zip(frames[1:], shifts.items(), strict=True):
            yield f"change, {name}", "dB", 0.0, shifted_change(frames[0], frame, shift)

    images = []
    for shift in ((0.0, 0.0), *shifts.values()):
        moved = np.roll(fine, [round(_FINE * step) for step in shift], (0, 1))
        images.append(np.ascontiguousarray(moved[::_FINE, ::_FINE]))
    return Scene("panned by a fraction", images, measure)


def _flickering() -> Scene:
    """Two frames that differ by the noise of the receiver only."""
    first = 10 ** (speckled(_background(), 3) / 20)
    rng = np.random.default_rng(5)
    images = []
    for _ in range(2):
        noise = rng.standard_normal((2, SIDE, SIDE)) * 10 ** (
            (LEVEL_DB + _FLICKER_DB) / 20
        )
        envelope = np.hypot(first + noise[0] / np.sqrt(2), noise[1] / np.sqrt(2))
        images.append(np.asarray(20 * np.log10(envelope), np.float32))

    def measure(frames: Sequence[Frame]) -> Iterator[tuple[str, str, float, float]]:
        yield "change", "dB", 0.0, rms(frames[1] - frames[0])

    return Scene("receiver noise", images, measure)


def _flat(grain: tuple[float, float]) -> Scene:
    def measure(frames: Sequence[Frame]) -> Iterator[tuple[str, str, float, float]]:
        spread = np.mean([frame[16:-16, 16:-16].std() for frame in frames])
        yield "spread", "dB", 0.0, float(spread)

    name = f"flat, grain {grain[0]:g} x {grain[1]:g} px"
    return Scene(name, [speckled(_background(), 9, grain=grain)], measure)
