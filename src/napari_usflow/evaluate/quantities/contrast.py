"""Contrast of a target against its background."""

from __future__ import annotations

from napari_usflow.evaluate import metrics
from napari_usflow.evaluate.quantities.contract import ANY_SMOOTHING, Quantity

QUANTITIES = (
    Quantity(
        "contrast_db",
        "Contrast",
        "dB",
        2,
        "20 log10(|difference of the means| / pooled standard deviation), as the "
        "PICMUS challenge defines it; against the background (or else the speckle "
        "region) nearest to the target." + ANY_SMOOTHING,
        ("target",),
        lambda place: metrics.contrast_db(place.inside_db, place.outside_db),
        least=2,
        compares=True,
    ),
    Quantity(
        "cnr",
        "CNR",
        "",
        2,
        "Contrast-to-noise ratio: difference of the means over the root of the summed "
        "variances." + ANY_SMOOTHING,
        ("target",),
        lambda place: metrics.cnr(place.inside_db, place.outside_db),
        least=2,
        compares=True,
    ),
    Quantity(
        "gcnr",
        "gCNR",
        "",
        3,
        "Generalized CNR: share of the two histograms that does not overlap, 0 to 1. "
        "Changes of the grey map do not move it, but it ends at 1, and few grey levels "
        "or few pixels push it up." + ANY_SMOOTHING,
        ("target",),
        lambda place: metrics.gcnr(place.inside_db, place.outside_db),
        least=2,
        compares=True,
    ),
)
