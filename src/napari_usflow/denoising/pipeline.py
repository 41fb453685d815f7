"""Image in, image out: everything between an image and a denoiser.

Values go to [0, 1], the noise is measured where a method needs it, the method works at
the image's own pixel or at one of its choice, and the result comes back on the same
grid in the same values.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Denoiser, Run
from napari_usflow.denoising.frame_loop import FrameRun, each_frame, values_of
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.value_map import (
    ValueMap,
    checked_result,
)
from napari_usflow.denoising.warm_start import Started, Trail, provenance
from napari_usflow.denoising.working_pixel import detail_returned
from napari_usflow.jobs import CancelToken, Event, Note, changed_events
from napari_usflow.ultrasound.data import UltrasoundImage
from napari_usflow.ultrasound.speckle_statistics import BIAS_DB

__all__ = ["denoise_events"]


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
        See :func:`napari_usflow.denoising.denoise.create`.
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
    trail = Trail() if trail is None else trail
    work = _Denoising(denoiser, settings, values_of(image, settings), trail)
    return each_frame(
        image, settings, denoiser, work.look, noise=noise, order=order, token=token
    )


_NO_NOISE = Note("no noise measured: the image is left as it is")


@dataclass
class _Denoising:
    """Processing of one frame in :func:`denoise_events`.

    Attributes
    ----------
    messages : set of Event
        Notes that were passed on.
    """

    denoiser: Denoiser
    settings: Settings
    values: ValueMap
    trail: Trail
    messages: set[Event] = field(default_factory=set)

    def look(
        self, run: FrameRun, index: int, frame: Frame, label: str
    ) -> Generator[Event, None, tuple[Frame, dict[str, Any]]]:
        """Denoise a frame in the image's values."""
        denoiser = self.denoiser.suited(run.noise)
        pixel = denoiser.working_pixel(run.noise).within(frame.shape)
        notes: dict[str, Any] = {
            "white_noise": run.noise.white,
            "grain": run.noise.grain,
            "steps": pixel.steps,
        }
        flat = frame.size == 0 or frame.min() == frame.max()
        certainty = 1.0 if self.settings.sigma_db else run.noise.certainty
        if certainty == 0 and not flat and _NO_NOISE not in self.messages:
            self.messages.add(_NO_NOISE)
            yield _NO_NOISE
        if flat or certainty == 0 or self.settings.strength == 0:
            return frame, notes
        noisy, reference = self.values.forward(frame)
        share, factor = 1.0, self.settings.strength
        if denoiser.blind:
            # What it removes hardly depends on the level that it is told.
            share, factor = min(factor, 1.0), max(factor, 1.0)
        near, previous = self.trail.nearest(index)
        started: list[Started] = []

        def begin(number: int, part: Frame, how: Run) -> Generator[Event, None, Frame]:
            if not denoiser.starts_warm:
                return denoiser.run(part, how)
            return denoiser.follow(previous[number] if previous else None, part, how)

        events = run.parts(denoiser, noisy, begin, factor=factor, label=label)
        parts = yield from self._passed_on(events, started)
        if denoiser.starts_warm:
            self.trail.leave(index, parts)
            notes |= provenance(near, started)
        clean = pixel.averaged(parts, noisy.shape)
        if denoiser.returns_detail and not pixel.own:
            clean = detail_returned(noisy, clean, run.noise)
        share *= certainty * (1 - self.settings.mix_back)
        result = noisy + share * (clean - noisy)
        if self.settings.bias_correction:
            result += BIAS_DB / self.values.dynamic_range_db
        result = self.values.backward(result.astype(np.float32), reference)
        return checked_result(result, f"{denoiser.name}, {label}"), notes

    def _passed_on(
        self, events: Generator[Event, None, list[Frame]], started: list[Started]
    ) -> Generator[Event, None, list[Frame]]:
        """Collect how parts started; yield the same note of several parts once."""

        def once(event: Event) -> Event | None:
            if isinstance(event, Started):
                started.append(event)
                return None
            if isinstance(event, Note) and event in self.messages:
                return None
            self.messages |= {event} if isinstance(event, Note) else set()
            return event

        return (yield from changed_events(events, once))
