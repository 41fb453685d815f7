"""Image in, image out: everything between an image and a denoiser.

Values go to [0, 1], the pixel to the prior's, the noise level is measured where it
is not known; then the way back, to the same grid and the same values.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from napari_usflow.denoise.contract import Denoiser, Frame
from napari_usflow.denoise.noise import (
    SPECKLE_LIMITS_DB,
    speckle_std,
    white_noise_std,
)
from napari_usflow.denoise.points import points_mask
from napari_usflow.denoise.sampling import PRIOR_PIXEL_MM, Mode, Sampling
from napari_usflow.denoise.values import ValueMap, checked_frame, value_map
from napari_usflow.denoise.warm_start import Started, Trail, provenance
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note, Progress
from napari_usflow.parameters import check_parameters, parameter
from napari_usflow.ultrasound.data import PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.speckle_statistics import BIAS_DB, SPECKLE_DB

__all__ = [
    "PRIOR_PIXEL_MM",
    "Settings",
    "chosen_frames",
    "denoise_events",
    "estimate_sigma",
    "refuse_no_tissue",
    "sampling_of",
    "speckle_excess_of",
    "values_of",
]

SMALLEST_SIGMA = 0.005
"""An estimate below half a per cent of the range is taken as this."""

_DARK = 0.1
"""Of a scanner picture's range: what is darker tells little of its noise."""

_PARTS = 1000


