"""A short in-silico clip that moves: a vessel that pulsates in tissue.

Scatterers move with the tissue, whose area is kept: one at the distance R from the axis
is at sqrt(R^2 + r(t)^2 - r(0)^2) when the lumen has the radius r(t). Blood is weak and
new in each frame. A frame is the envelope of the sum of all scatterers, each with the
phase of its depth and a Gaussian point-spread function, in decibels below the brightest
echo of the clip.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.ultrasound.bmode import SILENCE_DB
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = ["CENTER_MM", "FRAMES", "INTERVAL_S", "lumen_radius_mm", "vessel_clip_events"]

Floats = npt.NDArray[np.float64]

FRAMES, INTERVAL_S = 20, 0.05
CENTER_MM = (16.0, 0.0)
"""Axis of the vessel (axial, lateral)."""

_GRID = PixelGrid((208, 256), (0.15, 0.15), (1.0, -19.2))
_F0_HZ, _SOUND_SPEED_MM_S = 5e6, 1.54e6
_SIGMA_MM = (0.16, 0.28)
_DENSITY_PER_MM2 = 60.0
_MARGIN_MM = 2.0
_RADIUS_MM, _PULSE_MM = 4.0, 0.7
# Layers from the lumen outwards: thickness in mm, and level in dB against muscle.
_WALL = ((0.5, 9.0), (0.8, -5.0), (0.7, 11.0))
_BLOOD_DB, _NOISE_DB = -32.0, -52.0
# Depth in mm, thickness in mm and level in dB of sheets of tissue.
_SHEETS = ((3.5, 0.5, 9.0), (26.5, 0.6, 10.0))
_POINTS_MM = ((9.0, 15.0), (24.0, 13.5), (29.5, -8.0))
_POINT_AMPLITUDE = 45.0


def lumen_radius_mm(time_s: float) -> float:
    """Return the radius of the lumen: fast out, slowly back, once a second."""
    phase = time_s % 1.0
    rise = np.sin(np.pi * phase / 0.3) if phase < 0.15 else 1.0
    fall = np.exp(-((max(phase - 0.15, 0.0)) / 0.25)) if phase >= 0.15 else 1.0
    return float(_RADIUS_MM + _PULSE_MM * rise * fall)


def vessel_clip_events(
    *, seed: int = 0, frames: int = FRAMES, token: CancelToken | None = None
) -> Generator[Event, None, UltrasoundImage]:
    """Simulate the clip, reporting progress; takes some seconds.

    Parameters
    ----------
    seed : int
        Of scatterers and noise.
    frames : int
        Of 50 ms each; 20 are one beat.
    token : CancelToken, optional
        Looked at between frames.

    Returns
    -------
    UltrasoundImage
        In decibels, 0 dB the brightest echo of the clip.
    """
    rng = np.random.default_rng(seed)
    places, amplitudes = _tissue(rng)
    clip = np.empty((frames, *_GRID.shape), np.float32)
    for frame in range(frames):
        if token is not None:
            token.raise_if_cancelled()
        radius = lumen_radius_mm(frame * INTERVAL_S)
        moved = _moved(places, radius)
        blood, weak = _blood(rng, radius)
        echo = _echo(
            np.concatenate([moved, blood]), np.concatenate([amplitudes, weak]), rng
        )
        clip[frame] = np.abs(echo)
        yield Progress(frame + 1, frames)
    clip /= clip.max()
    data = 20 * np.log10(np.maximum(clip, 10 ** (SILENCE_DB / 20)))
    return UltrasoundImage(
        data,
        "db",
        _GRID,
        frame_interval_s=INTERVAL_S,
        metadata={"name": "in-silico clip", "title": "A vessel that pulsates"},
    )


def _tissue(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return places and amplitudes of the scatterers at rest."""
    z_mm, x_mm = _GRID.axes_mm()
    low = np.array([z_mm[0], x_mm[0]]) - _MARGIN_MM
    high = np.array([z_mm[-1], x_mm[-1]]) + _MARGIN_MM
    count = int(_DENSITY_PER_MM2 * np.prod(high - low))
    places = rng.uniform(low, high, (count, 2))
    distance = np.hypot(*(places - CENTER_MM).T) - _RADIUS_MM
    level_db = np.zeros(count)
    for depth, thickness, sheet_db in _SHEETS:
        bent = depth + 0.6 * np.sin(places[:, 1] / 6)
        level_db[np.abs(places[:, 0] - bent) < thickness / 2] = sheet_db
    start = 0.0
    for thickness, wall_db in _WALL:
        level_db[(distance >= start) & (distance < start + thickness)] = wall_db
        start += thickness
    outside = distance >= 0
    amplitudes = rng.normal(size=count) * 10 ** (level_db / 20)
    points = np.array(_POINTS_MM)
    return (
        np.concatenate([places[outside], points]),
        np.concatenate([amplitudes[outside], np.full(len(points), _POINT_AMPLITUDE)]),
    )


def _moved(places: Floats, radius: float) -> Floats:
    away = places - CENTER_MM
    rest = np.hypot(*away.T)
    now = np.sqrt(rest**2 + radius**2 - _RADIUS_MM**2)
    return np.asarray(CENTER_MM + away * (now / rest)[:, None])


def _blood(rng: np.random.Generator, radius: float) -> tuple[Floats, Floats]:
    count = int(_DENSITY_PER_MM2 * np.pi * radius**2)
    distance = radius * np.sqrt(rng.uniform(size=count))
    turn = rng.uniform(0, 2 * np.pi, count)
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    places = CENTER_MM + distance[:, None] * around
    return places, rng.normal(size=count) * 10 ** (_BLOOD_DB / 20)


def _echo(
    places: Floats, amplitudes: Floats, rng: np.random.Generator
) -> npt.NDArray[np.complex128]:
    """Sum the scatterers, each with the phase of its two-way path."""
    from scipy.ndimage import gaussian_filter

    phase = 4 * np.pi * _F0_HZ / _SOUND_SPEED_MM_S * places[:, 0]
    pixels = (places - _GRID.origin_mm) / np.asarray(_GRID.spacing_mm)
    margin = np.ceil(_MARGIN_MM / np.asarray(_GRID.spacing_mm)).astype(int)
    shape = np.asarray(_GRID.shape) + 2 * margin
    rows, columns = np.rint(pixels + margin).astype(int).T
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    flat = rows[inside] * shape[1] + columns[inside]
    sigma = np.asarray(_SIGMA_MM) / np.asarray(_GRID.spacing_mm)
    parts = []
    for wave in (np.cos(phase), np.sin(phase)):
        weights = (amplitudes * wave)[inside]
        field = np.bincount(flat, weights, int(np.prod(shape))).reshape(shape)
        parts.append(gaussian_filter(field, sigma))
    noise = np.std(parts[0]) * 10 ** (_NOISE_DB / 20)
    real, imaginary = (part + rng.normal(0, noise, part.shape) for part in parts)
    window = tuple(slice(m, m + n) for m, n in zip(margin, _GRID.shape, strict=True))
    return np.asarray((real + 1j * imaginary)[window])
