"""Speckle over a picture of tissue: a B-mode image whose truth is known.

Equations 8 and 9 of van de Schaft and van Sloun ("Ultrasound speckle suppression and
denoising using MRI-derived normalizing flow priors", 2021), after Yu and Acton (IEEE
Trans. Image Process. 11(11), 2002):

    y = (x n) * h,    h(z, l) = sin(2 pi f0 z / c) exp(-z^2 / 2 sa^2 - l^2 / 2 sl^2)

with the echogenicity x, the scatterers n (Rayleigh distributed), the point-spread
function h; z is depth, l lateral. Of y the Hilbert envelope is taken, it is
log-compressed and brought down to the pixel of x. The carrier's period is c / f0, as
the paper has it; an echo of two ways would have half of it.

What the paper leaves open is an option here, with a default:

- what x is (``reading``): a display map, whose grey is proportional to decibels, or
  the amplitude of the echo itself;
- how the fine image becomes a coarse one (``downscale``). Its value at the centre of a
  pixel keeps the statistics of fully developed speckle and is nearly white at
  0.4375 mm. The mean of the decibels, or of the envelope, over the pixel's area has
  less noise (4.2 and 3.8 dB in place of 5.6) and more correlation.

Between pixel centres x is interpolated linearly. Held constant over a pixel it would
have edges that reflect: the mean of Rayleigh scatterers is not zero.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator
from dataclasses import dataclass
from functools import partial
from math import log, log10
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, FrameDone, result_of
from napari_usflow.parameters import check_parameters, parameter
from napari_usflow.ultrasound.bmode import log_compress
from napari_usflow.ultrasound.data import ArrayLike, pixel_pair
from napari_usflow.ultrasound.simulate.speckle_field import envelope_events
from napari_usflow.ultrasound.simulate.speckle_grid import (
    FineGrid,
    PointSpread,
    fine_grid,
)

__all__ = ["SpeckleParams", "simulate_speckle", "simulate_stack_events"]

Frame = npt.NDArray[np.float32]

_ROUNDING = 1e-6


@dataclass(frozen=True)
class SpeckleParams:
    """Parameters of the speckle simulation.

    Attributes
    ----------
    pixel_size_mm : float or (float, float)
        Distance between pixels (axial, lateral). Not described as the others are:
        files and layers bring their own.
    """

    f0_hz: float = parameter(
        7e6,
        unit="Hz",
        minimum=1e5,
        maximum=1e8,
        help="Frequency of the pulse; higher makes finer speckle in depth",
    )
    sound_speed_m_s: float = parameter(
        1540.0, unit="m/s", minimum=300.0, maximum=6000.0, help="Speed of sound"
    )
    sigma_axial_mm: float = parameter(
        0.25,
        unit="mm",
        minimum=0.01,
        maximum=10.0,
        help="Standard deviation of the point-spread function in depth; larger makes"
        " longer grains",
    )
    sigma_lateral_mm: float = parameter(
        0.3,
        unit="mm",
        minimum=0.01,
        maximum=10.0,
        help="Standard deviation of the point-spread function across; larger makes "
        "wider grains",
    )
    dynamic_range_db: float = parameter(
        60.0,
        unit="dB",
        minimum=10.0,
        maximum=200.0,
        help="Decibels from black to white",
    )
    reading: Literal["display", "amplitude"] = parameter(
        "display",
        choices=("display", "amplitude"),
        choice_labels=("decibels", "echo amplitude"),
        label="Grey stands for",
        help="What grey in the input is proportional to: decibels, or the amplitude of "
        "the echo",
    )
    downscale: Literal["point", "db-mean", "envelope-mean"] = parameter(
        "point",
        choices=("point", "db-mean", "envelope-mean"),
        choice_labels=("value at its centre", "mean of decibels", "mean of envelope"),
        label="Pixel value",
        help="What a pixel takes of the finer simulated image; means smooth the "
        "speckle",
    )
    scatterers: Literal["rayleigh", "normal"] = parameter(
        "rayleigh",
        choices=("rayleigh", "normal"),
        choice_labels=("Rayleigh amplitudes", "normal amplitudes"),
        help="Amplitudes of the scatterers; with normal ones, of zero mean, sharp "
        "edges "
        "do not reflect",
    )
    seed: int = parameter(
        0, minimum=0, maximum=2**31 - 1, help="The same seed gives the same speckle"
    )
    pixel_size_mm: float | tuple[float, float] = 0.4375

    def __post_init__(self) -> None:
        check_parameters(self)
        pixel_pair(self.pixel_size_mm)


def simulate_speckle(
    echogenicity: npt.NDArray[Any],
    *,
    pixel_size_mm: float | tuple[float, float] = 0.4375,
    f0_hz: float = 7e6,
    sound_speed_m_s: float = 1540.0,
    sigma_axial_mm: float = 0.25,
    sigma_lateral_mm: float = 0.3,
    dynamic_range_db: float = 60.0,
    reading: Literal["display", "amplitude"] = "display",
    downscale: Literal["point", "db-mean", "envelope-mean"] = "point",
    scatterers: Literal["rayleigh", "normal"] = "rayleigh",
    seed: int | None = None,
) -> Frame:
    """Simulate the B-mode image of a picture of tissue.

    Parameters
    ----------
    echogenicity : ndarray, shape (Z, X)
        Read as ``display``: grey in [0, 1], whose echo has the amplitude
        10^(dynamic_range_db (grey - 1) / 20). As ``amplitude``: that amplitude, >= 0.
    pixel_size_mm : float or (float, float)
        Distance between pixels (axial, lateral).
    f0_hz, sound_speed_m_s : float
        Frequency of the carrier, whose period is c / f0; speed of sound.
    sigma_axial_mm, sigma_lateral_mm : float
        Standard deviations of the envelope of the point-spread function.
    dynamic_range_db : float
        Decibels from black (0) to white (1), for ``display``.
    reading : {"display", "amplitude"}
        What the echogenicity is.
    downscale : {"point", "db-mean", "envelope-mean"}
        What a pixel takes of the fine image: its value at the pixel's centre, or the
        mean of its decibels or of its envelope over the pixel's area.
    scatterers : {"rayleigh", "normal"}
        Their distribution: Rayleigh as in the paper, or normal with zero mean.
    seed : int, optional
        Makes the scatterers repeatable; others each time when omitted.

    Returns
    -------
    ndarray, shape (Z, X), float32
        Decibels, 0 = maximum; nothing is clipped.

    Raises
    ------
    ValueError
        When the echogenicity is not a finite 2-D array of real numbers in its range, a
        parameter is out of its limits, or so many samples would be needed that it
        cannot be done.

    Notes
    -----
    The axial and lateral oversampling follow from the parameters: at least eight
    samples in a period of the carrier and two and a half in a standard deviation of
    the point-spread function; 16 by 4 for the defaults. Beyond its edges the picture
    goes on as it is there.

    Examples
    --------
    Fully developed speckle of even tissue has a standard deviation of 5.57 dB:

    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> speckle = usf.simulate_speckle(np.full((64, 64), 0.5), seed=0)
    >>> round(float(speckle.std()), 1)
    5.6
    """
    if seed is None:
        seed = int(np.random.default_rng().integers(2**31))
    params = SpeckleParams(
        pixel_size_mm=pixel_size_mm,
        f0_hz=f0_hz,
        sound_speed_m_s=sound_speed_m_s,
        sigma_axial_mm=sigma_axial_mm,
        sigma_lateral_mm=sigma_lateral_mm,
        dynamic_range_db=dynamic_range_db,
        reading=reading,
        downscale=downscale,
        scatterers=scatterers,
        seed=seed,
    )
    picture = np.asarray(echogenicity)
    if picture.ndim != 2:
        raise ValueError(
            f"the echogenicity must have shape (Z, X), got {picture.shape}; "
            "simulate the frames of a stack one by one, or use simulate_stack_events"
        )
    grid = _grid(params, picture.shape[0], picture.shape[1])
    grey = _checked(picture, "the echogenicity", params.reading)
    return result_of(_frame_events(grey, grid, params, 0, CancelToken()))[0]


def simulate_stack_events(
    frames: ArrayLike,
    params: SpeckleParams,
    *,
    black: float = 0.0,
    white: float = 1.0,
    order: Collection[int] | None = None,
    first_frame: int = 0,
    name: str = "the image",
    token: CancelToken | None = None,
) -> Generator[Event, None, None]:
    """Simulate the B-mode images of a stack of pictures, frame by frame.

    Every frame has scatterers of its own, which depend on the seed and the frame's
    number only; 0 dB is its own maximum.

    Parameters
    ----------
    frames : array, shape (T, Z, X)
        Real numbers; may be lazy, and is then read a frame at a time.
    params : SpeckleParams
        How.
    black, white : float
        Values that become 0 and 1. What lies beyond is clipped, but for the amplitudes
        above white of the ``amplitude`` reading.
    order : collection of int, optional
        Which frames, in this order; all of them by default.
    first_frame : int
        Number of frame 0 in the stack that it comes from.
    name : str
        What to call the stack in an error.
    token : CancelToken, optional
        Set it to stop; what was finished has been yielded.

    Yields
    ------
    Event
        Progress within each frame, and :class:`~napari_usflow.jobs.FrameDone` with
        float32 decibels. Its ``info`` has ``maximum_db``, the level of 0 dB: an
        extended region of amplitude 1 has the mean intensity ``-maximum_db``.

    Raises
    ------
    ValueError
        When a frame has NaN or infinite pixels, or cannot be read as grey values, or
        is too large; when ``black`` is not below ``white``.
    Cancelled
        When the token was set.
    """
    token = token or CancelToken()
    shape = tuple(frames.shape)
    if len(shape) != 3:
        raise ValueError(f"{name} must have shape (frames, Z, X), got {shape}")
    if not (np.isfinite([black, white]).all() and black < white):
        raise ValueError(
            f"{name}: black must be below white, got {black:g} and {white:g}"
        )
    order = range(shape[0]) if order is None else order
    outside = [i for i in order if not 0 <= i < shape[0]]
    if outside:
        raise ValueError(f"there is no frame {outside[0]} in a stack of {shape[0]}")
    grid = _grid(params, shape[1], shape[2])
    for position, index in enumerate(order):
        token.raise_if_cancelled()
        start = time.perf_counter()
        number = first_frame + index
        grey = _checked(np.asarray(frames[index]), f"{name}: frame {number}")
        top = 1.0 if params.reading == "display" else None
        grey = np.clip((grey - black) / (white - black), 0.0, top)
        label = f"frame {position + 1}/{len(order)}"
        result, maximum_db = yield from _frame_events(
            grey, grid, params, number, token, label
        )
        info = {"maximum_db": maximum_db, "seconds": time.perf_counter() - start}
        yield FrameDone(index, result, info)


def _grid(params: SpeckleParams, rows: int, columns: int) -> FineGrid:
    psf = PointSpread(
        1e3 * params.sound_speed_m_s / params.f0_hz,
        params.sigma_axial_mm,
        params.sigma_lateral_mm,
    )
    return fine_grid((rows, columns), pixel_pair(params.pixel_size_mm), psf)


def _frame_events(
    grey: Frame,
    grid: FineGrid,
    params: SpeckleParams,
    number: int,
    token: CancelToken,
    label: str = "",
) -> Generator[Event, None, tuple[Frame, float]]:
    """Simulate one picture; give decibels and the level of their 0 dB."""
    # A stream of its own for every frame, whatever the order they come in.
    rng = np.random.default_rng(
        np.random.SeedSequence(params.seed, spawn_key=(number,))
    )
    envelope = yield from envelope_events(
        grey,
        grid,
        amplitude=partial(_amplitude, params=params),
        scatterers=params.scatterers,
        downscale=params.downscale,
        rng=rng,
        token=token,
        label=label,
    )
    highest = float(envelope.max())
    maximum_db = 20 * log10(highest) if highest > 0 else 0.0
    return log_compress(envelope), maximum_db


def _amplitude(grey: Frame, params: SpeckleParams) -> Frame:
    """Return the amplitude of the echo of some grey, as it is read."""
    if params.reading == "amplitude":
        return grey
    nepers = np.float32(params.dynamic_range_db / 20 * log(10))
    return np.asarray(np.exp(nepers * (grey - 1)), dtype=np.float32)


def _checked(picture: npt.NDArray[Any], name: str, reading: str | None = None) -> Frame:
    """Refuse what is no picture; where a reading is given, what is out of its range."""
    if picture.dtype.kind not in "buif":
        raise ValueError(
            f"{name} holds {picture.dtype} values; real numbers are expected"
        )
    grey = picture.astype(np.float32)
    bad = grey.size - int(np.count_nonzero(np.isfinite(grey)))
    if bad:
        raise ValueError(
            f"{name} has {bad} NaN or infinite pixels of {grey.size}; replace them"
        )
    low, high = float(grey.min(initial=0.0)), float(grey.max(initial=0.0))
    if reading == "display" and (low < -_ROUNDING or high > 1 + _ROUNDING):
        raise ValueError(
            f"{name} has values from {low:g} to {high:g}, but a display map lies in "
            "[0, 1]; scale it by its black and white, or use the reading 'amplitude'"
        )
    if reading == "amplitude" and low < 0:
        raise ValueError(
            f"{name} has negative values down to {low:g}, but an amplitude is never "
            "negative; use the reading 'display' for grey or decibels, scaled to [0, 1]"
        )
    return grey
