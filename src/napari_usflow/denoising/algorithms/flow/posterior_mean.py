"""Posterior mean under the flow prior: one gradient, no iteration.

A flow that models noisy patches ``y = x + sigma n`` gives the posterior mean as
``E[x | y] = y + sigma^2 grad_y log p(y; sigma)`` (Miyasawa 1961; Robbins 1956, who
credits Tweedie): one forward and one backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms.flow.batching import batch_events
from napari_usflow.denoising.algorithms.flow.patching import (
    Blend,
    PatchGrid,
    batch_size_parameter,
    stride_parameter,
)
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Denoiser, Run, method
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.working_pixel import WorkingPixel, grain_steps
from napari_usflow.errors import PriorError
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.ultrasound.speckle_statistics import gaussian_psf_correlation

if TYPE_CHECKING:
    from napari_usflow.prior import FlowPrior

__all__ = [
    "Flow",
    "FlowParams",
    "PosteriorMeans",
    "PriorDenoiser",
    "posterior_mean_events",
]


@dataclass(frozen=True)
class FlowParams:
    """Parameters of the posterior mean."""

    stride: int = stride_parameter(11)
    batch_size: int = batch_size_parameter()


_LAGS = 12

WORKING_GRAIN = 0.75
"""Standard deviation of the point-spread function, in pixels, that is white enough."""

_WHITE_GRAIN = 0.7
"""Finer speckle is taken as it is."""

_EXCESS_EXPONENT = 0.3
"""Between 0, the level of the noise itself, and 0.5, its level at low frequencies.

Speckle that is still correlated has slow fluctuations that are stronger than those of
white noise of the same standard deviation. On MRI with simulated speckle 0 leaves
mottle and costs up to 4 dB; 0.3 and 0.4 differ by 0.3 dB at most.
"""


class PriorDenoiser(Denoiser):
    """A denoiser that uses a flow prior.

    The flow takes the noise for white. It works where the grain is three quarters of a
    pixel wide, and returns the detail that is too strong for speckle.
    """

    uses_prior = True
    returns_detail = True

    def working_pixel(self, noise: Noise) -> WorkingPixel:
        """Return the pixel at which the grain is nearly white."""
        return WorkingPixel(grain_steps(noise.grain, WORKING_GRAIN, from_=_WHITE_GRAIN))

    def working_sigma(self, noise: Noise, pixel: WorkingPixel) -> float:
        """Return the noise level; speckle that is still correlated counts for more."""
        rho = gaussian_psf_correlation(
            _LAGS, pixel_size_mm=pixel.steps, sigma_mm=noise.grain
        )
        return noise.sigma * float(rho.sum() ** _EXCESS_EXPONENT)

    def loaded_prior(self) -> FlowPrior:
        """Load the prior.

        Raises
        ------
        PriorError
            When its file cannot be used, or it was trained at another pixel size.
        """
        from napari_usflow.prior import PRIOR_PIXEL_MM, load_prior

        prior = load_prior(self.weights, device=self.device)
        if not math.isclose(prior.pixel_mm, PRIOR_PIXEL_MM, rel_tol=0.01):
            raise PriorError(
                f"prior {prior.name!r} was trained at a pixel of {prior.pixel_mm:g} "
                f"mm, expected {PRIOR_PIXEL_MM:g} mm; train one for that"
            )
        return prior

    def provenance(self) -> dict[str, Any]:
        """See :meth:`Denoiser.provenance`; adds the prior, its hash, where it runs."""
        prior = self.loaded_prior()
        return {
            **super().provenance(),
            "prior": prior.name,
            "prior_sha256": prior.sha256,
            "device": str(prior.device),
        }


class PosteriorMeans(PriorDenoiser):
    """A denoiser that takes posterior means, in the precision that is quickest."""

    def provenance(self) -> dict[str, Any]:
        """See :meth:`PriorDenoiser.provenance`; adds the precision."""
        prior = self.loaded_prior()
        exact = prior.fast_flow is prior.flow
        return {
            **super().provenance(),
            "precision": "float32" if exact else "bfloat16",
        }


@method
class Flow(PosteriorMeans):
    """The posterior mean of each patch, blended (see the module)."""

    name = "flow"
    title = "Flow prior, posterior mean"
    uncertainties = ("std",)
    Params = FlowParams
    params: FlowParams

    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
        """See :meth:`Denoiser.run`. The range does not matter: noise is Gaussian."""
        return (
            yield from posterior_mean_events(
                self.loaded_prior(),
                frame,
                sigma=run.sigma,
                stride=self.params.stride,
                batch_size=self.params.batch_size,
                rng=np.random.default_rng(run.seed),
                token=run.token,
            )
        )


def posterior_mean_events(
    prior: FlowPrior,
    frame: Frame,
    *,
    sigma: float,
    stride: int,
    batch_size: int,
    rng: np.random.Generator,
    token: CancelToken,
) -> Generator[Event, None, Frame]:
    """Compute the posterior mean of a frame with white Gaussian noise.

    Parameters
    ----------
    prior : FlowPrior
        One that knows noise levels.
    frame : ndarray, shape (Z, X), float32
    sigma : float
        Noise standard deviation in the frame's values.
    stride : int
        Distance between patches, taken as their side where it is larger.
    batch_size : int
        Patches worked on at once, see
        :mod:`~napari_usflow.denoising.algorithms.flow.batching`.
    rng : numpy.random.Generator
        Turns the patches.
    token : CancelToken
        Looked at before each batch.

    Yields
    ------
    Event
        Progress in patches; a note where the memory of the device was too small.

    Returns
    -------
    ndarray, shape (Z, X), float32

    Raises
    ------
    PriorError
        When the prior was trained without noise levels.
    """
    import torch

    prior.require_noise_levels()
    stride = min(stride, prior.patch_size)
    grid = PatchGrid((frame.shape[0], frame.shape[1]), prior.patch_size, stride)
    # Outside the trained range the nearest trained level is the best there is.
    level = float(np.clip(sigma, *prior.sigma_range))
    blend, windows = Blend(grid), grid.windows(frame)
    # A flow is not quite indifferent to which way is up, nor to where its 2x2 squeezes
    # fall. Each patch is turned another way, and the stride is odd, so that the blend
    # averages over both.
    turns = rng.integers(8, size=len(grid))

    def work(start: int, stop: int) -> Generator[Event, None, None]:
        token.raise_if_cancelled()
        patches = grid.pick(windows, np.arange(start, stop))
        turned = torch.from_numpy(_turn(patches, turns[start:stop]))[:, None]
        mean, _ = prior.fast_flow.posterior_mean(turned.to(prior.device), level)
        blend.add(_turn(mean[:, 0].cpu().numpy(), turns[start:stop], back=True))
        yield Progress(stop, len(grid), "patches")

    yield from batch_events(len(grid), batch_size, prior.device, work)
    return blend.frame()


def _turn(patches: Frame, turns: npt.NDArray[np.int64], *, back: bool = False) -> Frame:
    """Apply to each patch one of the eight symmetries of the square, or undo it."""
    out = np.empty_like(patches)
    for turn in range(8):
        quarters, mirrored = divmod(turn, 2)
        part = patches[turns == turn]
        if mirrored and not back:
            part = part[:, :, ::-1]
        part = np.rot90(part, -quarters if back else quarters, axes=(1, 2))
        if mirrored and back:
            part = part[:, :, ::-1]
        out[turns == turn] = part
    return out
