"""The frames of an image, one after the other, for denoising and for uncertainty.

The noise is measured where it is needed, a frame is sampled at the working pixel of a
method, and what is finished comes as :class:`~napari_usflow.jobs.FrameDone`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Denoiser, Run
from napari_usflow.denoising.noise_estimation import FINEST_GRAIN, Noise, measured_noise
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.value_map import ValueMap, checked_frame, value_map
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note, Progress, share_of
from napari_usflow.ultrasound.data import PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

__all__ = [
    "FrameRun",
    "chosen_frames",
    "each_frame",
    "estimate_noise",
    "image_pixel_mm",
    "needed_noise",
    "refuse_no_tissue",
    "values_of",
]

Begin = Callable[[int, Frame, Run], Generator[Event, None, Frame]]
"""Begins the work on a part of a frame, of this number."""


@dataclass(frozen=True)
class FrameRun:
    """Processing of the frames of an image.

    Attributes
    ----------
    noise : Noise
        Of the stack.
    sigma_given : bool
        Whether its level was given; a blind method uses no measured one.
    seed, token, dynamic_range_db, pixel_mm
        See :class:`~napari_usflow.denoising.contract.Run`.
    """

    noise: Noise
    sigma_given: bool
    seed: int
    token: CancelToken
    dynamic_range_db: float
    pixel_mm: tuple[float, float]

    def denoised(
        self, denoiser: Denoiser, frame: Frame, begin: Begin | None = None
    ) -> Generator[Event, None, Frame]:
        """Work on a frame at the working pixel of a denoiser, see :meth:`parts`."""
        denoiser = denoiser.suited(self.noise)
        parts = yield from self.parts(denoiser, frame, begin)
        pixel = denoiser.working_pixel(self.noise).within(frame.shape)
        return pixel.averaged(parts, frame.shape)

    def parts(
        self,
        denoiser: Denoiser,
        frame: Frame,
        begin: Begin | None = None,
        *,
        factor: float = 1.0,
        label: str = "",
    ) -> Generator[Event, None, list[Frame]]:
        """Sample a frame at the working pixel of a denoiser and work on each part.

        Parameters
        ----------
        denoiser : Denoiser
            Chooses the pixel and the noise level.
        frame : ndarray, shape (Z, X), float32
            Values in [0, 1].
        begin : callable, optional
            Called with the number of a part, the part and its
            :class:`~napari_usflow.denoising.contract.Run`; the denoiser by default.
        factor : float
            Times the noise level.
        label : str
            Of the progress.

        Returns
        -------
        list of ndarray
            What became of the parts.
        """
        pixel = denoiser.working_pixel(self.noise).within(frame.shape)
        sigma = factor * denoiser.working_sigma(self.noise, pixel)
        if denoiser.blind and not self.sigma_given and factor == 1:
            sigma = 0.0
        axial, lateral = np.multiply(self.pixel_mm, pixel.steps)
        sampled, results = pixel.sampled(frame), []
        for number, part in enumerate(sampled):
            run = Run(
                sigma,
                self.seed + number,
                self.token,
                self.dynamic_range_db,
                (float(axial), float(lateral)),
            )
            events = begin(number, part, run) if begin else denoiser.run(part, run)
            done = yield from share_of(events, number, len(sampled), label)
            results.append(np.asarray(done, np.float32))
            self.token.raise_if_cancelled()
            yield Progress(number + 1, len(sampled), label)
        return results


Look = Callable[
    [FrameRun, int, Frame, str], Generator[Event, None, tuple[Frame, dict[str, Any]]]
]


class _NoiseNeed(Protocol):
    """Whether the noise is to be measured, and on which device."""

    @property
    def device(self) -> str: ...

    @property
    def needs_noise(self) -> bool: ...


def each_frame(
    image: UltrasoundImage,
    settings: Settings,
    method: _NoiseNeed,
    look: Look,
    *,
    noise: Noise | None = None,
    order: Collection[int] | None = None,
    token: CancelToken | None = None,
) -> Generator[Event, None, None]:
    """Work on the frames of an image, one after the other.

    Parameters
    ----------
    image, settings, noise, order, token
        See :func:`denoise_events`.
    method : Denoiser or UncertaintyMeasure
        Says whether the noise is to be measured, and on which device.
    look : callable
        Called with how frames are worked on, the index of a frame, the frame in the
        image's values and a label for progress; a generator of events that returns the
        finished frame and notes on it.

    Yields
    ------
    Event
        See :func:`denoise_events`.
    """
    token = token or CancelToken()
    refuse_no_tissue(image)
    order = chosen_frames(image, order)
    span = values_of(image, settings).dynamic_range_db
    given = settings.sigma_db is not None
    if noise is None:
        noise = needed_noise(image, method, settings)
        if not given and method.needs_noise:
            yield Note(f"noise level estimated: {noise.sigma * span:.1f} dB")
    pixel_mm = image_pixel_mm(image)
    run = FrameRun(noise, given, settings.seed, token, span, pixel_mm)
    for position, index in enumerate(order):
        token.raise_if_cancelled()
        start = time.perf_counter()
        frame, outside = checked_frame(image, index)
        label = f"frame {position + 1}/{len(order)}"
        data, notes = yield from look(run, index, frame, label)
        info = {
            "sigma": noise.sigma,
            "sigma_db": noise.sigma * span,
            "sigma_estimated": not given,
            **notes,
            "seconds": time.perf_counter() - start,
        }
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
    """Return the frames that are asked for, all by default; ValueError if not there."""
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

    A level that is given (``settings.sigma_db``) replaces the measured one. Of speckle
    no more is measured than fully developed speckle has: texture, and grey with
    another dynamic range than the stated one, would be taken for more.

    Returns
    -------
    Noise
        Its standard deviation is a fraction of the dynamic range.
    """
    values = values_of(image, settings)
    frame, outside = checked_frame(image, int(image.data.shape[0]) // 2)
    unit, _ = values.forward(frame)
    noise = measured_noise(unit, outside=outside, device=device)
    if not noise.white:
        most = SPECKLE_DB / values.dynamic_range_db
        noise = replace(noise, sigma=min(noise.sigma, most))
    if settings.sigma_db is not None:
        noise = replace(noise, sigma=settings.sigma_db / values.dynamic_range_db)
    return noise


def needed_noise(
    image: UltrasoundImage, method: _NoiseNeed, settings: Settings
) -> Noise:
    """Measure the noise, unless a level is given and the method needs no more."""
    if method.needs_noise or settings.sigma_db is None:
        return estimate_noise(image, settings, device=method.device)
    span = values_of(image, settings).dynamic_range_db
    return Noise(settings.sigma_db / span, FINEST_GRAIN, white=False)


def values_of(image: UltrasoundImage, settings: Settings) -> ValueMap:
    """Return the map from the image's values to [0, 1] and back."""
    return value_map(image, settings.value_range, settings.dynamic_range_db)


def image_pixel_mm(image: UltrasoundImage) -> tuple[float, float]:
    """Return the pixel (axial, lateral) in mm; of a sector that at mid depth."""
    if isinstance(image.grid, PolarGrid):
        return image.grid.mean_pixel_mm
    return image.spacing_mm
