"""Image in, image out: everything between an image and a denoiser.

Values go to [0, 1], the noise is measured where a method needs it, the method works at
the image's own pixel or at one of its choice, and the result comes back on the same
grid in the same values.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.noise_estimation import FINEST_GRAIN, Noise, measured_noise
from napari_usflow.denoising.value_map import (
    ValueMap,
    checked_frame,
    checked_result,
    value_map,
)
from napari_usflow.denoising.warm_start import Started, Trail, provenance
from napari_usflow.denoising.working_pixel import WorkingPixel, detail_returned
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note, Progress
from napari_usflow.parameters import check_parameters, parameter
from napari_usflow.ultrasound.data import PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.speckle_statistics import BIAS_DB

__all__ = [
    "Settings",
    "chosen_frames",
    "denoise_events",
    "estimate_noise",
    "image_pixel_mm",
    "needed_noise",
    "refuse_no_tissue",
    "values_of",
]

_PARTS = 1000


@dataclass(frozen=True)
class Settings:
    """What goes for every method."""

    sigma_db: float | None = parameter(
        None,
        unit="dB",
        minimum=0.01,
        maximum=100.0,
        help="Standard deviation of the speckle: 5.6 for raw B-mode, 2 to 4 for "
        "scanner pictures",
        left_out="measured in the middle frame",
    )
    strength: float = parameter(
        1.0,
        minimum=0.0,
        maximum=2.0,
        help="How much is taken away: 0 nothing, 1 what is measured, 2 as of twice the "
        "noise; networks hardly change above 1",
    )
    dynamic_range_db: float = parameter(
        60.0,
        unit="dB",
        minimum=10.0,
        maximum=200.0,
        help="Decibels from black to white",
    )
    mix_back: float = parameter(
        0.0,
        minimum=0.0,
        maximum=1.0,
        help="Share of the removed speckle that is added back (0.2 keeps some texture)",
    )
    bias_correction: bool = parameter(
        False,
        help="Raise the result by 2.51 dB, from the mean of log-compressed speckle to "
        "the logarithm of its mean intensity",
    )
    seed: int = parameter(
        0, minimum=0, maximum=2**31 - 1, help="Makes whatever is random repeatable"
    )
    # (black, white); None = as the image says, else the usual ones of its values.
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_parameters(self)


def denoise_events(
    image: UltrasoundImage,
    denoiser: Denoiser,
    settings: Settings,
    *,
    order: Collection[int] | None = None,
    token: CancelToken | None = None,
    trail: Trail | None = None,
    noise: Noise | None = None,
) -> Generator[Event, None, None]:
    """Denoise an image frame by frame.

    A frame's result depends on the frame, the settings and the noise level only,
    never on the order; an estimated noise level is that of the stack's middle frame.
    A denoiser that was asked to start warm begins from the nearest of the last two
    frames that it did, and there the order does matter.

    Parameters
    ----------
    image : UltrasoundImage
        Lazy data are read one frame at a time. A sector is denoised on its own polar
        grid, before scan conversion: there its grain is the same all over.
    denoiser : Denoiser
        See :func:`napari_usflow.denoising.create`.
    settings : Settings
        What goes for every method.
    order : collection of int, optional
        Which frames, in this order; all of them by default. It may change its mind:
        the next one is asked for when the last one is done.
    token : CancelToken, optional
        Set it to stop; what was finished has been yielded.
    trail : Trail, optional
        What earlier calls on the same image left for warm starts; nothing by default.
    noise : Noise, optional
        From :func:`estimate_noise`, which is called where it is needed and not given.

    Yields
    ------
    Event
        A note on the noise level, progress within each frame, and
        :class:`~napari_usflow.jobs.FrameDone` with float32 data on the input's grid
        and in its values.

    Raises
    ------
    ValueError
        When a frame has pixels of +Inf, or cannot be read as grey values; when
        there is no such frame; see also :func:`refuse_no_tissue`.
    Cancelled
        When the token was set.
    UsflowError
        When a result is not finite.
    """
    token = token or CancelToken()
    refuse_no_tissue(image)
    order = chosen_frames(image, order)
    values = values_of(image, settings)
    span = values.dynamic_range_db
    if noise is None:
        noise = needed_noise(image, denoiser, settings)
        if settings.sigma_db is None and denoiser.needs_noise:
            yield Note(f"noise level estimated: {noise.sigma * span:.1f} dB")
    denoiser = denoiser.suited(noise)
    trail = Trail() if trail is None else trail
    work = _Work(denoiser, settings, values, noise, image_pixel_mm(image), token)
    for position, index in enumerate(order):
        token.raise_if_cancelled()
        start = time.perf_counter()
        frame, outside = checked_frame(image, index)
        label = f"frame {position + 1}/{len(order)}"
        flat = frame.size == 0 or frame.min() == frame.max()
        same = flat or settings.strength == 0
        near, previous = trail.nearest(index)
        data = frame if same else (yield from work.denoise(frame, label, previous))
        info = {
            "sigma": noise.sigma,
            "sigma_db": noise.sigma * span,
            "sigma_estimated": settings.sigma_db is None,
            "white_noise": noise.white,
            "grain": noise.grain,
            "seconds": time.perf_counter() - start,
            "steps": work.pixel.within(frame.shape).steps,
        }
        if denoiser.starts_warm and not same:
            trail.leave(index, list(work.ended))
            info |= provenance(near, work.started)
        if outside is not None:
            data = np.where(outside, np.float32(np.nan), data)
        yield FrameDone(index, data, info)


def refuse_no_tissue(image: UltrasoundImage) -> None:
    """Raise ValueError where ``metadata["not_for_denoising"]`` gives a reason."""
    reason = image.metadata.get("not_for_denoising")
    if reason:
        name = image.metadata.get("name", "the image")
        raise ValueError(f"{name} is not denoised: {reason}")


def chosen_frames(
    image: UltrasoundImage, order: Collection[int] | None
) -> Collection[int]:
    """Give the frames that are asked for, all by default; ValueError if not there."""
    frames = int(image.data.shape[0])
    order = range(frames) if order is None else order
    outside = [i for i in order if not 0 <= i < frames]
    if outside:
        raise ValueError(f"there is no frame {outside[0]} in a stack of {frames}")
    return order


def estimate_noise(
    image: UltrasoundImage, settings: Settings, *, device: str = "auto"
) -> Noise:
    """Measure the noise of the middle frame, so that it is the same for the stack.

    A level that is given (``settings.sigma_db``) replaces the measured one.

    Returns
    -------
    Noise
        Its standard deviation is a fraction of the dynamic range.
    """
    values = values_of(image, settings)
    frame, outside = checked_frame(image, int(image.data.shape[0]) // 2)
    unit, _ = values.forward(frame)
    noise = measured_noise(unit, outside=outside, device=device)
    if settings.sigma_db is not None:
        noise = replace(noise, sigma=settings.sigma_db / values.dynamic_range_db)
    return noise


def needed_noise(
    image: UltrasoundImage, denoiser: Denoiser, settings: Settings
) -> Noise:
    """Measure the noise, unless a level is given and the method needs no more."""
    if denoiser.needs_noise or settings.sigma_db is None:
        return estimate_noise(image, settings, device=denoiser.device)
    span = values_of(image, settings).dynamic_range_db
    return Noise(settings.sigma_db / span, FINEST_GRAIN, white=False)


@dataclass(frozen=True)
class _Work:
    """What stays the same from frame to frame, and how the last one went.

    Attributes
    ----------
    messages : set of Event
        Notes that were passed on.
    ended : list of ndarray
        The last frame's parts, as the denoiser gave them.
    started : list of Started
        How they began.
    """

    denoiser: Denoiser
    settings: Settings
    values: ValueMap
    noise: Noise
    pixel_mm: tuple[float, float]
    token: CancelToken
    messages: set[Event] = field(default_factory=set)
    ended: list[Frame] = field(default_factory=list)
    started: list[Started] = field(default_factory=list)

    @property
    def pixel(self) -> WorkingPixel:
        """The pixel that the method works at."""
        return self.denoiser.working_pixel(self.noise)

    def denoise(
        self, frame: Frame, label: str, previous: list[Frame]
    ) -> Generator[Event, None, Frame]:
        """Denoise a frame in the image's values."""
        noisy, reference = self.values.forward(frame)
        pixel = self.pixel.within(noisy.shape)
        share, factor = 1.0, self.settings.strength
        if self.denoiser.blind:
            # What it removes hardly depends on the level that it is told.
            share, factor = min(factor, 1.0), max(factor, 1.0)
        sigma = factor * self.denoiser.working_sigma(self.noise, pixel)
        if self.denoiser.blind and self.settings.sigma_db is None and factor == 1:
            sigma = 0.0
        clean = yield from self._clean(noisy, pixel, sigma, label, previous)
        if self.denoiser.returns_detail and not pixel.own:
            clean = detail_returned(noisy, clean, self.noise)
        share *= 1 - self.settings.mix_back
        result = noisy + share * (clean - noisy)
        if self.settings.bias_correction:
            result += BIAS_DB / self.values.dynamic_range_db
        result = self.values.backward(result.astype(np.float32), reference)
        return checked_result(result, f"{self.denoiser.name}, {label}")

    def _clean(
        self,
        noisy: Frame,
        pixel: WorkingPixel,
        sigma: float,
        label: str,
        previous: list[Frame],
    ) -> Generator[Event, None, Frame]:
        """Denoise a frame in [0, 1] at the working pixel."""
        parts = pixel.sampled(noisy)
        self.ended.clear()
        self.started.clear()
        axial, lateral = np.multiply(self.pixel_mm, pixel.steps)
        for number, part in enumerate(parts):
            facts: dict[str, Any] = {
                "sigma": sigma,
                "seed": self.settings.seed + number,
                "token": self.token,
                "dynamic_range_db": self.values.dynamic_range_db,
                "pixel_mm": (float(axial), float(lateral)),
            }
            if self.denoiser.starts_warm:
                start = previous[number] if previous else None
                run = self.denoiser.follow(start, part, **facts)
            else:
                run = self.denoiser.run(part, **facts)
            ended = yield from self._relabel(run, number, len(parts), label)
            self.ended.append(ended)
            self.token.raise_if_cancelled()
        return pixel.averaged(self.ended, noisy.shape)

    def _relabel(
        self, run: Generator[Event, None, Frame], number: int, parts: int, label: str
    ) -> Generator[Event, None, Frame]:
        """Turn progress within a part into progress within the frame.

        A sentence that every part would say is passed on once.
        """
        while True:
            try:
                event = next(run)
            except StopIteration as stop:
                yield Progress((number + 1) * _PARTS, parts * _PARTS, label)
                return np.asarray(stop.value, dtype=np.float32)
            if isinstance(event, Progress):
                within = event.done / event.total if event.total else 0.0
                done = round((number + within) * _PARTS)
                event = Progress(done, parts * _PARTS, label)
            elif isinstance(event, Started):
                self.started.append(event)
                continue
            elif event in self.messages:
                continue
            elif isinstance(event, Note):
                self.messages.add(event)
            yield event


def values_of(image: UltrasoundImage, settings: Settings) -> ValueMap:
    """Give the map from the image's values to [0, 1] and back."""
    return value_map(image, settings.value_range, settings.dynamic_range_db)


def image_pixel_mm(image: UltrasoundImage) -> tuple[float, float]:
    """Return the pixel (axial, lateral) in mm; of a sector that at mid depth."""
    if isinstance(image.grid, PolarGrid):
        return image.grid.mean_pixel_mm
    return image.spacing_mm
