"""Maximum a posteriori in latent space: the paper's denoiser.

For each patch ``z* = argmin ||f^-1(z) - y||^2 + lambda ||z||^2`` with
``lambda = 0.75 sigma^2``, and ``x* = f^-1(z*)`` (van de Schaft & van Sloun,
arXiv:2112.13110, Eq. 6). The log-determinant is not part of the objective: it is the
mode of ``p(z | y)``, smoother than that of ``p(x | y)``.

The objective is not convex, and a search that has not got anywhere gives no image:
where patches are not explained up to the noise, their objective is compared with that
of a plain start, the code of a simply denoised patch, and a worse one is an error.

With the likelihood of speckle
(:mod:`~napari_usflow.denoising.algorithms.flow.speckle_likelihood`) the first term is
``-2 sigma^2 log p(y | x)``, which is the paper's where noise is Gaussian.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms.flow.batching import batch_events
from napari_usflow.denoising.algorithms.flow.compiled import compiled_inverse
from napari_usflow.denoising.algorithms.flow.latent_solver import LatentSolver, squared
from napari_usflow.denoising.algorithms.flow.patching import (
    Blend,
    PatchGrid,
    batch_size_parameter,
    stride_parameter,
)
from napari_usflow.denoising.algorithms.flow.plain_start import PlainStart, start_for
from napari_usflow.denoising.algorithms.flow.posterior_mean import PriorDenoiser
from napari_usflow.denoising.algorithms.flow.speckle_likelihood import (
    SpeckleLikelihood,
    kept_level,
)
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Run, method
from napari_usflow.denoising.warm_start import Started, explained, followed
from napari_usflow.jobs import Event, Note, Progress, share_of
from napari_usflow.parameters import parameter

if TYPE_CHECKING:
    import torch

    from napari_usflow.denoising.algorithms.flow.compiled import Decode
    from napari_usflow.denoising.algorithms.flow.latent_solver import Misfit

    Start = tuple[npt.NDArray[np.bool_], Frame]
    """Which patches begin warm, and from what."""

__all__ = ["FlowMap", "FlowMapParams"]


@dataclass(frozen=True)
class FlowMapParams:
    """Parameters of the latent MAP estimate."""

    likelihood: str = parameter(
        "gaussian",
        choices=("gaussian", "speckle"),
        choice_labels=("white Gaussian noise", "log-compressed speckle"),
        help="Noise model; the paper has white Gaussian noise",
    )
    lambda_factor: float = parameter(
        0.75,
        label="Prior weight λ/σ²",
        help="Weight of the prior over the noise variance: higher is smoother",
        minimum=0.0,
        maximum=100.0,
    )
    lambda_weight: float | None = parameter(
        None,
        label="Prior weight λ",
        help="λ itself, for values in [0, 1], in place of λ/σ²",
        minimum=0.0,
        maximum=1e6,
        left_out="from λ/σ²",
    )
    start: str = parameter(
        "auto",
        choices=("auto", "posterior-mean", "zero"),
        label="Start",
        choice_labels=("automatic", "code of the posterior mean", "code 0"),
        help="Latent code that the search starts from; automatic takes the posterior "
        "mean where the prior was trained with noise",
    )
    iterations: int | None = parameter(
        None,
        help="Largest number of Adam steps per patch",
        minimum=1,
        maximum=10_000,
        left_out="by the start: 40 from the posterior mean, 400 from 0",
    )
    learning_rate: float | None = parameter(
        None,
        help="First step size of Adam in the latent code",
        minimum=1e-5,
        maximum=1.0,
        left_out="by the start: 0.005 from the posterior mean, 0.05 from 0",
    )
    discrepancy: float | None = parameter(
        None,
        help="Early stopping: a patch ends where its mean squared residual is this "
        "share of the noise variance (discrepancy principle); 0 for never",
        minimum=0.0,
        maximum=2.0,
        left_out="by the start: 0 from the posterior mean, 0.9 from 0",
    )
    tolerance: float = parameter(
        1e-4,
        help="Plateau: the step size is halved where ten steps lower the objective by "
        "less than this share; after four times a patch ends",
        minimum=0.0,
        maximum=1.0,
    )
    prior_sigma: float = parameter(
        0.03,
        help="Noise level of the prior, a fraction of the value range; below the grain "
        "of the training images the result has that grain",
        minimum=1e-3,
        maximum=0.5,
    )
    warm_start: bool = parameter(
        False,
        help="Start each patch of a stack from the result of the previous frame, where "
        "that fits; frames then depend on their order",
    )
    warm_iterations: int = parameter(
        4,
        help="Largest number of Adam steps per patch after a warm start",
        minimum=1,
        maximum=10_000,
    )
    stride: int = stride_parameter(24)
    batch_size: int = batch_size_parameter()
    checkpointing: bool = parameter(
        False, help="Recompute activations in the backward pass: less memory, more time"
    )
    compiled: bool = parameter(
        False,
        help="Compile the steps first (torch.compile; CUDA graphs on a graphics card): "
        "minutes once, for long stacks",
    )


@dataclass(frozen=True)
class _Pace:
    """Search parameters that suit a start.

    From 0 the search passes from too smooth to too noisy: a flow without a floor of its
    scales finds codes of small norm for part of the noise too, and PSNR falls while the
    objective still does. Where the residual is as small as the noise, it has arrived.
    """

    iterations: int
    learning_rate: float
    discrepancy: float


_PACES = {
    "posterior-mean": _Pace(40, 0.005, 0.0),
    "zero": _Pace(400, 0.05, 0.9),
}


def _pace(params: FlowMapParams, start: str) -> _Pace:
    """Return the pace that was asked for, in place of what suits the start."""
    usual = _PACES[start]
    gaussian = params.likelihood == "gaussian"
    left_out = usual.discrepancy if gaussian else 0.0
    return _Pace(
        int(params.iterations or usual.iterations),
        params.learning_rate or usual.learning_rate,
        left_out if params.discrepancy is None else params.discrepancy,
    )


@method
class FlowMap(PriorDenoiser):
    """Latent MAP on overlapping patches (see the module).

    The preset ``paper`` has what the paper of the method states: 250 patches in
    parallel, gradient checkpointing, Adam whose step size falls at each plateau, to the
    last one; and z = 0, which it does not state.
    """

    name = "flow-map"
    title = "Flow prior, latent MAP (paper)"
    Params = FlowMapParams
    params: FlowMapParams
    presets = {  # noqa: RUF012 - read only
        "paper": FlowMapParams(
            start="zero",
            iterations=2000,
            discrepancy=0.0,
            batch_size=250,
            checkpointing=True,
        )
    }

    def provenance(self) -> dict[str, Any]:
        """See :meth:`PriorDenoiser.provenance`; start, steps and size as they are."""
        made = super().provenance()
        start = start_for(self.loaded_prior(), self.params.start)
        made["parameters"] |= {"start": start, **asdict(_pace(self.params, start))}
        return made

    @property
    def starts_warm(self) -> bool:
        """See :attr:`Denoiser.starts_warm`."""
        return bool(self.params.warm_start)

    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
        """See :meth:`Denoiser.run`. Nothing is random here: ``seed`` is not used."""
        return (yield from _Search(self, frame, run).run(None))

    def follow(
        self, previous: Frame | None, frame: Frame, run: Run
    ) -> Generator[Event, None, Frame]:
        """See :meth:`Denoiser.follow`."""
        search = _Search(self, frame, run)
        start = None if previous is None else search.start_from(previous)
        warm = 0 if start is None else int(start[0].sum())
        yield Started(warm, len(search.grid))
        return (yield from search.run(start if warm else None))


class _Search:
    """The search of one frame's latents."""

    def __init__(self, method: FlowMap, frame: Frame, run: Run) -> None:
        self._params: FlowMapParams = method.params
        self._prior = method.loaded_prior()
        self._frame, self._sigma, self._token = frame, run.sigma, run.token
        self._speckle = None
        if self._params.likelihood == "speckle":
            self._speckle = SpeckleLikelihood.of_noise(run.sigma, run.dynamic_range_db)
        self._start = start_for(self._prior, self._params.start)
        self._pace = _pace(self._params, self._start)
        size = self._prior.patch_size
        shape = (frame.shape[0], frame.shape[1])
        self.grid = PatchGrid(shape, size, min(self._params.stride, size))
        self._windows = self.grid.windows(frame)
        self._level = float(np.clip(self._params.prior_sigma, *self._prior.sigma_range))
        self._decode: Decode | None = None
        self._check = PlainStart(self._prior, frame, self.grid, run.sigma, run.token)

    def start_from(self, previous: Frame) -> Start | None:
        """Return which patches begin from an earlier result, and from what."""
        if previous.shape != self._frame.shape:
            return None
        patches = self.grid.pick(self._windows, np.arange(len(self.grid)))
        starts = followed(previous, patches, self.grid, self._sigma, self._token)
        return explained(patches, starts, self._sigma), starts

    def run(self, start: Start | None) -> Generator[Event, None, Frame]:
        """Search for all patches, those that begin cold first."""
        params, everything = self._params, np.arange(len(self.grid))
        groups: list[tuple[npt.NDArray[np.intp], Frame | None, int]]
        groups = [(everything, None, self._pace.iterations)]
        if start is not None:
            warm, starts = start
            groups = [
                (everything[~warm], None, self._pace.iterations),
                (everything[warm], starts[warm], params.warm_iterations),
            ]
        if params.compiled:
            count = min(params.batch_size, len(self.grid))
            self._decode, reason = compiled_inverse(
                self._prior.flow, self._level, count
            )
            if reason:
                yield Note(f"Not compiled on this machine ({reason}); on without.")
        total = sum(len(places) * steps for places, _, steps in groups)
        estimates = np.empty((len(self.grid), *self._windows.shape[2:]), np.float32)
        done = 0
        for places, starts_of, steps in groups:
            work = partial(self._work, estimates, places, starts_of, steps)
            batches = batch_events(
                len(places), params.batch_size, self._prior.device, work
            )
            size = len(places) * steps
            yield from share_of(batches, done, total, "MAP steps", size=size)
            done += size
        self._check.raise_if_worse(self._pace.iterations, self._pace.learning_rate)
        blend = Blend(self.grid)
        blend.add(estimates)
        if self._speckle is None:
            return blend.frame()
        x = blend.frame().astype(np.float64)
        return np.asarray(kept_level(x, x, self._frame), np.float32)

    def _work(
        self,
        estimates: Frame,
        places: npt.NDArray[np.intp],
        starts: Frame | None,
        steps: int,
        first: int,
        end: int,
    ) -> Generator[Event, None, None]:
        """Search for a batch of patches, those with these places in the grid."""
        batch = places[first:end]
        solver = self._solver(batch, None if starts is None else starts[first:end])
        plain = self._plain_objective(solver, batch) if starts is None else None
        for k in range(steps):
            self._token.raise_if_cancelled()
            solver.step()
            yield Progress(first * steps + (k + 1) * len(batch), len(places) * steps)
            if solver.finished:
                break
        estimates[batch] = solver.result()[:, 0].cpu().numpy()
        if plain is not None:
            plain[solver.explained.cpu().numpy()] = np.nan
            self._check.note(batch, solver.best.cpu().numpy(), plain)

    def _solver(
        self, batch: npt.NDArray[np.intp], starts: Frame | None
    ) -> LatentSolver:
        """Make the solver of a batch, where it begins."""
        params, prior, sigma = self._params, self._prior, self._sigma
        weight = params.lambda_weight
        solver = LatentSolver(
            prior.flow,
            self._tensor(self.grid.pick(self._windows, batch)),
            weight=params.lambda_factor * sigma**2 if weight is None else weight,
            misfit=_misfit(self._speckle, sigma),
            prior_sigma=self._level,
            learning_rate=self._pace.learning_rate,
            tolerance=params.tolerance,
            enough=self._pace.discrepancy * sigma**2 * self._prior.patch_size**2,
            checkpointing=params.checkpointing,
            decode=self._decode,
        )
        if starts is not None:
            solver.start_from(self._unbiased(self._tensor(starts)))
        elif self._start == "posterior-mean":
            solver.start_from(self._unbiased(self._check.patches(batch)))
        return solver

    def _plain_objective(
        self, solver: LatentSolver, batch: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float32] | None:
        """Return the objective of the plain starts; None where the search has them."""
        import torch

        if self._start == "posterior-mean":
            return None
        codes = solver.codes(self._unbiased(self._check.patches(batch)))
        with torch.no_grad():
            value: npt.NDArray[np.float32] = solver.objective(codes).cpu().numpy()
        return value

    def _unbiased(self, x: torch.Tensor) -> torch.Tensor:
        # What is searched for under speckle is the logarithm of the mean intensity.
        return x - self._speckle.bias if self._speckle else x

    def _tensor(self, patches: Frame) -> torch.Tensor:
        import torch

        return torch.from_numpy(patches)[:, None].to(self._prior.device)


def _misfit(speckle: SpeckleLikelihood | None, sigma: float) -> Misfit:
    """Return the data term: ``-2 sigma^2 log p(y | x)`` in place of ``(x - y)^2``."""
    if speckle is None:
        return squared
    return lambda y, x: 2 * sigma**2 * speckle.negative_log(y, x)
