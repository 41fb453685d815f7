"""Uncertainty of a method: image in, uncertainty of each pixel out.

What :mod:`~napari_usflow.denoising.uncertainty.posterior_std` finds in a frame for the
flow, and :mod:`~napari_usflow.denoising.uncertainty.network_disagreement` for networks,
for images and stacks with their values and pixels, as
:mod:`~napari_usflow.denoising.pipeline` denoises them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms import method_class, methods
from napari_usflow.denoising.algorithms.flow.posterior_mean import Flow
from napari_usflow.denoising.algorithms.network import Realtime
from napari_usflow.denoising.arguments import near_zero, stack_and_settings
from napari_usflow.denoising.array_kinds import plain_array
from napari_usflow.denoising.array_types import Frame, UncertaintyKind
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.frame_loop import FrameRun, each_frame, values_of
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.uncertainty.measure import UncertaintyMeasure
from napari_usflow.denoising.uncertainty.network_disagreement import (
    Disagreement,
    Spread,
)
from napari_usflow.denoising.uncertainty.posterior_std import PosteriorStd
from napari_usflow.denoising.value_map import checked_result
from napari_usflow.jobs import CancelToken, Event, share_of, stack_of
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = [
    "QUANTITIES",
    "uncertainty",
    "uncertainty_events",
    "uncertainty_kind",
    "uncertainty_measure",
]

QUANTITIES: dict[UncertaintyKind, str] = {
    "std": "standard deviation of each pixel, dB",
    "disagreement": "distance of the network from the flow, dB",
    "spread": "standard deviation over eight turns of the image, dB",
}
"""Description of each kind's numbers, for provenance."""


def uncertainty(
    image: UltrasoundImage | npt.NDArray[Any],
    *,
    method: str = "flow",
    kind: UncertaintyKind | None = None,
    sigma: float | None = None,
    pixel_size_mm: float | tuple[float, float] | None = None,
    values: str | None = None,
    value_range: tuple[float, float] | None = None,
    dynamic_range_db: float = 60.0,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    seed: int = 0,
    on_event: Callable[[Event], object] | None = None,
    token: CancelToken | None = None,
    **params: Any,
) -> npt.NDArray[np.float32]:
    """Estimate the uncertainty of each pixel.

    Of ``flow`` it is the standard deviation (``std``) of the posterior that
    :func:`napari_usflow.denoise` gives the mean of, for the same image and the same
    arguments. It counts white Gaussian noise of ``sigma`` and what the prior has
    learned, and nothing else: what neither knows (artefacts, anatomy unlike any in the
    training data) it cannot be unsure of. Takes about twelve times as long as the
    denoising.

    A network gives no such thing. Of ``realtime`` it is how much the result moves when
    the image is turned and mirrored (``spread``), which takes eight passes, tells best
    where the errors are, and is several times smaller than they are; or the distance
    from what ``flow`` makes of the image (``disagreement``), which takes as long as
    ``flow`` does.

    Parameters
    ----------
    image, sigma, pixel_size_mm, values, value_range, dynamic_range_db, device, \
    on_event, token
        See :func:`napari_usflow.denoise`.
    method : str
        A method that has an uncertainty: ``flow``, or a network.
    kind : {"std", "disagreement", "spread"}, optional
        What to tell; ``std`` for the flow, ``spread`` for a network by default.
    weights : str or path, optional
        Prior of the flow, or file of a network, that ``method`` is to use. A network is
        always compared with the flow under the shipped prior.
    seed : int
        Of the probes, and of the turns of the flow's patches.
    **params
        Parameters of the method, such as ``noise`` of a network.

    Returns
    -------
    ndarray, float32, of the image's shape
        In the image's own values, in dB for an envelope; >= 0.

    Raises
    ------
    PriorError
        When the prior was trained without noise levels.
    ValueError
        When the method has no such uncertainty; as :func:`napari_usflow.denoise` does.
    Cancelled
        When the token was cancelled.

    Examples
    --------
    The spread of the network is largest at the edge of a square:

    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> image = np.full((32, 32), -40.0)
    >>> image[8:24, 8:24] = -20
    >>> rng = np.random.default_rng(0)
    >>> image += 10 * np.log10(rng.exponential(size=image.shape))
    >>> spread = usf.uncertainty(image, method="realtime", value_range=(-60, 0))
    >>> spread.shape, bool(spread.min() >= 0)
    ((32, 32), True)
    """
    data = image.data if isinstance(image, UltrasoundImage) else image
    plain, back = plain_array(data)
    given = image.with_data(plain) if isinstance(image, UltrasoundImage) else plain
    stack, settings = stack_and_settings(
        given,
        sigma=sigma,
        pixel_size_mm=pixel_size_mm,
        values=values,
        value_range=value_range,
        dynamic_range_db=dynamic_range_db,
        seed=seed,
    )
    stack, settings, _ = near_zero(stack, settings)
    measure = uncertainty_measure(
        method, kind, weights=weights, device=device, **params
    )
    events = uncertainty_events(stack, settings, measure, token=token)
    result = stack_of(events, stack.data.shape, on_event)
    if isinstance(image, UltrasoundImage):
        return result
    whole: npt.NDArray[np.float32] = back(result.reshape(np.shape(plain)))
    return whole


