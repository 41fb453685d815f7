"""Sharpness of an edge."""

from __future__ import annotations

import numpy as np

from napari_usflow.evaluate import metrics
from napari_usflow.evaluate.profile import band_profile, line_profile
from napari_usflow.evaluate.quantities.contract import Place, Quantity


def _edge_mm(place: Place) -> float:
    """Return the edge width along a line, or along a box of four corners."""
    frame_db, grid, region = place.frame_db, place.grid, place.region
    if region.kind == "line":
        distance, profile = line_profile(frame_db, grid, region.points_mm)
    elif region.kind == "polygon" and len(region.points_mm) == 4:
        distance, profile = band_profile(frame_db, grid, region.points_mm)
    else:
        return float("nan")
    known = np.isfinite(profile)
    if np.count_nonzero(known) < 5:
        return float("nan")
    return metrics.edge_width(profile[known], distance[known])


QUANTITIES = (
    Quantity(
        "edge_mm",
        "Edge 10-90 %",
        "mm",
        3,
        "Distance over which the level goes from 10 % to 90 % of its step, along a "
        "line or, averaged, along a box drawn across the wall. Speckle makes single "
        "lines unsure: draw a box. Smoothing widens it; that is what it is for.",
        ("wall",),
        _edge_mm,
    ),
)
