"""Between an image's values and the range [0, 1] that a denoiser works in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_usflow.denoising.array_types import Frame, Mask
from napari_usflow.errors import UsflowError
from napari_usflow.ultrasound.bmode import log_compress
from napari_usflow.ultrasound.data import UltrasoundImage, Values
from napari_usflow.ultrasound.outside import filled, floored
from napari_usflow.ultrasound.value_rule import UnknownValuesError, checked_range

__all__ = [
    "FAR_FLOOR",
    "ValueMap",
    "checked_frame",
    "checked_result",
    "value_map",
]

FAR_FLOOR = -1.0
"""Lowest value handed to a denoiser: one whole range below black (-120 dB for 60 dB).

Clipping at black would bias dark regions upwards, so nulls below it are kept. But
an exact zero has no logarithm, files write anything down to -300 dB for it, and one
such pixel outweighs all its neighbours. A null this deep in fully developed speckle
whose mean is at black has a probability of 1e-6; the deepest of the PICMUS contrast
phantoms is at -99 dB.
"""

# What float32 has room for, and float64 has digits for.
_WIDTHS = (1e-30, 1e30)
_FINEST = 1e-10


@dataclass(frozen=True)
class ValueMap:
    """The map y = (v - low) / (high - low), and its way back.

    An envelope is log-compressed first, each frame against its own maximum, so that
    the result does not depend on the other frames; it comes back as an envelope.

    Attributes
    ----------
    values : {"db", "envelope", "display"}
        What the image's numbers are.
    low, high : float
        What is mapped to 0 and 1: decibels for ``db`` and ``envelope``.
    dynamic_range_db : float
        The decibels that [0, 1] spans.
    """

    values: Values
    low: float
    high: float
    dynamic_range_db: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ValueError(
                f"value_range must be (low, high) with low < high, "
                f"got ({self.low}, {self.high})"
            )
        width, far = self.high - self.low, max(abs(self.low), abs(self.high))
        narrowest = max(_WIDTHS[0], _FINEST * far)
        if not narrowest <= width <= _WIDTHS[1]:
            raise ValueError(
                f"value_range ({self.low:g}, {self.high:g}) spans {width:g}; from "
                f"{narrowest:g} to {_WIDTHS[1]:g} can be computed with"
            )

    def forward(self, frame: Frame) -> tuple[Frame, float]:
        """Map a frame to [0, 1]; nothing is clipped but at :data:`FAR_FLOOR`.

        Returns
        -------
        ndarray, shape (Z, X), float32
            Nominally in [0, 1].
        float
            The amplitude of 0 dB, which :meth:`backward` needs.
        """
        reference = 1.0
        if self.values == "envelope":
            reference = float(frame.max()) or 1.0
            frame = log_compress(frame, reference)
        unit = (frame - self.low) / (self.high - self.low)
        return np.maximum(unit, FAR_FLOOR, dtype=np.float32), reference

    def backward(self, unit: Frame, reference: float) -> Frame:
        """Map a frame from [0, 1] to the image's values."""
        frame = unit * (self.high - self.low) + self.low
        if self.values == "envelope":
            frame = reference * 10.0 ** (frame / 20.0)
        return np.asarray(frame, dtype=np.float32)


def value_map(
    image: UltrasoundImage,
    value_range: tuple[float, float] | None = None,
    dynamic_range_db: float = 60.0,
) -> ValueMap:
    """Choose what is mapped to [0, 1].

    The given range, else the one the image's metadata note (``value_range``), else
    (-dynamic_range_db, 0) for ``db`` and ``envelope`` and (0, 255) for ``display``.
    A range of decibels is also their dynamic range.
    """
    usual = (0.0, 255.0) if image.values == "display" else (-dynamic_range_db, 0.0)
    if value_range is None:
        value_range = image.metadata.get("value_range")
    low, high = usual if value_range is None else checked_range(value_range)
    span = dynamic_range_db if image.values == "display" else high - low
    return ValueMap(image.values, low, high, span)


def checked_frame(image: UltrasoundImage, index: int) -> tuple[Frame, Mask | None]:
    """Read one frame of an image and refuse what cannot be denoised.

    Returns
    -------
    ndarray, shape (Z, X), float32
        All finite: -Inf is the lowest level, and where the image has NaN stands the
        nearest pixel.
    ndarray, shape (Z, X), bool, optional
        The pixels outside of the image, which are NaN; None for none.

    Raises
    ------
    ValueError
        When it is complex or boolean, has pixels of +Inf, is an envelope with
        negative ones, or it is not known what the numbers are.
    """
    name = image.metadata.get("name") or image.metadata.get("source") or "the image"
    if image.metadata.get("question"):
        raise UnknownValuesError(image.metadata["question"])
    data = image.data[index]
    if hasattr(data, "__dask_graph__"):
        data = data.compute()
    if np.ma.is_masked(data):
        raise ValueError(
            f"{name}: frame {index} is masked; pass the masked array as a whole, or "
            "fill it"
        )
    raw = np.asarray(data)
    index += int(image.metadata.get("first_frame", 0))  # as the file counts them
    if raw.dtype.kind not in "fiu":
        hint = (
            "take the envelope and its logarithm first"
            if raw.dtype.kind == "c"
            else "pass grey values or decibels"
        )
        raise ValueError(
            f"{name} holds {raw.dtype} values, which have no speckle; {hint}"
        )
    with np.errstate(over="ignore"):
        frame = raw.astype(np.float32)
    frame, outside = filled(floored(frame, f"{name}: frame {index}"))
    if image.values == "envelope" and frame.min() < 0:
        raise ValueError(
            f"{name}: frame {index} has negative values down to {frame.min():g}, but "
            "an envelope is never negative; take the envelope of RF or IQ first"
        )
    return frame, outside


def checked_result(frame: Frame, what: str) -> Frame:
    """Return the result of a method; UsflowError when it is not finite."""
    bad = frame.size - int(np.count_nonzero(np.isfinite(frame)))
    if bad:
        raise UsflowError(
            f"{what}: {bad} of {frame.size} pixels of the result are not finite; its "
            "weights may be damaged, or value_range too wide for float32"
        )
    return frame
