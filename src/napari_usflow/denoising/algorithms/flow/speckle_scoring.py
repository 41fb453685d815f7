"""The flow prior under the likelihood of speckle: repeated posterior means.

The posterior mean of
:mod:`~napari_usflow.denoising.algorithms.flow.posterior_mean` takes
speckle for Gaussian noise. Here the same flow meets the likelihood of log-compressed
speckle (:mod:`~napari_usflow.denoising.algorithms.flow.speckle_likelihood`) by Fisher
scoring: about an estimate x of the log-mean intensity, speckle is worth a Gaussian
observation

    m = x + J^T (e^s - 1) / r,    s = r (y - b(x))

of standard deviation 1 / r (4.34 dB; log-compression spreads it to 5.57), with b the
blur by the point-spread function and J its derivative. The posterior mean of m is the
next x: a plug-and-play proximal gradient (Venkatakrishnan, Bouman and Wohlberg 2013)
with the flow as denoiser. It starts from the Gaussian posterior mean.

A patch is too small for the slow mottle that correlated speckle leaves. After each step
the flow therefore also sees the image halved, and halved again, with the little noise
that remains there; what it changes is put back into the full image.

Half-quadratic splitting, with an exact pixelwise minimisation in place of the scoring
step, does worse (``benchmarks/speckle_likelihood.py``): it holds bright speckle back,
and the bright tells most of the mean.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms.flow.patching import (
    PatchGrid,
    batch_size_parameter,
    stride_parameter,
)
from napari_usflow.denoising.algorithms.flow.posterior_mean import (
    PosteriorMeans,
    posterior_mean_events,
)
from napari_usflow.denoising.algorithms.flow.speckle_blur import (
    SpeckleBlur,
    neighbour_correlation,
)
from napari_usflow.denoising.algorithms.flow.speckle_likelihood import (
    SpeckleLikelihood,
    kept_level,
)
from napari_usflow.denoising.algorithms.pyramid import (
    SMALLEST_SIDE,
    doubled,
    halved,
    halved_shape,
)
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Run, method
from napari_usflow.jobs import Event, share_of
from napari_usflow.parameters import parameter

if TYPE_CHECKING:
    from napari_usflow.prior import FlowPrior

__all__ = ["FlowSpeckle", "FlowSpeckleParams"]

_OCTAVES = 2

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class FlowSpeckleParams:
    """Parameters of the repeated posterior mean."""

    passes: int = parameter(
        4,
        help="Scoring steps after the Gaussian posterior mean; each costs as much",
        minimum=1,
        maximum=50,
    )
    step: float = parameter(
        0.85,
        help="Share of a scoring step that is taken; above 1 the steps may swing",
        minimum=0.05,
        maximum=1.5,
    )
    smoothing: float = parameter(
        0.9,
        help="Noise level given to the flow, in multiples of a scoring step's own",
        minimum=0.1,
        maximum=5.0,
    )
    deconvolve: bool = parameter(
        True,
        help="Undo the spill of bright pixels into dark neighbours through the "
        "point-spread function",
    )
    point_spread_axial_mm: float | None = parameter(
        None,
        help="Full width at half maximum (-6 dB) of the point-spread function's "
        "envelope in depth; measured in the speckle where left out",
        unit="mm",
        minimum=0.05,
        maximum=3.0,
        left_out="measured",
    )
    point_spread_lateral_mm: float | None = parameter(
        None,
        help="The same across; measured in the speckle where left out",
        unit="mm",
        minimum=0.05,
        maximum=3.0,
        left_out="measured",
    )
    coarse_smoothing: float = parameter(
        0.23,
        help="Noise level at half and quarter resolution, in multiples of that at "
        "full; against slow mottle, 0 leaves them out",
        minimum=0.0,
        maximum=2.0,
    )
    stride: int = stride_parameter(15)
    batch_size: int = batch_size_parameter()


@method
class FlowSpeckle(PosteriorMeans):
    """Posterior means under the speckle likelihood (see the module)."""

    name = "flow-speckle"
    title = "Flow prior, speckle likelihood"
    Params = FlowSpeckleParams
    params: FlowSpeckleParams

    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
        """See :meth:`Denoiser.run`."""
        params = self.params
        speckle = SpeckleLikelihood.of_noise(run.sigma, run.dynamic_range_db)
        passes = _Passes(self.loaded_prior(), params, frame.shape, run)
        y = np.asarray(frame, np.float64)
        mean = yield from passes.mean(y, run.sigma)
        x = mean - speckle.bias
        blur = self._blur(y - mean, speckle.rate, run.pixel_mm)
        level = params.smoothing * speckle.working_std
        for _ in range(params.passes):
            expected = blur.apply(x)
            residual = speckle.working_residual(y, expected)
            working = x + params.step * blur.transpose(x, expected, residual)
            x = yield from passes.mean(working, level)
            x = yield from passes.coarser(x, params.coarse_smoothing * level)
            # No mean lies beyond all that was seen; told an absurd noise level, or
            # asked with an untrained prior, the steps would run away.
            x = np.clip(x, y.min(), y.max() - speckle.bias)
        leveled = kept_level(x, blur.apply(x), y)
        return np.asarray(leveled, np.float32)

    def _blur(
        self, noise: Array, rate: float, pixel_mm: tuple[float, float]
    ) -> SpeckleBlur:
        """Return the given point-spread function; measure it where none is given."""
        params = self.params
        if not params.deconvolve:
            return SpeckleBlur((0.0, 0.0), rate)
        told = (params.point_spread_axial_mm, params.point_spread_lateral_mm)
        axial, lateral = (
            measured if width is None else neighbour_correlation(width / pixel)
            for measured, width, pixel in zip(
                SpeckleBlur.measured(noise, rate).neighbour, told, pixel_mm, strict=True
            )
        )
        return SpeckleBlur((axial, lateral), rate)


class _Passes:
    """The posterior means of one frame, which report as one piece of work."""

    def __init__(
        self,
        prior: FlowPrior,
        params: FlowSpeckleParams,
        shape: tuple[int, ...],
        run: Run,
    ) -> None:
        self._prior, self._params, self._token = prior, params, run.token
        self._rng = np.random.default_rng(run.seed)
        coarse = (shape[0], shape[1])
        self._done, self._total = 0, self._patches(coarse)
        each = self._total
        for _ in range(_OCTAVES if params.coarse_smoothing > 0 else 0):
            if min(coarse) < SMALLEST_SIDE:
                break
            coarse = halved_shape(coarse)
            each += self._patches(coarse)
        self._total += params.passes * each
        self._coarsest = coarse

    def mean(self, frame: Array, sigma: float) -> Generator[Event, None, Array]:
        """Compute the posterior mean of a frame with white Gaussian noise."""
        events = posterior_mean_events(
            self._prior,
            np.asarray(frame, np.float32),
            sigma=sigma,
            stride=self._params.stride,
            batch_size=self._params.batch_size,
            rng=self._rng,
            token=self._token,
        )
        size = self._patches((frame.shape[0], frame.shape[1]))
        mean = yield from share_of(events, self._done, self._total, size=size)
        self._done += size
        return np.asarray(mean, np.float64)

    def coarser(self, frame: Array, sigma: float) -> Generator[Event, None, Array]:
        """Denoise a frame at half its resolution, and so on, and put it back."""
        if (frame.shape[0], frame.shape[1]) == self._coarsest:
            return frame
        coarse = halved(frame)
        clean = yield from self.mean(coarse, sigma)
        clean = yield from self.coarser(clean, sigma)
        return frame + doubled(clean - coarse, (frame.shape[0], frame.shape[1]))

    def _patches(self, shape: tuple[int, int]) -> int:
        size = self._prior.patch_size
        return len(PatchGrid(shape, size, min(self._params.stride, size)))
