"""How sure the method ``flow`` is: image in, standard deviation of each pixel out.

What :mod:`~napari_usflow.denoise.posterior_std` finds in a frame, for images and stacks
with their values and pixels, as :mod:`~napari_usflow.denoise.pipeline` denoises them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoise.arguments import stack_and_settings
from napari_usflow.denoise.contract import Frame
from napari_usflow.denoise.flow import Flow
from napari_usflow.denoise.pipeline import (
    Settings,
    estimate_sigma,
    sampling_of,
    speckle_excess_of,
    values_of,
)
from napari_usflow.denoise.posterior_std import posterior_std_events
from napari_usflow.denoise.sampling import Mode
from napari_usflow.denoise.values import checked_frame
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note, Progress
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["uncertainty", "uncertainty_events"]


def uncertainty(
    image: UltrasoundImage | npt.NDArray[Any],
    *,
    sigma: float | None = None,
    pixel_size_mm: float | tuple[float, float] | None = None,
    value_range: tuple[float, float] | None = None,
    dynamic_range_db: float = 60.0,
    sampling: Mode | None = None,
    prior: Any = None,
    device: str = "auto",
    seed: int = 0,
) -> npt.NDArray[np.float32]:
    """Say how sure the method ``flow`` is of each pixel.

    The standard deviation of the posterior that :func:`napari_usflow.denoise` gives the
    mean of, for the same image and the same arguments. It counts white Gaussian noise
    of ``sigma`` and what the prior has learned, and nothing else: what neither knows
    (artefacts, anatomy unlike any in the training data) it cannot be unsure of. Takes
    about twelve times as long as the denoising.

    Parameters
    ----------
    image, sigma, pixel_size_mm, value_range, dynamic_range_db, prior, device
        See :func:`napari_usflow.denoise`.
    sampling : {"polyphase", "resample", "none"}, optional
        As of :class:`~napari_usflow.denoise.Settings`; by default what
        :func:`napari_usflow.denoise` takes.
    seed : int
        Of the probes.

    Returns
    -------
    ndarray, float32, of the image's shape
        Standard deviation in the image's own values, in dB for an envelope.

    Raises
    ------
    PriorError
        When the prior was trained without noise levels.
    ValueError
        As :func:`napari_usflow.denoise` does.
    """
    stack, settings = stack_and_settings(
        image,
        sigma=sigma,
        pixel_size_mm=pixel_size_mm,
        value_range=value_range,
        dynamic_range_db=dynamic_range_db,
        seed=seed,
        **({} if sampling is None else {"sampling": sampling}),
    )
    result = np.empty(stack.data.shape, dtype=np.float32)
    for event in uncertainty_events(stack, settings, prior=prior, device=device):
        if isinstance(event, FrameDone):
            result[event.index] = event.data
    if isinstance(image, UltrasoundImage):
        return result
    return result.reshape(np.shape(image))


def uncertainty_events(
    image: UltrasoundImage,
    settings: Settings,
    *,
    prior: Any = None,
    device: str = "auto",
    decibels: bool = False,
    order: Collection[int] | None = None,
    token: CancelToken | None = None,
) -> Generator[Event, None, None]:
    """Find how sure the flow is of each pixel of an image, frame by frame.

    Parameters
    ----------
    image : UltrasoundImage
        As :func:`napari_usflow.denoise.denoise_events` takes it.
    settings : Settings
        As for denoising; noise level, sampling, values and seed count.
    prior : str or path, optional
        Prior to use; the shipped one by default.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    decibels : bool
        Give decibels, whatever the image's own values are.
    order : collection of int, optional
        Which frames, in this order; all of them by default.
    token : CancelToken, optional
        Set it to stop; what was finished has been yielded.

    Yields
    ------
    Event
        A note on an estimated noise level, progress within each frame, and
        :class:`~napari_usflow.jobs.FrameDone` with float32 standard deviations on the
        input's grid: in the image's own values, and in dB where these are an envelope.

    Raises
    ------
    PriorError
        When the prior was trained without noise levels, or at another pixel size.
    ValueError
        When a frame has NaN or infinite pixels, or cannot be read as grey values.
    Cancelled
        When the token was set.
    """
    token = token or CancelToken()
    flow = Flow(prior=prior, device=device).loaded_prior()
    flow.require_noise_levels()
    values, sampling = values_of(image, settings), sampling_of(image, settings)
    span = values.dynamic_range_db
    if settings.sigma_db is None:
        sigma = estimate_sigma(image, settings)
        yield Note(f"noise level estimated: {sigma * span:.1f} dB")
    else:
        sigma = settings.sigma_db / span
    excess = speckle_excess_of(values, sampling)
    scale = np.float32(span if decibels else values.high - values.low)
    order = range(int(image.data.shape[0])) if order is None else order
    for position, index in enumerate(order):
        token.raise_if_cancelled()
        start = time.perf_counter()
        noisy, _ = values.forward(checked_frame(image, index))
        found: list[Frame] = []
        parts = sampling.split((noisy - 1) * span)
        for number, part in enumerate(parts):
            run = posterior_std_events(
                flow,
                np.asarray(part / span + 1, dtype=np.float32),
                sigma=sigma * excess,
                seed=settings.seed + number,
                token=token,
            )
            label = f"uncertainty of frame {position + 1}/{len(order)}"
            found.append((yield from _as_part(run, number, len(parts), label)))
        std = np.asarray(scale * sampling.merge(found), np.float32)
        info = {
            "sigma": sigma,
            "sigma_db": sigma * span,
            "sigma_estimated": settings.sigma_db is None,
            "speckle_excess": excess,
            "seconds": time.perf_counter() - start,
        }
        yield FrameDone(index, std, info)


def _as_part(
    run: Generator[Progress, None, Frame], number: int, parts: int, label: str
) -> Generator[Progress, None, Frame]:
    """Turn progress within one of equal parts into progress within all."""
    while True:
        try:
            event = next(run)
        except StopIteration as stop:
            return np.asarray(stop.value, np.float32)
        done = number * event.total + event.done
        yield Progress(done, parts * event.total, label)
