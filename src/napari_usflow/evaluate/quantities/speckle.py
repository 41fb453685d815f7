"""Speckle strength in homogeneous tissue."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate import metrics
from napari_usflow.evaluate.quantities.contract import ANY_SMOOTHING, Place, Quantity


def _envelope(place: Place) -> npt.NDArray[np.float64]:
    return np.asarray(10 ** (place.inside_db / 20))


_ROLES = ("speckle", "background")


QUANTITIES = (
    Quantity(
        "speckle_snr",
        "Speckle SNR",
        "",
        2,
        "Mean over standard deviation of the envelope. 1.91 is fully developed "
        "speckle; despeckling raises it. Good only where tissue is homogeneous."
        + ANY_SMOOTHING,
        _ROLES,
        lambda place: metrics.speckle_snr(_envelope(place)),
        least=2,
    ),
    Quantity(
        "enl",
        "ENL",
        "",
        1,
        "Equivalent number of looks: mean squared over variance of the intensity. 1 is "
        "fully developed speckle. Good only where tissue is homogeneous; a gradient "
        "lowers it." + ANY_SMOOTHING,
        _ROLES,
        lambda place: metrics.enl(_envelope(place) ** 2),
        least=2,
    ),
)
