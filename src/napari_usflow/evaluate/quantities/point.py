"""Width of a point."""

from __future__ import annotations

import numpy as np

from napari_usflow.evaluate.phantom_scores import picmus_fwhm
from napari_usflow.evaluate.quantities.contract import Place, Quantity
from napari_usflow.io.picmus import Phantom
from napari_usflow.ultrasound.data import PixelGrid

_WINDOW_MM = 2.5
"""Half the window that is cut out around a point, wider than the challenge's 1.8 mm."""


def _widths(place: Place) -> tuple[float, float]:
    """Return the widths (axial, lateral) of the point in a window around a place."""
    grid = place.grid
    z, x = place.region.center_mm
    window, origin = [], []
    for axis, center in enumerate((z, x)):
        step, size = grid.spacing_mm[axis], grid.shape[axis]
        middle = (center - grid.origin_mm[axis]) / step
        reach = _WINDOW_MM / step
        first = int(np.clip(np.ceil(middle - reach), 0, size))
        last = int(np.clip(np.floor(middle + reach) + 1, first, size))
        window.append(slice(first, last))
        origin.append(grid.origin_mm[axis] + first * step)
    part = np.asarray(place.frame_db[tuple(window)])
    if 0 in part.shape or not np.isfinite(part).all():
        return float("nan"), float("nan")
    cut = PixelGrid(
        (part.shape[0], part.shape[1]), grid.spacing_mm, (origin[0], origin[1])
    )
    try:
        scores = picmus_fwhm(part, cut, Phantom(points_mm=np.array([[z, x]])))
    except ValueError:  # outside of the image
        return float("nan"), float("nan")
    return float(scores.axial_mm[0]), float(scores.lateral_mm[0])


def _width(place: Place, axis: int) -> float:
    if "widths" not in place.shared:
        place.shared["widths"] = _widths(place)
    return float(place.shared["widths"][axis])


QUANTITIES = (
    Quantity(
        "fwhm_axial_mm",
        "FWHM axial",
        "mm",
        3,
        "Width along depth of the brightest point within 1.8 mm, 6 dB below its peak. "
        "Resolution of the system where the point stands alone; a saturated point is "
        "too wide, and a method that sharpens points makes no new detail.",
        ("point",),
        lambda place: _width(place, 0),
    ),
    Quantity(
        "fwhm_lateral_mm",
        "FWHM lateral",
        "mm",
        3,
        "Width across the beam of the brightest point within 1.8 mm, 6 dB below its "
        "peak; see FWHM axial.",
        ("point",),
        lambda place: _width(place, 1),
    ),
)