def uncertainty_kind(
    method: str, kind: UncertaintyKind | None = None
) -> UncertaintyKind:
    """Return the kind that was asked for, or the usual one of a method.

    Raises
    ------
    ValueError
        When the method has no such uncertainty.
    """
    offered = method_class(method).uncertainties
    if not offered:
        known = [name for name in methods() if method_class(name).uncertainties]
        raise ValueError(
            f"the method {method} has no uncertainty; {', '.join(known)} have one"
        )
    if kind is not None and kind not in offered:
        raise ValueError(
            f"the method {method} has no uncertainty {kind!r}; "
            f"choose one of {', '.join(offered)}"
        )
    return kind or offered[0]


def uncertainty_measure(
    method: str = "flow",
    kind: UncertaintyKind | None = None,
    *,
    weights: Any = None,
    device: str = "auto",
    **params: Any,
) -> UncertaintyMeasure:
    """Create the measure of one kind of uncertainty of one method.

    Parameters
    ----------
    method, kind, weights, device, **params
        See :func:`uncertainty`.

    Raises
    ------
    PriorError
        When the prior was trained without noise levels, or at another pixel size.
    ValueError
        When the method has no such uncertainty.
    """
    kind = uncertainty_kind(method, kind)
    denoiser_class = method_class(method)
    denoiser: Denoiser = denoiser_class(
        denoiser_class.Params(**params), weights=weights, device=device
    )
    if isinstance(denoiser, Flow):
        return PosteriorStd(denoiser)
    if kind == "disagreement":
        return Disagreement(denoiser, device=device)
    # What is a mean over the turns does not move when the image is turned.
    return Spread(Realtime(denoiser.params, weights=weights, device=device))


def uncertainty_events(
    image: UltrasoundImage,
    settings: Settings,
    measure: UncertaintyMeasure,
    *,
    decibels: bool = False,
    order: Collection[int] | None = None,
    token: CancelToken | None = None,
) -> Generator[Event, None, None]:
    """Find how sure a method is of each pixel of an image, frame by frame.

    Parameters
    ----------
    image : UltrasoundImage
        As :func:`napari_usflow.denoising.pipeline.denoise_events` takes it.
    settings : Settings
        As for denoising; noise level, values and seed count.
    measure : UncertaintyMeasure
        See :func:`uncertainty_measure`.
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
        :class:`~napari_usflow.jobs.FrameDone` with float32 uncertainties on the
        input's grid: in the image's own values, and in dB where these are an envelope.

    Raises
    ------
    ValueError
        As :func:`napari_usflow.denoising.pipeline.denoise_events`.
    Cancelled
        When the token was set.
    """
    values = values_of(image, settings)
    span = values.dynamic_range_db
    scale = np.float32(span if decibels else values.high - values.low)

    def look(
        run: FrameRun, index: int, frame: Frame, label: str
    ) -> Generator[Event, None, tuple[Frame, dict[str, Any]]]:
        noisy, _ = values.forward(frame)
        label = f"uncertainty of {label}"
        events = share_of(measure.frame_events(noisy, run), 0, 1, label)
        result, notes = measure.finished((yield from events), run)
        scaled = np.asarray(scale * result, np.float32)
        return checked_result(scaled, label), notes

    return each_frame(image, settings, measure, look, order=order, token=token)
