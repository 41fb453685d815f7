"""Metrics of the regions of an image, given as masks.

What scripts call; the formulas are in :mod:`~napari_usflow.evaluate.metrics`. A mask is
an array of bool of the frame's shape. Contrast, CNR and gCNR are taken on decibels (of
8-bit grey, on the grey as it is), speckle SNR and the number of looks on the amplitude.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate import metrics
from napari_usflow.ultrasound.bmode import log_compress
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["cnr", "contrast", "enl", "gcnr", "speckle_snr"]

Image = UltrasoundImage | npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def contrast(image: Image, inside: Mask, outside: Mask, *, frame: int = 0) -> float:
    """Compute the contrast of two regions as the PICMUS challenge defines it, in dB.

    20 log10(|mean_in - mean_out| / sqrt((var_in + var_out) / 2)) of the decibels in the
    regions (Liebgott et al., IEEE IUS 2016).

    Parameters
    ----------
    image : UltrasoundImage or ndarray, shape (Z, X) or (T, Z, X)
        An array is in decibels.
    inside, outside : ndarray, shape (Z, X), bool
        Masks of the two regions, at least two pixels each.
    frame : int
        Which frame of a stack.

    Returns
    -------
    float
        Decibels; -inf for equal means, inf for two flat regions.

    Raises
    ------
    ValueError
        When a mask does not fit the frame, has too few pixels, or covers pixels that
        are not finite.

    Examples
    --------
    A cyst of 4 mm radius, 20 dB below the tissue around it:

    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> grid = usf.PixelGrid((200, 200), (0.1, 0.1), (5.0, -10.0))
    >>> z, x = grid.axes_mm()
    >>> distance = np.hypot(z[:, None] - 15, x)
    >>> speckle = 10 * np.log10(np.random.default_rng(0).exponential(size=grid.shape))
    >>> frames = (speckle - 20 * (distance < 4) - 20)[None]
    >>> image = usf.UltrasoundImage(frames, "db", grid)
    >>> around = (distance > 5) & (distance < 7)
    >>> round(usf.contrast(image, distance < 3, around))
    11
    """
    return metrics.contrast_db(*_levels(image, frame, inside, outside))


def cnr(image: Image, inside: Mask, outside: Mask, *, frame: int = 0) -> float:
    """Compute the contrast-to-noise ratio of two regions.

    |mean_in - mean_out| / sqrt(var_in + var_out) of the decibels in the regions.

    Parameters
    ----------
    image, inside, outside, frame
        As for :func:`contrast`.

    Returns
    -------
    float
        Two regions of fully developed speckle D dB apart have D / 7.877.

    Raises
    ------
    ValueError
        As :func:`contrast`.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> image = np.array([[0.0, 2.0], [10.0, 12.0]])
    >>> above = np.array([[True, True], [False, False]])
    >>> round(usf.cnr(image, above, ~above), 2)
    7.07
    """
    return metrics.cnr(*_levels(image, frame, inside, outside))


def gcnr(image: Image, inside: Mask, outside: Mask, *, frame: int = 0) -> float:
    """Compute the generalized contrast-to-noise ratio of two regions.

    1 minus the overlap of their histograms (A. Rodriguez-Molares et al., IEEE Trans.
    UFFC 67(4), 2020), corrected for what histograms of few pixels differ by by chance
    (:func:`napari_usflow.evaluate.metrics.gcnr`).

    Parameters
    ----------
    image, inside, outside, frame
        As for :func:`contrast`.

    Returns
    -------
    float
        0 (the same distribution) to 1 (disjoint).

    Raises
    ------
    ValueError
        As :func:`contrast`.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> image = np.random.default_rng(0).normal(size=(40, 20))
    >>> left = np.zeros((40, 20), bool)
    >>> left[:, :10] = True
    >>> usf.gcnr(image, left, ~left) < 0.05
    True
    >>> usf.gcnr(image + 20 * left, left, ~left)
    1.0
    """
    return metrics.gcnr(*_levels(image, frame, inside, outside))


def speckle_snr(image: Image, region: Mask, *, frame: int = 0) -> float:
    """Compute the signal-to-noise ratio of the speckle in a homogeneous region.

    Mean over standard deviation of the amplitude: sqrt(pi / (4 - pi)) = 1.913 for fully
    developed speckle; despeckling raises it.

    Parameters
    ----------
    image : UltrasoundImage or ndarray, shape (Z, X) or (T, Z, X)
        In decibels or an envelope; an array is a linear amplitude >= 0.
    region : ndarray, shape (Z, X), bool
        Mask of the region, at least two pixels.
    frame : int
        Which frame of a stack.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        As :func:`contrast`; when an array holds negative values, or the image 8-bit
        grey, whose amplitudes are not known.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> amplitude = np.random.default_rng(0).rayleigh(size=(100, 100))
    >>> round(usf.speckle_snr(amplitude, np.ones((100, 100), bool)), 1)
    1.9
    """
    return metrics.speckle_snr(_amplitudes(image, frame, region))


def enl(image: Image, region: Mask, *, frame: int = 0) -> float:
    """Compute the equivalent number of looks in a homogeneous region.

    Mean^2 / variance of the intensity: 1 for fully developed speckle, L for the mean of
    L independent looks.

    Parameters
    ----------
    image, region, frame
        As for :func:`speckle_snr`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        As :func:`speckle_snr`.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> looks = np.random.default_rng(0).rayleigh(size=(4, 100, 100))
    >>> amplitude = np.sqrt((looks**2).mean(0))
    >>> round(usf.enl(amplitude, np.ones((100, 100), bool)))
    4
    """
    return metrics.enl(_amplitudes(image, frame, region) ** 2)


def _levels(image: Image, frame: int, *masks: Mask) -> list[Floats]:
    """Values of the regions, an envelope in decibels."""
    pixels = _pixels(image, frame)
    if isinstance(image, UltrasoundImage) and image.values == "envelope":
        pixels = log_compress(pixels)
    return [_region(pixels, mask) for mask in masks]


def _amplitudes(image: Image, frame: int, mask: Mask) -> Floats:
    """Linear amplitudes of a region."""
    values = _region(_pixels(image, frame), mask)
    if isinstance(image, UltrasoundImage) and image.values == "db":
        return np.asarray(10 ** (values / 20))
    if isinstance(image, UltrasoundImage) and image.values == "display":
        raise ValueError(
            "the image holds 8-bit grey, which does not say what amplitudes it stands "
            "for; pass decibels or an envelope"
        )
    if (values < 0).any():
        raise ValueError(
            f"an amplitude is >= 0, found {values.min():g}; of decibels give "
            "10 ** (db / 20), or an UltrasoundImage"
        )
    return values


def _pixels(image: Image, frame: int) -> npt.NDArray[Any]:
    data: Any = image.data if isinstance(image, UltrasoundImage) else image
    if len(data.shape) not in (2, 3):
        raise ValueError(f"an image is (Z, X) or (T, Z, X), got shape {data.shape}")
    return np.asarray(data if len(data.shape) == 2 else data[frame])


def _region(pixels: npt.NDArray[Any], mask: Mask) -> Floats:
    mask = np.asarray(mask)
    if mask.dtype != np.bool_ or mask.shape != pixels.shape:
        raise ValueError(
            f"a region is a mask of bool and shape {pixels.shape}, "
            f"got {mask.dtype} and {mask.shape}"
        )
    values = pixels[mask].astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a region covers pixels that are NaN or infinite")
    return values
