"""The standard deviation of a flow's posterior, pixel by pixel.

For white Gaussian noise the covariance of the posterior is the Jacobian of its mean,

    Cov[x | y] = sigma^2 dE[x | y]/dy = sigma^2 I + sigma^4 Hess log p(y; sigma)

(second-order Tweedie; Efron 2011). Its diagonal is found by probing: with random signs
e on every fourth pixel along either axis, ``e (J e)`` is the diagonal there plus what
pixels at least four apart share with it, which is little (Tang and Saad 2012). Sixteen
probes see every pixel once; Hutchinson's, with signs everywhere, would need hundreds.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow.denoising.algorithms.flow.patching import Blend, PatchGrid
from napari_usflow.denoising.algorithms.flow.posterior_mean import Flow, FlowParams
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.frame_loop import FrameRun
from napari_usflow.denoising.uncertainty.measure import UncertaintyMeasure
from napari_usflow.jobs import CancelToken, Event, Progress

if TYPE_CHECKING:
    import torch

    from napari_usflow.prior import FlowPrior
    from napari_usflow.prior.glow import Glow

__all__ = [
    "PROBE_SPACING",
    "PosteriorStd",
    "posterior_std_events",
    "posterior_variance",
]

PROBE_SPACING = 4
"""Pixels between two probes of the same run, along either axis."""

_SMOOTHING = 1.0  # pixel
_STRIDE = 17  # pixel; variances vary less from patch to patch than means


class PosteriorStd(UncertaintyMeasure):
    """The standard deviation of the flow's posterior.

    Parameters
    ----------
    flow : Flow
        Its prior is what is asked.

    Raises
    ------
    PriorError
        When the prior was trained without noise levels, or at another pixel size.
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__(flow)
        self._prior = flow.loaded_prior()
        self._prior.require_noise_levels()

    def frame_events(
        self, frame: Frame, run: FrameRun
    ) -> Generator[Event, None, Frame]:
        """See :meth:`UncertaintyMeasure.frame_events`."""

        def look(number: int, part: Frame, how: Run) -> Any:
            return posterior_std_events(
                self._prior, part, sigma=how.sigma, seed=how.seed, token=how.token
            )

        return run.denoised(self._denoiser, frame, look)


def posterior_std_events(
    prior: FlowPrior,
    frame: Frame,
    *,
    sigma: float,
    stride: int = _STRIDE,
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
    stride : int
        Distance between patches in pixels.
    batch_size : int
        Patches worked on at once.
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
