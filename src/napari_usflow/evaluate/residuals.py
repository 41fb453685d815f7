"""What a filter took away, and the offset that it left.

A despeckling filter can be judged without a reference: the residual, input minus
result in decibels, should be speckle and nothing else: 5.57 dB of standard deviation
where it is fully developed, and no more correlated than speckle is. Structure in the
residual was taken from the image.

Log-domain filters leave the mean of log-compressed speckle, 2.51 dB below the
logarithm of the mean intensity; those that average the envelope or the intensity leave
another level. Before results are compared with a clean reference, the offset of each
is therefore fitted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.speckle_statistics import correlation

__all__ = ["fitted_offset", "mean_bias", "residual_whiteness"]

Array = npt.NDArray[Any]


def residual_whiteness(residual: Array, *, max_lag: int = 3) -> float:
    """Energy of a residual's autocorrelation at small lags, without lag zero.

    The sum of rho^2 over the half plane of lags up to ``max_lag`` pixels along each
    axis (the other half is its mirror image), rho as
    :func:`~napari_usflow.ultrasound.speckle_statistics.correlation` measures it. The
    whiter the residual, the nearer it is to 0: white noise of N pixels gives about
    24 / N for the 24 lags up to 3. The residual of a filter that takes structure away
    is correlated. So, a little, is speckle itself, which is what to compare with:
    0.077 for the paper's point-spread function at 0.4375 mm.

    Parameters
    ----------
    residual : ndarray, shape (Z, X)
        Input minus result, larger than twice ``max_lag`` each way; its mean does not
        matter, nor its scale.
    max_lag : int
        In pixels.

    Returns
    -------
    float
        At least 0; NaN for a constant residual.
    """
    if np.ptp(residual) == 0:
        return float("nan")
    rho = correlation(residual, max_lag)
    return float((np.sum(rho**2) - 1) / 2)


def mean_bias(result: Array, reference: Array) -> float:
    """Mean of result minus reference, in their values: how far the level was moved."""
    _same_shape(result, reference)
    difference = np.asarray(result, np.float64) - np.asarray(reference, np.float64)
    return float(difference.mean())


def fitted_offset(
    result: Array, reference: Array, region: npt.NDArray[np.bool_] | None = None
) -> float:
    """Return the constant that, added to a result, brings it nearest to a reference.

    In the sense of least squares, which is the mean difference; on decibels it is a
    gain.

    Parameters
    ----------
    result, reference : ndarray, any shape
    region : ndarray of bool, same shape, optional
        Where to compare; everywhere by default.
    """
    _same_shape(result, reference)
    if region is None:
        return mean_bias(reference, result)
    _same_shape(result, region)
    if not region.any():
        raise ValueError("the region in which an offset is to be fitted is empty")
    return mean_bias(np.asarray(reference)[region], np.asarray(result)[region])


def _same_shape(first: Array, second: Array) -> None:
    if np.shape(first) != np.shape(second):
        raise ValueError(f"the shapes {np.shape(first)}, {np.shape(second)} differ")