@dataclass(frozen=True)
class Settings:
    """What goes for every method."""

    sigma_db: float | None = parameter(
        None,
        unit="dB",
        minimum=0.01,
        maximum=100.0,
        help="Noise standard deviation; empty = estimated from the middle frame",
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
    sampling: Mode = parameter(
        "polyphase",
        choices=("polyphase", "resample", "none"),
        help="How the image's pixel is brought to the prior's: interleaved images "
        "(keeps resolution), interpolation (quicker, blurs), not at all",
    )
    resample_domain: Literal["db", "envelope"] = parameter(
        "db",
        choices=("db", "envelope"),
        help="What is interpolated where resampling is needed",
    )
    keep_points: bool = parameter(
        True,
        help="Leave what is too bright for speckle (points, specular echoes) as it is; "
        "needs decibels or an envelope",
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
        grid, before scan conversion (see :func:`sampling_of`).
    denoiser : Denoiser
        See :func:`napari_usflow.denoise.create`.
    settings : Settings
        What goes for every method.
    order : collection of int, optional
        Which frames, in this order; all of them by default. It may change its mind:
        the next one is asked for when the last one is done.
    token : CancelToken, optional
        Set it to stop; what was finished has been yielded.
    trail : Trail, optional
        What earlier calls on the same image left for warm starts; nothing by default.

    Yields
    ------
    Event
        A note on the noise level, progress within each frame, and
        :class:`~napari_usflow.jobs.FrameDone` with float32 data on the input's grid
        and in its values.

    Raises
    ------
    ValueError
        When a frame has NaN or infinite pixels, or cannot be read as grey values; when
        there is no such frame; see also :func:`refuse_no_tissue`.
    Cancelled
        When the token was set.
    """
    token = token or CancelToken()
    refuse_no_tissue(image)
    order = chosen_frames(image, order)
    values, sampling = values_of(image, settings), sampling_of(image, settings)
    span = values.dynamic_range_db
    if settings.sigma_db is None:
        sigma = estimate_sigma(image, settings)
        yield Note(f"noise level estimated: {sigma * span:.1f} dB")
    else:
        sigma = settings.sigma_db / span
    excess = speckle_excess_of(values, sampling)
    trail = Trail() if trail is None else trail
    work = _Work(denoiser, settings, values, sampling, sigma, excess, token)
    for position, index in enumerate(order):
        token.raise_if_cancelled()
        start = time.perf_counter()
        frame = checked_frame(image, index)
        label = f"frame {position + 1}/{len(order)}"
        flat = frame.size == 0 or frame.min() == frame.max()
        near, previous = trail.nearest(index)
        data = frame if flat else (yield from work.denoise(frame, label, previous))
        info = {
            "sigma": sigma,
            "sigma_db": sigma * span,
            "sigma_estimated": settings.sigma_db is None,
            "speckle_excess": excess,
            "seconds": time.perf_counter() - start,
            "sampling": sampling.name,
            "steps": sampling.steps,
        }
        if denoiser.starts_warm and not flat:
            trail.leave(index, list(work.ended))
            info |= provenance(near, work.started)
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


def estimate_sigma(image: UltrasoundImage, settings: Settings) -> float:
    """Measure the noise level of an image at the pixel at which it is denoised.

    Read from the middle frame of the stack, so that it depends on nothing but the
    stack. B-mode images are taken to hold speckle; on decibels and envelopes, where
    the unit is known, the estimate is limited to what speckle can be and is the
    5.57 dB of fully developed speckle where the frame is too small to tell. In a
    scanner's picture the darkest tenth of the grey does not count where there is more:
    its map is flat there. Grey that is scaled to [0, 1] is taken to hold white noise.

    Returns
    -------
    float
        Noise standard deviation as a fraction of the dynamic range.
    """
    values = values_of(image, settings)
    span = values.dynamic_range_db
    unit, _ = values.forward(checked_frame(image, int(image.data.shape[0]) // 2))
    parts = [part / span for part in sampling_of(image, settings).split(unit * span)]
    if image.values != "display":
        sigma_db = speckle_std(parts) * span or SPECKLE_DB
        return float(np.clip(sigma_db, *SPECKLE_LIMITS_DB)) / span
    sigma = speckle_std(parts, above=_DARK) if _holds_speckle(values) else 0.0
    return max(sigma or white_noise_std(parts), SMALLEST_SIGMA)


@dataclass(frozen=True)
class _Work:
    """What stays the same from frame to frame, and how the last one went.

    Attributes
    ----------
    said : set of Event
        Notes that were passed on.
    ended : list of ndarray
        The last frame's parts, as the denoiser gave them.
    started : list of Started
        How they began.
    """

    denoiser: Denoiser
    settings: Settings
    values: ValueMap
    sampling: Sampling
    sigma: float
    excess: float
    token: CancelToken
    said: set[Event] = field(default_factory=set)
    ended: list[Frame] = field(default_factory=list)
    started: list[Started] = field(default_factory=list)

    def denoise(
        self, frame: Frame, label: str, previous: list[Frame]
    ) -> Generator[Event, None, Frame]:
        """Denoise a frame in the image's values."""
        noisy, reference = self.values.forward(frame)
        span = self.values.dynamic_range_db
        # Resampling the envelope needs decibels; the other ways do not mind.
        parts = self.sampling.split((noisy - 1) * span)
        self.ended.clear()
        self.started.clear()
        for number, part in enumerate(parts):
            run = self._run(
                np.asarray(part / span + 1, dtype=np.float32),
                previous[number] if previous else None,
                seed=self.settings.seed + number,
            )
            ended = yield from self._relabel(run, number, len(parts), label)
            self.ended.append(ended)
            self.token.raise_if_cancelled()
        cleaned = [(part - 1) * span for part in self.ended]
        clean = self.sampling.merge(cleaned) / span + 1
        result = clean + self.settings.mix_back * (noisy - clean)
        if self.settings.bias_correction:
            result += BIAS_DB / span
        # Only where decibels are known to be decibels can brightness be judged.
        if self.settings.keep_points and self.values.values != "display":
            points = points_mask(noisy * span, clean * span, self.sampling.reach)
            result = np.where(points, noisy, result)
        return self.values.backward(result.astype(np.float32), reference)

    def _run(
        self, part: Frame, previous: Frame | None, seed: int
    ) -> Generator[Event, None, Frame]:
        """Let the denoiser run, from an earlier result where it was asked to."""
        facts: dict[str, Any] = {
            "sigma": self.sigma * self.excess,
            "seed": seed,
            "token": self.token,
            "dynamic_range_db": self.values.dynamic_range_db,
            "pixel_mm": self.sampling.reached_mm,
        }
        if self.denoiser.starts_warm:
            return self.denoiser.follow(previous, part, **facts)
        return self.denoiser.run(part, **facts)

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
            elif event in self.said:
                continue
            elif isinstance(event, Note):
                self.said.add(event)
            yield event


def values_of(image: UltrasoundImage, settings: Settings) -> ValueMap:
    """Give the map from the image's values to [0, 1] and back."""
    return value_map(image, settings.value_range, settings.dynamic_range_db)


def speckle_excess_of(values: ValueMap, sampling: Sampling) -> float:
    """Give what the noise level is multiplied with, see :class:`Sampling`."""
    return sampling.speckle_excess if _holds_speckle(values) else 1.0


def _holds_speckle(values: ValueMap) -> bool:
    """B-mode images do; grey that is scaled to [0, 1] is taken to hold white noise."""
    return values.values != "display" or (values.low, values.high) != (0.0, 1.0)


def sampling_of(image: UltrasoundImage, settings: Settings) -> Sampling:
    """Give the way from the image's pixel to the prior's and back.

    A sector is denoised on its lines, for there its speckle is the same all over: as
    wide as the angle that the aperture resolves, which the lines are spaced by. After
    scan conversion it is narrow near the apex and wide, interpolated, far from it. Its
    pixel is the step in radius by the step in angle times the mean radius
    (:attr:`~napari_usflow.ultrasound.data.PolarGrid.mean_pixel_mm`), so that anatomy
    has the prior's scale at mid depth; but where lines are farther apart than the
    prior's pixel, a line counts as one. Interpolating between them would correlate the
    speckle of neighbours, and what is correlated is kept as structure.

    Raises
    ------
    ValueError
        When there has to be one and the image does not know its pixel size.
    """
    shape = (int(image.data.shape[1]), int(image.data.shape[2]))
    if settings.sampling == "none":
        spacing = (PRIOR_PIXEL_MM, PRIOR_PIXEL_MM)
    elif image.metadata.get("pixel_size_known") is False:
        raise ValueError(
            f"{image.metadata.get('name', 'the image')} does not say how large its "
            "pixels are; give the pixel size in mm, or take it as it is with "
            "sampling 'none'"
        )
    elif isinstance(image.grid, PolarGrid):
        axial, across = image.grid.mean_pixel_mm
        spacing = (axial, min(across, PRIOR_PIXEL_MM))
    else:
        spacing = image.spacing_mm
    return Sampling.choose(shape, spacing, settings.sampling, settings.resample_domain)
