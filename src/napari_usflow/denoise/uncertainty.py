"""How sure the flow is: the standard deviation of the posterior, pixel by pixel.

For white Gaussian noise the covariance of the posterior is the Jacobian of its mean,

    Cov[x | y] = sigma^2 dE[x | y]/dy = sigma^2 I + sigma^4 Hess log p(y; sigma)

(second-order Tweedie; Efron 2011). Its diagonal is found by probing: with random signs
e on every fourth pixel along either axis, ``e (J e)`` is the diagonal there plus what
pixels at least four apart share with it, which is little (Tang and Saad 2012). Sixteen
probes see every pixel once; Hutchinson's, with signs everywhere, would need hundreds.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow.denoise.contract import Frame
from napari_usflow.denoise.flow import FlowParams
from napari_usflow.denoise.patching import Blend, PatchGrid
from napari_usflow.denoise.pipeline import (
    Settings,
    estimate_sigma,
    sampling_of,
    values_of,
)
from napari_usflow.denoise.values import checked_frame
from napari_usflow.jobs import CancelToken, Event, FrameDone, Progress
from napari_usflow.ultrasound.data import UltrasoundImage

if TYPE_CHECKING:
    import torch

    from napari_usflow.prior import FlowPrior
    from napari_usflow.prior.glow import Glow

__all__ = [
    "PROBE_SPACING",
    "posterior_std_events",
    "posterior_variance",
    "uncertainty_events",
]

PROBE_SPACING = 4
"""Pixels between two probes of the same run, along either axis."""

_SMOOTHING = 1.0  # pixel


def uncertainty_events(
    image: UltrasoundImage,
    settings: Settings,
    *,
    prior: Any = None,
    device: str = "auto",
    order: Sequence[int] | None = None,
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
    order : sequence of int, optional
        Which frames, in this order; all of them by default.
    token : CancelToken, optional
        Set it to stop; what was finished has been yielded.

    Yields
    ------
    Event
        Progress within each frame, and :class:`~napari_usflow.jobs.FrameDone` with
        float32 standard deviations on the input's grid: in the image's own values,
        and in dB where these are an envelope.

    Raises
    ------
    PriorError
        When the prior was trained without noise levels.
    ValueError
        When a frame has NaN or infinite pixels, or cannot be read as grey values.
    Cancelled
        When the token was set.
    """
    from napari_usflow.prior import load_prior

    token = token or CancelToken()
    flow = load_prior(prior, device=device)
    values, sampling = values_of(image, settings), sampling_of(image, settings)
    span = values.dynamic_range_db
    if settings.sigma_db is None:
        sigma = estimate_sigma(image, settings)
    else:
        sigma = settings.sigma_db / span
    scale = np.float32(values.high - values.low)
    for index in range(int(image.data.shape[0])) if order is None else order:
        noisy, _ = values.forward(checked_frame(image, index))
        found: list[Frame] = []
        parts = sampling.split((noisy - 1) * span)
        for number, part in enumerate(parts):
            run = posterior_std_events(
                flow,
                np.asarray(part / span + 1, dtype=np.float32),
                sigma=sigma,
                seed=settings.seed + number,
                token=token,
            )
            found.append((yield from _as_part(run, number, len(parts))))
        std = np.asarray(scale * sampling.merge(found), np.float32)
        yield FrameDone(index, std, {"sigma": sigma, "sigma_db": sigma * span})


def _as_part(
    run: Generator[Progress, None, Frame], number: int, parts: int
) -> Generator[Progress, None, Frame]:
    """Turn progress within one of equal parts into progress within all."""
    while True:
        try:
            event = next(run)
        except StopIteration as stop:
            return np.asarray(stop.value, np.float32)
        done = number * event.total + event.done
        yield Progress(done, parts * event.total, event.label)


