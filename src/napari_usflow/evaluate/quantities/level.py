"""Size and brightness of a region."""

from __future__ import annotations

import math

from napari_usflow.evaluate.quantities.contract import Place, Quantity
from napari_usflow.evaluate.regions import AREA_ROLES


def _area_mm2(place: Place) -> float:
    if place.pixels is None or not place.inside_db.size:
        return 0.0
    return place.pixels.count * math.prod(place.grid.spacing_mm)


QUANTITIES = (
    Quantity(
        "area_mm2",
        "Area",
        "mm²",
        2,
        "Area of the pixels that were measured. Small regions give unsure numbers: "
        "count on a few hundred grains of speckle.",
        AREA_ROLES,
        _area_mm2,
    ),
    Quantity(
        "mean_db",
        "Mean",
        "dB",
        2,
        "Mean of the decibels. Its change is the level shift: a method that keeps the "
        "level of homogeneous tissue has none. It says nothing of noise or detail.",
        AREA_ROLES,
        lambda place: float(place.inside_db.mean()),
        least=1,
    ),
)
