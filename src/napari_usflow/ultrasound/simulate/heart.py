"""An in-silico acquisition of a heart: a phased array in front of four chambers.

Not anatomy to learn from, but what matters to an image of one: cavities without echoes
in walls of a few millimetres, bright linings, thin leaflets, points, and speckle whose
width grows with depth because the beams fan out.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event
from napari_usflow.ultrasound.data import ChannelData, FocusedBeam
from napari_usflow.ultrasound.simulate.focused_beams import simulate_transmits_events
from napari_usflow.ultrasound.simulate.plane_waves import LinearArray
from napari_usflow.ultrasound.simulate.scene import Scene

__all__ = [
    "HEART_ARRAY",
    "heart_beams",
    "heart_regions",
    "heart_scene",
    "simulate_heart_events",
]

Floats = npt.NDArray[np.float64]

HEART_ARRAY = LinearArray(48, 0.30e-3, 0.27e-3, 2.5e6, 0.6)
"""The probe: 48 elements half a wavelength apart at 2.5 MHz."""

_HALF_ANGLE, _BEAMS, _FOCUS_M = np.radians(38.0), 96, 0.07
_RADIUS_MM = (12.0, 118.0)
# What is shown: scatterers all around.
_DEPTH_MM = (14.0, 116.0)
# A resolution cell is about 0.5 mm deep and 2.4 degrees wide, wherever it is.
_SCATTERERS = 60_000


@dataclass(frozen=True)
class _Chamber:
    """An ellipse without echoes and its wall; lengths in mm, (axial, lateral)."""

    centre: tuple[float, float]
    half_axes: tuple[float, float]
    turn_deg: float
    wall: float

    def distance(self, z_mm: Floats, x_mm: Floats) -> Floats:
        """Distance from the lining, negative in the cavity (about right near it)."""
        turn = np.radians(self.turn_deg)
        z, x = z_mm - self.centre[0], x_mm - self.centre[1]
        along = z * np.cos(turn) + x * np.sin(turn)
        across = x * np.cos(turn) - z * np.sin(turn)
        relative = np.hypot(along / self.half_axes[0], across / self.half_axes[1])
        # Distance from the centre to the ellipse in the same direction.
        reach = np.full(np.shape(relative), min(self.half_axes))
        np.divide(np.hypot(z, x), relative, out=reach, where=relative > 0)
        return np.asarray((relative - 1) * reach)


_CHAMBERS = (
    _Chamber((58.0, 13.0), (32.0, 14.0), 8.0, 8.5),
    _Chamber((62.0, -19.0), (26.0, 9.0), -14.0, 4.0),
    _Chamber((104.0, 17.0), (12.0, 15.0), 0.0, 3.0),
    _Chamber((102.0, -17.0), (11.0, 13.0), 0.0, 3.0),
)
# Levels in dB against muscle.
_OUTSIDE_DB, _LINING_DB, _SAC_DB = -14.0, 8.0, 14.0
_LINING_MM, _SAC_MM = 1.0, 1.5
# Leaflets between the left chambers: ends (axial, lateral) and how much brighter.
_LEAFLETS = (((89.0, 4.0), (80.0, 13.0)), ((89.0, 28.0), (81.0, 18.0)))
_LEAFLET_MM, _LEAFLET_DB = 0.8, 10.0
_POINTS = ((40.0, 8.0), (55.0, 13.0), (70.0, 19.0), (60.0, -19.0))
# Against a scatterer of muscle.
_POINT_AMPLITUDE = 8.0


def heart_scene(seed: int = 0) -> Scene:
    """Make the scene: four chambers, their walls and linings, leaflets and points.

    The scatterers are evenly spread in radius and angle, about ten a resolution cell,
    so that speckle is fully developed at every depth. Their amplitude grows as the
    square root of the radius, which makes up for their density, and as the radius,
    which stands for the scanner's gain over depth.

    Parameters
    ----------
    seed : int
        Of the scatterers; the targets stay where they are.
    """
    rng = np.random.default_rng(seed)
    radius = rng.uniform(*_RADIUS_MM, _SCATTERERS)
    # A little wider than the beams, whose own width must be filled.
    angle = rng.uniform(-1.08 * _HALF_ANGLE, 1.08 * _HALF_ANGLE, _SCATTERERS)
    z, x = radius * np.cos(angle), radius * np.sin(angle)
    strength = rng.choice([-1.0, 1.0], _SCATTERERS) * _echogenicity(z, x)
    strength *= (radius / 60.0) ** 1.5
    heard = strength != 0
    points = np.array(_POINTS)
    gain = np.hypot(*points.T) / 60.0
    z = np.concatenate([z[heard], points[:, 0]])
    x = np.concatenate([x[heard], points[:, 1]])
    return Scene(
        1e-3 * np.stack([x, np.zeros_like(x), z], axis=1),
        np.concatenate([strength[heard], _POINT_AMPLITUDE * gain]),
        points,
        name="In-silico heart: four chambers",
    )


def heart_beams() -> list[FocusedBeam]:
    """Return the beams: 96 over 76 degrees from the array's centre, focus at 70 mm."""
    angles = np.linspace(-_HALF_ANGLE, _HALF_ANGLE, _BEAMS)
    return [FocusedBeam(float(angle), _FOCUS_M) for angle in angles]