def posterior_std_events(
    prior: FlowPrior,
    frame: Frame,
    *,
    sigma: float,
    stride: int = FlowParams.stride,
    batch_size: int = FlowParams.batch_size,
    seed: int = 0,
    token: CancelToken,
) -> Generator[Progress, None, Frame]:
    """Find the posterior's standard deviation in a frame with white Gaussian noise.

    That of the patches, blended as their means are. It is the uncertainty that the
    prior admits: what it has never seen it cannot be unsure of.

    Parameters
    ----------
    prior : FlowPrior
        One that knows noise levels.
    frame : ndarray, shape (Z, X), float32, nominally in [0, 1]
    sigma : float
        Noise standard deviation in the frame's values.
    stride, batch_size : int
        As of :class:`~napari_usflow.denoise.flow.FlowParams`.
    seed : int
        Of the probes' signs.
    token : CancelToken
        Looked at before each batch and each probe.

    Yields
    ------
    Progress
        In probes.

    Returns
    -------
    ndarray, shape (Z, X), float32
        Standard deviation in the frame's values, between 0 and about ``sigma``.

    Raises
    ------
    PriorError
        When the prior was trained without noise levels.
    Cancelled
        When the token was set.
    """
    import torch
    from scipy.ndimage import gaussian_filter

    prior.require_noise_levels()
    stride = min(stride, prior.patch_size)
    grid = PatchGrid((frame.shape[0], frame.shape[1]), prior.patch_size, stride)
    level = float(np.clip(sigma, *prior.sigma_range))
    rng, blend = np.random.default_rng(seed), Blend(grid)
    probes, done = PROBE_SPACING**2, 0
    for patches in grid.batches(frame, batch_size):
        y = torch.from_numpy(patches)[:, None].to(prior.device)
        signs = rng.integers(2, size=patches.shape) * 2.0 - 1.0
        run = posterior_variance(
            prior.flow, y, level, torch.from_numpy(signs)[:, None].to(y), token=token
        )
        for number in range(probes):
            yield Progress(
                done * probes + number * len(y), len(grid) * probes, "probes"
            )
            variance = next(run)
        blend.add(variance[:, 0].cpu().numpy())
        done += len(y)
        yield Progress(done * probes, len(grid) * probes, "probes")
    # What is left of the far pixels scatters from pixel to pixel, and the Jacobian of a
    # network need not be positive. Where a whole patch is flat the variance is that of
    # a mean; less cannot be.
    variance = gaussian_filter(blend.frame(), _SMOOTHING)
    smallest = level**2 / prior.flow.dimension
    return np.asarray(np.sqrt(np.maximum(variance, smallest)), np.float32)


def posterior_variance(
    flow: Glow,
    y: torch.Tensor,
    sigma: float,
    signs: torch.Tensor,
    *,
    token: CancelToken,
    spacing: int = PROBE_SPACING,
) -> Generator[torch.Tensor, None, None]:
    """Estimate the diagonal of Cov[x | y] of patches, probe by probe.

    Parameters
    ----------
    flow : Glow
    y : Tensor, shape (B, 1, S, S)
        Noisy patches.
    sigma : float
        Their noise level.
    signs : Tensor, shape (B, 1, S, S)
        Plus and minus ones.
    token : CancelToken
    spacing : int
        Pixels between those probed together.

    Yields
    ------
    Tensor, shape (B, 1, S, S)
        The variance where it was probed so far, elsewhere 0; the same tensor each
        time, complete after ``spacing ** 2`` times. Not all need be positive.
    """
    import torch

    token.raise_if_cancelled()
    with torch.enable_grad():
        y = y.detach().requires_grad_(True)
        log_p = flow.log_prob(y, sigma)
        (score,) = torch.autograd.grad(log_p.sum(), y, create_graph=True)
    variance = torch.zeros_like(y, requires_grad=False)
    for cell in range(spacing**2):
        row, column = divmod(cell, spacing)
        token.raise_if_cancelled()
        where = (..., slice(row, None, spacing), slice(column, None, spacing))
        probe = torch.zeros_like(variance)
        probe[where] = signs[where]
        (curved,) = torch.autograd.grad((score * probe).sum(), y, retain_graph=True)
        share = 1 + sigma**2 * (signs * curved)[where]
        variance[where] = sigma**2 * share
        yield variance
