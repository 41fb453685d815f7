"""From radio-frequency lines to a B-mode image: envelope and log compression."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SILENCE_DB", "envelope", "log_compress"]

SILENCE_DB = -120.0
"""Level given to an exact zero, which has no logarithm (see :func:`log_compress`)."""


def envelope(signal: npt.NDArray[Any], axis: int = -2) -> npt.NDArray[np.float32]:
    """Amplitude of beamformed RF or IQ.

    Parameters
    ----------
    signal : ndarray, shape (..., Z, X)
        Real RF, sampled along depth at more than twice its highest frequency, or
        complex IQ at any sampling.
    axis : int
        Axis of depth.

    Returns
    -------
    ndarray, same shape, float32
        Linear amplitude >= 0. Of RF it is the modulus of the analytic signal
        s + i H(s), H the Hilbert transform along depth.
    """
    from scipy.signal import hilbert

    signal = np.asarray(signal)
    if not np.iscomplexobj(signal):
        signal = hilbert(signal, axis=axis)
    amplitude: npt.NDArray[np.float32] = np.abs(signal).astype(np.float32, copy=False)
    return amplitude


def log_compress(
    amplitude: npt.NDArray[Any],
    reference: float | None = None,
    *,
    allow_outside: bool = False,
) -> npt.NDArray[np.float32]:
    """Turn a linear envelope into decibels, 20 log10(amplitude / reference).

    Nothing is clipped: how much of the range is shown is left to the display.

    Parameters
    ----------
    amplitude : ndarray, any shape
        Linear envelope, finite and >= 0.
    reference : float, optional
        Amplitude that becomes 0 dB; the maximum of the array when omitted, so that
        the frames of a stack keep their relative brightness.
    allow_outside : bool
        Take NaN for pixels outside of the image, which stay NaN.

    Returns
    -------
    ndarray, same shape, float32
        Decibels. An exact zero becomes :data:`SILENCE_DB`, or the level of the
        faintest non-zero amplitude where that is lower, so that order is kept; an
        array of zeros becomes :data:`SILENCE_DB` throughout.

    Raises
    ------
    ValueError
        If an amplitude is negative or not finite, or the reference is not positive.
    """
    amplitude = np.asarray(amplitude)
    if amplitude.size == 0:
        return np.zeros(amplitude.shape, np.float32)
    if allow_outside and (outside := np.isnan(amplitude)).any():
        shown = log_compress(np.where(outside, 0, amplitude), reference)
        shown[outside] = np.nan
        return shown
    low, high = float(amplitude.min()), float(amplitude.max())
    if not (np.isfinite(low) and np.isfinite(high) and low >= 0):
        raise ValueError(
            f"an envelope must be finite and >= 0, found values from {low} to {high}; "
            "take the envelope (modulus) of RF or IQ first"
        )
    if reference is not None and not (np.isfinite(reference) and reference > 0):
        raise ValueError(f"the 0 dB reference must be positive, got {reference}")
    if high == 0:
        return np.full(amplitude.shape, SILENCE_DB, np.float32)
    # In double precision: a float32 quotient of tiny values would be flushed to zero.
    ratio = np.divide(amplitude, reference or high, dtype=np.float64)
    heard = ratio > 0
    db = np.full(amplitude.shape, np.nan)
    np.log10(ratio, out=db, where=heard)
    db *= 20
    db[~heard] = min(SILENCE_DB, float(db[heard].min()))
    return db.astype(np.float32)
