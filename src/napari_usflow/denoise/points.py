"""Telling what is too bright to be speckle.

A prior learned from MRI has seen no point scatterers, and takes a bright dot for noise.
The statistics of speckle know better: where it is fully developed the intensity is
exponential, and exceeds its local mean by D dB with a probability of exp(-10^(D/10)).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_usflow.denoise.contract import Frame
from napari_usflow.ultrasound.speckle_statistics import BIAS_DB

__all__ = ["GROW_DB", "SEED_DB", "points_mask"]

SEED_DB = 13.0
"""Excess over the local mean intensity that is no speckle.

Its probability is 2e-9. At 11 dB it is 3e-6, which would do if the local mean were
known; the denoised frame is wrong by 1 to 2 dB, and each false point is a bright dot.
"""

GROW_DB = 4.0
"""Excess down to which the surroundings belong to it: a point that is found is kept
down to 6 dB below its peak, so that its width is."""


def points_mask(
    noisy_db: Frame, clean_db: Frame, reach: tuple[int, int] = (1, 1)
) -> npt.NDArray[np.bool_]:
    """Find the pixels of point targets and other coherent echoes.

    Pixels more than :data:`SEED_DB` above the local mean intensity, and those above
    :data:`GROW_DB` that are connected with one of them. Beside an edge the local mean
    is that of the bright side: the denoised edge may lie a pixel aside.

    Parameters
    ----------
    noisy_db : ndarray, shape (Z, X), dB
    clean_db : ndarray, shape (Z, X), dB
        The denoised frame, the local mean of the log-compressed speckle.
    reach : (int, int)
        Pixels (axial, lateral) by which an edge of it may be displaced.

    Returns
    -------
    ndarray, shape (Z, X), bool
    """
    from scipy.ndimage import binary_propagation, maximum_filter

    brightest_db = maximum_filter(clean_db, [2 * steps + 1 for steps in reach])
    seeds = noisy_db - (brightest_db + BIAS_DB) > SEED_DB
    excess_db = noisy_db - (clean_db + BIAS_DB)
    # Diagonal neighbours count: points are seen obliquely as well.
    neighbours = np.ones((3, 3), dtype=bool)
    return np.asarray(
        binary_propagation(seeds, neighbours, mask=excess_db > GROW_DB), dtype=bool
    )
