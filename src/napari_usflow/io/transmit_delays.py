"""Transmits by angle and focus, and the delays of the elements that make them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.data import (
    DivergingWave,
    FocusedBeam,
    PlaneWave,
    Transmit,
)

__all__ = ["element_paths_m", "transmit_of"]

Floats = npt.NDArray[np.float64]


def transmit_of(
    focus_m: float, angle_rad: float, origin_m: tuple[float, float, float]
) -> Transmit:
    """Describe a transmit: plane (0 or inf), focused, or diverging (negative focus)."""
    if focus_m == 0 or np.isinf(focus_m):
        return PlaneWave(angle_rad)
    if focus_m > 0:
        return FocusedBeam(angle_rad, focus_m, origin_m)
    x, y, z = origin_m
    source = (
        x + focus_m * float(np.sin(angle_rad)),
        y,
        z + focus_m * float(np.cos(angle_rad)),
    )
    return DivergingWave(source, origin_m)


def element_paths_m(transmit: Transmit, elements: Floats) -> Floats:
    """Path from time zero to each element, along which the delays were laid out.

    Of a focused beam it is that of the converging wave on both sides of the focus.
    """
    x, z = elements[:, 0], elements[:, 2]
    if isinstance(transmit, FocusedBeam):
        focus = np.add(
            transmit.origin_m,
            np.multiply(transmit.focus_distance_m, transmit.direction),
        )
        gap_m: Floats = np.hypot(x - focus[0], z - focus[2])
        return transmit.focus_distance_m - gap_m
    return np.asarray(transmit.path_m(z, x), np.float64)
