"""Scenes of point scatterers, and the one that the sample acquisition shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Scene", "sample_scene"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """Scene in front of the array, with the places of its targets.

    Attributes
    ----------
    positions_m : ndarray, shape (N, 3), float64
        Scatterers: x (lateral), y, z (depth).
    amplitudes : ndarray, shape (N,), float64
        Their signed amplitudes.
    points_mm : ndarray, shape (P, 2)
        Isolated point targets (axial, lateral).
    cysts_mm : ndarray, shape (K, 3)
        Discs (axial, lateral, diameter) of another echogenicity.
    speckle_regions_mm : ndarray, shape (M, 4)
        Rectangles of homogeneous speckle: centre, half size (axial, lateral each).
    name : str
        Title.
    """

    positions_m: Floats
    amplitudes: Floats
    points_mm: Floats = field(default_factory=lambda: np.empty((0, 2)))
    cysts_mm: Floats = field(default_factory=lambda: np.empty((0, 3)))
    speckle_regions_mm: Floats = field(default_factory=lambda: np.empty((0, 4)))
    name: str = "point scatterers"

    def __post_init__(self) -> None:
        n = len(self.amplitudes)
        if self.positions_m.shape != (n, 3) or self.amplitudes.shape != (n,):
            raise ValueError(
                f"positions_m must be (N, 3) and amplitudes (N,), got "
                f"{self.positions_m.shape} and {self.amplitudes.shape}"
            )


# All in mm, (axial, lateral).
_DEPTH, _WIDTH = (4.0, 50.0), (-20.0, 20.0)
_SCATTERERS_PER_MM2 = 60.0

# Axial, lateral, diameter; level against the background, None for no scatterers.
_CYSTS: tuple[tuple[tuple[float, float, float], float | None], ...] = (
    ((24.0, -11.0, 6.0), None),
    ((24.0, 0.0, 6.0), -12.0),
    ((24.0, 11.0, 6.0), 10.0),
    ((41.0, 0.0, 5.0), None),
)
_POINT_DEPTH, _POINT_PLACES = 32.5, (-14.0, -7.0, 0.0, 7.0, 14.0)
# Against the background's scatterers, which have an amplitude of 1.
_POINT_AMPLITUDE = 60.0
_REGIONS = ((41.0, -11.0, 2.7, 4.0), (41.0, 11.0, 2.7, 4.0))

# A vessel along x: depth of its axis at x = 0, its slope, the radius of the lumen.
_VESSEL_DEPTH, _VESSEL_SLOPE, _LUMEN_RADIUS = 12.0, np.tan(np.radians(4.0)), 2.2
# Layers of its wall from the lumen outwards: thickness, level against the background.
_WALL = ((0.3, 14.0), (0.5, -8.0), (0.6, 16.0))


def sample_scene(seed: int = 0) -> Scene:
    """Make the scene of the sample acquisition.

    Speckle from 4 to 50 mm of depth over a width of 40 mm; in it a vessel along the
    array (an anechoic lumen in a wall of three layers), two anechoic cysts, one of
    -12 dB and one of +10 dB, and a row of five point targets. The scatterers of the
    background are uniformly distributed, about nine a resolution cell of the default
    probe, and equally strong but for their sign: its speckle is fully developed.

    Parameters
    ----------
    seed : int
        Of the scatterers; the targets stay where they are.

    Returns
    -------
    Scene
        About 100,000 scatterers, the point targets last.
    """
    rng = np.random.default_rng(seed)
    area = (_DEPTH[1] - _DEPTH[0]) * (_WIDTH[1] - _WIDTH[0])
    n = round(_SCATTERERS_PER_MM2 * area)
    z, x = rng.uniform(*_DEPTH, n), rng.uniform(*_WIDTH, n)
    strength = rng.choice([-1.0, 1.0], n) * _echogenicity(z, x)
    heard = strength != 0
    points = np.array([(_POINT_DEPTH, lateral) for lateral in _POINT_PLACES])
    z, x = (
        np.concatenate([speckle[heard], target])
        for speckle, target in zip((z, x), points.T, strict=True)
    )
    return Scene(
        1e-3 * np.stack([x, np.zeros_like(x), z], axis=1),
        np.concatenate([strength[heard], np.full(len(points), _POINT_AMPLITUDE)]),
        points,
        np.array([cyst for cyst, _ in _CYSTS]),
        np.array(_REGIONS),
        "In-silico phantom: vessel, cysts and points",
    )


def _echogenicity(z_mm: Floats, x_mm: Floats) -> Floats:
    """Amplitude of the scatterers at some places, 1 in the background."""
    level = np.ones_like(z_mm)
    for (axial, lateral, diameter), level_db in _CYSTS:
        inside = np.hypot(z_mm - axial, x_mm - lateral) < diameter / 2
        level[inside] = 0 if level_db is None else 10 ** (level_db / 20)
    axis_mm = _VESSEL_DEPTH + _VESSEL_SLOPE * x_mm
    radius = np.abs(z_mm - axis_mm) / np.hypot(1, _VESSEL_SLOPE)
    level[radius < _LUMEN_RADIUS] = 0
    inner = _LUMEN_RADIUS
    for thickness, level_db in _WALL:
        layer = (radius >= inner) & (radius < inner + thickness)
        level[layer] = 10 ** (level_db / 20)
        inner += thickness
    return level