def simulate_heart_events(
    seed: int = 0, *, token: CancelToken | None = None
) -> Generator[Event, None, ChannelData]:
    """Simulate one frame, reporting progress; takes about ten seconds.

    Parameters
    ----------
    seed : int
        Of scatterers and noise.
    token : CancelToken, optional
        Looked at every few milliseconds.

    Returns
    -------
    ChannelData
        RF of :data:`HEART_ARRAY`, shape (1, 96, 48, samples).
    """
    data = yield from simulate_transmits_events(
        heart_scene(seed),
        transmits=heart_beams(),
        array=HEART_ARRAY,
        noise_db=-30.0,
        seed=seed,
        token=token,
    )
    return replace(data, metadata={**data.metadata, "depth_mm": _DEPTH_MM})


def heart_regions(z_mm: Floats, x_mm: Floats) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the homogeneous regions, a beam's width inside their edges.

    Parameters
    ----------
    z_mm, x_mm : ndarray, any shape
        Depth and lateral position.

    Returns
    -------
    dict
        ``muscle``; ``near`` and ``far``, of the surroundings what is nearer to the
        probe than 50 mm and farther than 80 mm; ``cavity``.
    """
    radius = np.hypot(z_mm, x_mm)
    margin = 0.5 + 0.025 * radius
    lining, outside = _distances(z_mm, x_mm)
    in_range = (radius > _DEPTH_MM[0]) & (radius < _DEPTH_MM[1])
    in_range &= np.abs(np.arctan2(x_mm, z_mm)) < 0.95 * _HALF_ANGLE
    surroundings = in_range & (outside > _SAC_MM + 2 * margin)
    return {
        "muscle": (lining > _LINING_MM + margin) & (outside < -margin),
        "near": surroundings & (radius < 50),
        "far": surroundings & (radius > 80),
        "cavity": lining < -2 * margin,
    }


def _distances(z_mm: Floats, x_mm: Floats) -> tuple[Floats, Floats]:
    """Distance from the nearest lining and from the outside of the heart."""
    distances = [chamber.distance(z_mm, x_mm) for chamber in _CHAMBERS]
    walls = [d - c.wall for d, c in zip(distances, _CHAMBERS, strict=True)]
    return np.min(distances, axis=0), np.min(walls, axis=0)


def _echogenicity(z_mm: Floats, x_mm: Floats) -> Floats:
    """Amplitude of the scatterers at some places, 1 in muscle."""
    lining, outside = _distances(z_mm, x_mm)
    level_db = np.zeros_like(z_mm)
    level_db[outside > 0] = _SAC_DB
    level_db[outside > _SAC_MM] = _OUTSIDE_DB
    level_db[(lining >= 0) & (lining < _LINING_MM)] = _LINING_DB
    amplitude = 10 ** (level_db / 20)
    amplitude[lining < 0] = 0
    for start, end in _LEAFLETS:
        near = _distance_from_line(z_mm, x_mm, start, end) < _LEAFLET_MM
        amplitude[near] = 10 ** (_LEAFLET_DB / 20)
    return np.asarray(amplitude)


def _distance_from_line(
    z_mm: Floats,
    x_mm: Floats,
    start: tuple[float, float],
    end: tuple[float, float],
) -> Floats:
    """Distance from a line that ends at both sides."""
    (z_0, x_0), (d_z, d_x) = start, (end[0] - start[0], end[1] - start[1])
    share = ((z_mm - z_0) * d_z + (x_mm - x_0) * d_x) / (d_z**2 + d_x**2)
    share = np.clip(share, 0, 1)
    return np.asarray(np.hypot(z_mm - z_0 - share * d_z, x_mm - x_0 - share * d_x))
