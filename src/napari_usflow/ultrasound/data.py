"""The containers that every reader fills and every later step takes.

Lengths are in millimetres (``*_mm``) on images and in metres (``*_m``) on channel
data, times in seconds, angles in radians. Depth grows downwards: the axial axis
comes first, the lateral one last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.transmits import (
    DivergingWave,
    FocusedBeam,
    PlaneWave,
    Transmit,
)

__all__ = [
    "FRAME_AXES",
    "ArrayLike",
    "ChannelData",
    "DivergingWave",
    "FocusedBeam",
    "PixelGrid",
    "PlaneWave",
    "PolarGrid",
    "Transmit",
    "UltrasoundImage",
    "Values",
    "kept_open",
    "pixel_count",
    "pixel_pair",
]

Values = Literal["db", "envelope", "display"]
"""Kind of an image's numbers.

``db``: decibels, 0 = maximum, never clipped. ``envelope``: linear amplitude >= 0.
``display``: 8-bit grey, 0 to 255.
"""


FRAME_AXES = ("t", "plane_waves", "y")
"""Kind of a stack's first axis: time, the number of plane waves, elevation.

Planes of a volume (``y``) have their distance in ``metadata["slice_spacing_mm"]``.
"""


class ArrayLike(Protocol):
    """The part of an array that lazy sources (h5py, dask) share with numpy."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of an element of the first axis."""

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True)
class PixelGrid:
    """A Cartesian grid of pixel centres.

    Attributes
    ----------
    shape : (int, int)
        Number of pixels (axial, lateral).
    spacing_mm : (float, float)
        Distance between pixel centres (axial, lateral).
    origin_mm : (float, float)
        Centre of the first pixel (axial, lateral); lateral 0 is the array's centre.
    """

    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    origin_mm: tuple[float, float]

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise ValueError(f"a pixel grid needs at least one pixel, got {self.shape}")
        if not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise ValueError(
                f"pixel spacing must be positive, got {self.spacing_mm} mm"
            )

    @classmethod
    def from_axes(cls, z_m: npt.ArrayLike, x_m: npt.ArrayLike) -> PixelGrid:
        """Make a grid from two evenly spaced axes in metres."""
        axes = [np.asarray(a, dtype=np.float64).ravel() * 1e3 for a in (z_m, x_m)]
        spacing = [
            float((a[-1] - a[0]) / (a.size - 1)) if a.size > 1 else 1.0 for a in axes
        ]
        return cls(
            (axes[0].size, axes[1].size),
            (spacing[0], spacing[1]),
            (float(axes[0][0]), float(axes[1][0])),
        )

    def axes_mm(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the axial and the lateral coordinates of the pixel centres in mm."""
        z, x = (
            np.asarray(o + s * np.arange(n), dtype=np.float64)
            for o, s, n in zip(self.origin_mm, self.spacing_mm, self.shape, strict=True)
        )
        return z, x


@dataclass(frozen=True)
class PolarGrid:
    """A sector: frames are (radius, angle).

    Attributes
    ----------
    shape : (int, int)
        Number of samples (radius, angle).
    radius_mm : (float, float)
        First radius and step.
    angle_rad : (float, float)
        First angle and step; 0 points along depth, positive towards +x.
    apex_mm : (float, float)
        Position (axial, lateral) of the point from which the radius is counted.
    """

    shape: tuple[int, int]
    radius_mm: tuple[float, float]
    angle_rad: tuple[float, float]
    apex_mm: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise ValueError(
                f"a polar grid needs at least one sample, got {self.shape}"
            )
        numbers = (*self.radius_mm, *self.angle_rad, *self.apex_mm)
        steps = (self.radius_mm[1], self.angle_rad[1])
        if not np.isfinite(numbers).all() or min(steps) <= 0 or self.radius_mm[0] < 0:
            raise ValueError(
                "a polar grid needs a first radius >= 0 and positive steps, got radius "
                f"{self.radius_mm} mm and angle {self.angle_rad} rad"
            )

    @classmethod
    def from_axes(
        cls,
        radius_m: npt.ArrayLike,
        angle_rad: npt.ArrayLike,
        apex_m: tuple[float, float] = (0.0, 0.0),
    ) -> PolarGrid:
        """Make a grid from evenly spaced, rising axes and the apex (axial, lateral)."""
        radius, angle = (
            np.asarray(a, dtype=np.float64).ravel() for a in (radius_m, angle_rad)
        )
        steps = [
            float((a[-1] - a[0]) / (a.size - 1)) if a.size > 1 else 1.0
            for a in (radius * 1e3, angle)
        ]
        return cls(
            (radius.size, angle.size),
            (float(radius[0]) * 1e3, steps[0]),
            (float(angle[0]), steps[1]),
            (apex_m[0] * 1e3, apex_m[1] * 1e3),
        )

    @property
    def mean_pixel_mm(self) -> tuple[float, float]:
        """Size of a sample (axial, lateral), its width taken at the mean radius.

        Lines fan out, so that a sample is as wide as its radius times the step in
        angle: narrower than this above the middle of the sector, wider below.
        """
        (first, step), turn = self.radius_mm, self.angle_rad[1]
        middle = first + step * (self.shape[0] - 1) / 2
        # A lone sample at the apex has no width of its own.
        return step, (middle or step) * turn

    def axes(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the radii in mm and the angles in rad."""
        radius, angle = (
            np.asarray(first + step * np.arange(n), dtype=np.float64)
            for (first, step), n in zip(
                (self.radius_mm, self.angle_rad), self.shape, strict=True
            )
        )
        return radius, angle


@dataclass(frozen=True)
class ChannelData:
    """Raw signals of an array, one record a transmit and an element.

    Attributes
    ----------
    samples : array, shape (frames, transmits, channels, samples)
        float32 RF or complex64 IQ; may be lazy, reading from a file when indexed.
    element_positions_m : ndarray, shape (channels, 3), float64
        x (lateral), y, z (depth) of each element.
    sampling_frequency_hz, center_frequency_hz : float
        Of the records; of the transmitted pulse.
    demodulation_frequency_hz : float
        0 for RF.
    sound_speed_m_s : float
        Assumed speed of sound.
    start_time_s : ndarray, shape (transmits,), float64
        Time of the first sample; 0 is when the wave passes its transmit's origin, for
        a plane wave x = 0, z = 0 (see :mod:`napari_usflow.ultrasound.transmits`).
    transmits : sequence of PlaneWave, DivergingWave or FocusedBeam
        One description a transmit, all of one class.
    frame_interval_s : float, optional
        Time between frames.
    metadata : mapping
        Provenance: ``source`` (file), ``name`` and what the format adds.
    """

    samples: ArrayLike
    element_positions_m: npt.NDArray[np.float64]
    sampling_frequency_hz: float
    center_frequency_hz: float
    demodulation_frequency_hz: float
    sound_speed_m_s: float
    start_time_s: npt.NDArray[np.float64]
    transmits: Sequence[Transmit]
    frame_interval_s: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(self.samples.shape)
        if len(shape) != 4:
            raise ValueError(
                "samples must be (frames, transmits, channels, samples), "
                f"got shape {shape}"
            )
        for name, actual, expected in (
            ("element_positions_m", self.element_positions_m.shape, (shape[2], 3)),
            ("start_time_s", self.start_time_s.shape, (shape[1],)),
            ("transmits", (len(self.transmits),), (shape[1],)),
        ):
            if tuple(actual) != expected:
                raise ValueError(f"{name} has shape {actual}, expected {expected}")
        if len({type(transmit) for transmit in self.transmits}) > 1:
            kinds = sorted({type(transmit).__name__ for transmit in self.transmits})
            raise ValueError(f"transmits must be of one class, got {', '.join(kinds)}")
        for name in ("sampling_frequency_hz", "sound_speed_m_s"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive, got {value}")

    @property
    def is_focused(self) -> bool:
        """Whether each transmit is a focused beam, which makes one image line."""
        return bool(self.transmits) and isinstance(self.transmits[0], FocusedBeam)

    @property
    def is_iq(self) -> bool:
        """Whether the samples are demodulated (complex)."""
        return bool(np.issubdtype(self.samples.dtype, np.complexfloating))


@dataclass(frozen=True)
class UltrasoundImage:
    """A B-mode image or a stack of them.

    Attributes
    ----------
    data : array, shape (frames, axial, lateral), float32
        numpy, or dask for a stack that is read lazily.
    values : {"db", "envelope", "display"}
        What the numbers are, see :data:`Values`.
    grid : PixelGrid or PolarGrid
        Where the pixels are.
    frame_axis : str
        What the first axis is, of :data:`FRAME_AXES`.
    frame_interval_s : float, optional
        Time between frames when ``frame_axis`` is ``t``.
    metadata : mapping
        Provenance: ``source``, ``name``, ``plane_waves`` and what the format adds.

    Examples
    --------
    One frame in decibels, with pixels of 0.1 mm by 0.2 mm from 5 mm depth on:

    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> grid = usf.PixelGrid((100, 50), (0.1, 0.2), (5.0, -4.9))
    >>> image = usf.UltrasoundImage(np.zeros((1, 100, 50)), "db", grid)
    >>> image.spacing_mm
    (0.1, 0.2)
    """

    data: ArrayLike
    values: Values
    grid: PixelGrid | PolarGrid
    frame_axis: str = "t"
    frame_interval_s: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(self.data.shape)
        if len(shape) != 3 or shape[1:] != tuple(self.grid.shape):
            raise ValueError(
                f"data must be (frames, {self.grid.shape[0]}, {self.grid.shape[1]}) "
                f"to fit its grid, got shape {shape}"
            )
        if self.values not in ("db", "envelope", "display"):
            raise ValueError(
                f"values must be db, envelope or display, got {self.values!r}"
            )

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Pixel size (axial, lateral) of a Cartesian image."""
        return self._cartesian().spacing_mm

    @property
    def origin_mm(self) -> tuple[float, float]:
        """Centre of the first pixel (axial, lateral) of a Cartesian image."""
        return self._cartesian().origin_mm

    def with_data(self, data: ArrayLike, **changes: Any) -> UltrasoundImage:
        """Return a copy that holds other data on the same grid."""
        return replace(self, data=data, **changes)

    def _cartesian(self) -> PixelGrid:
        if not isinstance(self.grid, PixelGrid):
            raise ValueError(
                "a polar image has no spacing in mm; its grid has radius and angle"
            )
        return self.grid


def kept_open(samples: ArrayLike) -> AbstractContextManager[None]:
    """Keep the file of lazy samples open while many of them are read in this thread."""
    keep = getattr(samples, "kept_open", None)
    return nullcontext() if keep is None else keep()


def pixel_count(extent_mm: float, step_mm: float) -> int:
    """Count the pixels that fit, the first of them at the start of the extent."""
    # The last one may be lost to rounding when it falls on the end.
    return math.floor(extent_mm / step_mm + 1e-6) + 1


_PIXEL_SIZES_MM = (1e-5, 1e3)


def pixel_pair(pixel_size_mm: Any) -> tuple[float, float]:
    """Turn one size or two into (axial, lateral), in mm.

    Raises
    ------
    ValueError
        When they are not one or two numbers from 1e-5 to 1000 mm.
    """
    try:
        if isinstance(pixel_size_mm, bool | np.bool_):
            raise TypeError
        axial, lateral = np.broadcast_to(np.asarray(pixel_size_mm, np.float64), 2)
    except (TypeError, ValueError):
        axial = lateral = np.nan
    low, high = _PIXEL_SIZES_MM
    if not (low <= axial <= high and low <= lateral <= high):
        raise ValueError(
            f"pixel_size_mm must be one positive size in mm ({low:g} to {high:g}) or "
            f"two (axial, lateral), got {pixel_size_mm!r}"
        )
    return float(axial), float(lateral)
