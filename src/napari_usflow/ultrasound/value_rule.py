"""Meaning of a frame's numbers: one rule for files, arrays and layers.

Certain cases are taken:

- 8-bit whole numbers (uint8) are display grey, and so are numbers whose bits a file
  states (BitsStored of DICOM);
- numbers of both signs that balance and oscillate along depth are RF: their envelope
  in decibels is the image, as it is the modulus of complex IQ;
- numbers down to -20 or less, most of them below -10, are decibels;
- floats in [0, 1], with noise beyond both, are display grey, and so are floats in
  [0, 255] that reach above 127. Linear amplitude and power, whose spread grows with
  their mean, are told from grey by that.

Everything else is a question, :class:`UnknownValuesError`: 12 bits in uint16 and grey
in int16 look like an envelope, an envelope in floats looks like decibels above 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import UsflowError
from napari_usflow.ultrasound.bmode import envelope, log_compress
from napari_usflow.ultrasound.data import ArrayLike, Values

__all__ = [
    "STATED_VALUES",
    "Meaning",
    "StatedValues",
    "UnknownValuesError",
    "checked_range",
    "checked_values",
    "shown_frame",
    "shown_stack",
    "telling_frame",
    "value_meaning",
]

StatedValues = Literal["db", "envelope", "display", "rf"]
"""Kinds of numbers that a user may state."""

STATED_VALUES: tuple[StatedValues, ...] = get_args(StatedValues)

_HOW = (
    f"say what they are with --values {'|'.join(STATED_VALUES)}, or what is black and "
    "white with --value-range LOW HIGH (in Python values=, value_range=; in the window "
    "Values)"
)
_RF_NOTE = (
    "numbers of both signs were taken as beamformed RF, and their envelope along depth "
    "as the image; it is right only where depth is sampled at more than twice the "
    "carrier"
)
_IQ_NOTE = "the modulus of complex values was taken"
_WHITES = (1, 255, 1023, 4095, 16383, 65535)


class UnknownValuesError(UsflowError, ValueError):
    """Numbers may mean several things; the text says how to state which."""


@dataclass(frozen=True)
class Meaning:
    """Meaning of an image's numbers.

    Attributes
    ----------
    values : {"db", "envelope", "display"}
        Of the image that is shown.
    value_range : (float, float), optional
        Black and white, where they are not the usual ones of ``values``.
    signal : {"", "rf", "iq"}
        What the stored numbers are, where the image is the envelope of a signal in
        decibels.
    note : str
        What was assumed; may be empty.
    """

    values: Values
    value_range: tuple[float, float] | None = None
    signal: Literal["", "rf", "iq"] = ""
    note: str = ""


def value_meaning(
    frame: npt.NDArray[Any],
    *,
    values: str | None = None,
    value_range: tuple[float, float] | None = None,
    name: str = "the image",
) -> Meaning:
    """Tell what the numbers of a frame are.

    Parameters
    ----------
    frame : ndarray, shape (Z, X)
        As it is stored, see :func:`telling_frame`.
    values : {"db", "envelope", "display", "rf"}, optional
        What they are, when the user says so.
    value_range : (float, float), optional
        Black and white, when the user says so.
    name : str
        Of the image, for messages.

    Raises
    ------
    UnknownValuesError
        When they may be several things.
    ValueError
        When they are none of them.
    """
    values = checked_values(values)
    value_range = None if value_range is None else checked_range(value_range)
    if frame.dtype.kind not in "fiuc":
        raise ValueError(
            f"{name} holds {frame.dtype} values, which have no speckle; "
            "pass grey values or decibels"
        )
    if frame.dtype.kind == "c":
        if values not in (None, "rf"):
            raise ValueError(f"{name} is complex IQ; leave --values {values} out")
        return Meaning("db", value_range, "iq", _IQ_NOTE)
    finite = frame[np.isfinite(frame)]
    if finite.size == 0:
        raise ValueError(
            f"{name} has {frame.size} NaN or infinite pixels of {frame.size} in the "
            "frame that tells what its numbers are"
        )
    low, high = float(finite.min()), float(finite.max())
    if values is not None:
        return _stated(frame.dtype, low, high, values, value_range)
    if value_range is not None:
        return Meaning("db" if _is_db(*value_range) else "display", value_range)
    guess = _certain(frame, finite, low, high)
    if guess is None:
        raise UnknownValuesError(
            f"{name}: cannot tell what {frame.dtype} values from {low:g} to {high:g} "
            f"are; {_HOW}"
        )
    return guess


def checked_values(values: Any) -> StatedValues | None:
    """Return what a user says that numbers are; ValueError for another word."""
    if values is None or values in STATED_VALUES:
        return cast("StatedValues | None", values)
    raise ValueError(f"values must be one of {', '.join(STATED_VALUES)}, got {values}")


def checked_range(value_range: Any) -> tuple[float, float]:
    """Return black and white as two floats; ValueError unless there are two."""
    try:
        low, high = (float(value) for value in value_range)
    except (TypeError, ValueError):
        raise ValueError(
            f"value_range must be two numbers (low, high), got {value_range!r}"
        ) from None
    return low, high


def telling_frame(
    stack: ArrayLike, read: Callable[[Any], npt.NDArray[Any]] = np.asarray
) -> npt.NDArray[Any]:
    """Return the frame (Z, X) of a stack (T, Z, X) that tells what its numbers are.

    It is the middle one; where that is blank the first, else the last.

    Parameters
    ----------
    stack : array, shape (T, Z, X)
        May be lazy.
    read : callable
        Turns a frame of the stack into an array of numpy.
    """
    count = int(stack.shape[0])
    order: Sequence[int] = list(dict.fromkeys((count // 2, 0, count - 1)))
    frames = (read(stack[index]) for index in order)
    first = next(frames)
    return first if _varies(first) else next(filter(_varies, frames), first)


def shown_frame(
    frame: npt.NDArray[Any], signal: str, reference: float | None = None
) -> npt.NDArray[np.float32]:
    """Turn stored numbers into those of the image.

    Parameters
    ----------
    frame : ndarray, shape (Z, X)
        RF, IQ, or what is shown as it is; NaN is outside of the image.
    signal : {"", "rf", "iq"}
        See :class:`Meaning`.
    reference : float, optional
        Amplitude that becomes 0 dB, of a signal; its maximum by default.

    Returns
    -------
    ndarray, shape (Z, X), float32
        Of a signal the envelope along depth in dB; NaN stays NaN.
    """
    if not signal:
        return np.asarray(frame, np.float32)
    outside = np.isnan(frame)
    complete = np.where(outside, 0, frame) if outside.any() else frame
    if complete.dtype.kind in "iu":
        complete = complete.astype(np.float32)
    amplitude = np.where(outside, np.nan, envelope(complete))
    return log_compress(amplitude, reference, allow_outside=True)


def shown_stack(stack: ArrayLike, signal: str) -> Any:
    """Turn a stack of RF or IQ (T, Z, X) into decibels of its first frame's maximum.

    A dask array stays lazy; any other is converted as a whole. Other numbers
    (``signal`` empty) are returned as they are.
    """
    if not signal:
        return stack
    first = np.nan_to_num(np.asarray(stack[0]), nan=0, posinf=0, neginf=0)
    if first.dtype.kind in "iu":
        first = first.astype(np.float32)
    reference = float(envelope(first).max()) or 1.0
    if not hasattr(stack, "__dask_graph__"):
        frames = (np.asarray(stack[index]) for index in range(stack.shape[0]))
        return np.stack([shown_frame(frame, signal, reference) for frame in frames])
    import dask.array as da

    lazy: Any = stack
    return da.map_blocks(
        _shown_block,
        lazy.rechunk((1, *lazy.shape[1:])),
        signal,
        reference,
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
    )


def _shown_block(
    block: npt.NDArray[Any], signal: str, reference: float
) -> npt.NDArray[np.float32]:
    return shown_frame(block[0], signal, reference)[None]


def _varies(frame: npt.NDArray[Any]) -> bool:
    finite = frame[np.isfinite(frame)] if frame.dtype.kind in "fc" else frame
    return finite.size > 0 and bool((finite != finite.flat[0]).any())


def _stated(
    dtype: np.dtype[Any],
    low: float,
    high: float,
    values: StatedValues,
    value_range: tuple[float, float] | None,
) -> Meaning:
    if values == "rf":
        return Meaning("db", value_range, "rf")
    if value_range is not None:
        return Meaning(values, value_range)
    if values == "db" and high > 20:
        value_range = (high - 60.0, high)
        note = f"0 dB is not the maximum: {value_range[0]:g} to {high:g} dB are shown"
        return Meaning("db", value_range, note=note)
    if values != "display" or dtype == np.uint8:
        return Meaning(values)
    wide = [white for white in _WHITES if white >= high]
    white = float(wide[0] if wide else high)
    if dtype.kind != "f":
        white = max(white, 255.0)
    if low < 0 and low < -white:
        return Meaning("display", (low, high))
    note = "" if white in (1.0, 255.0) else f"0 and {white:g} were taken as black and "
    return Meaning(
        "display", None if white == 255 else (0.0, white), note=note and note + "white"
    )


def _certain(
    frame: npt.NDArray[Any], finite: npt.NDArray[Any], low: float, high: float
) -> Meaning | None:
    """Return what numbers are where it is certain."""
    if frame.dtype == np.uint8:
        return Meaning("display")
    if low < 0 < high and _is_rf(frame):
        return Meaning("db", None, "rf", _RF_NOTE)
    if _is_db(low, high) and float(np.median(finite)) <= -10:
        return Meaning("db")
    if frame.dtype.kind != "f":
        return None
    if low >= -1 and high <= 2:
        if low == high:
            return Meaning("display", (0.0, 1.0))
        certain = high >= 0.1 and not (low >= 0 and _is_linear(frame))
        return Meaning("display", (0.0, 1.0)) if certain else None
    if low >= 0 and 127 < high <= 255:
        is_whole = bool((finite == np.rint(finite)).all())
        return Meaning("display") if is_whole or not _is_linear(frame) else None
    return None


def _is_db(low: float, high: float) -> bool:
    return low <= -20 and high <= 20


def _is_rf(frame: npt.NDArray[Any]) -> bool:
    """Say whether numbers balance about zero and oscillate along depth.

    A picture less its mean balances too, but it is skewed (log-compressed speckle to
    the dark, an envelope to the bright) and has most of its power where RF has none.
    """
    signal = np.nan_to_num(np.asarray(frame, np.float64), nan=0, posinf=0, neginf=0)
    nonzero = signal[signal != 0]
    power = float((signal**2).mean())
    if nonzero.size == 0 or abs(float(signal.mean())) >= 0.1 * np.sqrt(power):
        return False
    positive = float((nonzero > 0).mean())
    if abs(positive - 0.5) > 0.04 + 2 / np.sqrt(nonzero.size):
        return False
    dark, middle, bright = np.quantile(nonzero, (0.05, 0.5, 0.95))
    if abs(dark + bright - 2 * middle) > 0.15 * (bright - dark):
        return False
    length = min(signal.shape[0], 256)
    count = signal.shape[0] // length
    means = signal[: count * length].reshape(count, length, -1).mean(axis=1)
    # 1 for white noise, next to 0 for a carrier, the grain in pixels for a picture.
    return bool(float((means**2).mean()) * length < 3 * power)


def _is_linear(frame: npt.NDArray[Any]) -> bool:
    """Say whether the spread of numbers grows with their mean, as speckle's does.

    In fully developed speckle it is 0.52 of the mean for amplitude and 1 for power;
    after log compression it does not depend on the mean. Fine grain shows that in
    small windows, within the structures; coarse grain needs larger ones.
    """
    return any(_is_linear_within(frame, side) for side in (16, 32))


def _is_linear_within(frame: npt.NDArray[Any], side: int) -> bool:
    high, wide = (min(side, size) for size in frame.shape)
    down, across = frame.shape[0] // high, frame.shape[1] // wide
    windows = (
        np.asarray(frame[: down * high, : across * wide], np.float64)
        .reshape(down, high, across, wide)
        .swapaxes(1, 2)
        .reshape(down * across, -1)
    )
    mean, spread = windows.mean(axis=1), windows.std(axis=1)
    used = np.isfinite(mean) & (mean > 0) & (spread > 0)
    if not used.any():
        return False
    windows, mean, spread = windows[used], mean[used], spread[used]
    unit = (windows - mean[:, None]) / spread[:, None]
    skewness = float(np.median((unit**3).mean(axis=1)))
    if np.median(spread / mean) < 0.35 or skewness < 0.25:
        return False
    level, width = np.log(mean), np.log(spread)
    if level.std() < 0.3:
        return True
    slope = float(np.cov(level, width)[0, 1] / level.var(ddof=1))
    return slope > 0.6
