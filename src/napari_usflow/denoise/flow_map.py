"""Maximum a posteriori in latent space: the paper's denoiser.

For each patch ``z* = argmin ||f^-1(z) - y||^2 + lambda ||z||^2`` with
``lambda = 0.75 sigma^2``, and ``x* = f^-1(z*)`` (van de Schaft & van Sloun,
arXiv:2112.13110, Eq. 6). The log-determinant is not part of the objective: it is the
mode of ``p(z | y)``, smoother than that of ``p(x | y)``.

With the likelihood of speckle (:mod:`~napari_usflow.denoise.speckle_likelihood`) the
first term is ``-2 sigma^2 log p(y | x)``, which is the paper's where noise is Gaussian.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_usflow.denoise.contract import PRIOR_PIXEL, Frame, method
from napari_usflow.denoise.flow import PriorDenoiser
from napari_usflow.denoise.patching import (
    Blend,
    PatchGrid,
    batch_size_parameter,
    stride_parameter,
)
from napari_usflow.denoise.speckle_likelihood import SpeckleLikelihood, kept_level
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.parameters import parameter

if TYPE_CHECKING:
    import torch

    from napari_usflow.prior.glow import Glow

    Misfit = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

__all__ = ["FlowMap", "FlowMapParams", "LatentSolver"]


@dataclass(frozen=True)
class FlowMapParams:
    """Parameters of the latent MAP estimate."""

    likelihood: str = parameter(
        "gaussian",
        choices=("gaussian", "speckle"),
        help="What the noise is taken for: white and Gaussian, as in the paper, or "
        "log-compressed speckle",
    )
    lambda_factor: float = parameter(
        0.75, help="lambda = factor x sigma^2", minimum=0.0, maximum=100.0
    )
    iterations: int = parameter(
        40, help="most Adam steps a patch is given", minimum=1, maximum=10_000
    )
    learning_rate: float = parameter(
        0.005, help="first step size of Adam in z", minimum=1e-5, maximum=1.0
    )
    tolerance: float = parameter(
        1e-4,
        help="stop when ten steps lower the objective by less than this share",
        minimum=0.0,
        maximum=1.0,
    )
    start: str = parameter(
        "posterior-mean",
        choices=("posterior-mean", "zero"),
        help="where z starts: the code of the posterior mean, or 0 as in the paper",
    )
    prior_sigma: float = parameter(
        0.03,
        help="noise level at which the flow serves as prior; below the grain of the "
        "training images the prior takes grain for texture",
        minimum=1e-3,
        maximum=0.5,
    )
    stride: int = stride_parameter(24)
    batch_size: int = batch_size_parameter()
    checkpointing: bool = parameter(
        False, help="recompute activations in the backward pass: less memory, more time"
    )


@method
class FlowMap(PriorDenoiser):
    """Latent MAP on overlapping patches (see the module)."""

    name = "flow-map"
    title = "Flow prior, latent MAP (paper)"
    Params = FlowMapParams

    def run(
        self,
        frame: Frame,
        *,
        sigma: float,
        seed: int,
        token: CancelToken,
        dynamic_range_db: float = 60.0,
        pixel_mm: tuple[float, float] = PRIOR_PIXEL,
    ) -> Generator[Event, None, Frame]:
        """See :meth:`Denoiser.run`. Nothing is random here: ``seed`` is not used."""
        import torch

        params: FlowMapParams = self.params
        prior = self.loaded_prior()
        speckle = None
        if params.likelihood == "speckle":
            speckle = SpeckleLikelihood.of_noise(sigma, dynamic_range_db)
        grid = PatchGrid(
            (frame.shape[0], frame.shape[1]),
            prior.patch_size,
            min(params.stride, prior.patch_size),
        )
        low, high = prior.sigma_range
        level = float(np.clip(params.prior_sigma, low, high))
        conditional = prior.flow.config.conditional
        blend, done = Blend(grid), 0
        for patches in grid.batches(frame, params.batch_size):
            y = torch.from_numpy(patches)[:, None].to(prior.device)
            solver = LatentSolver(
                prior.flow,
                y,
                weight=params.lambda_factor * sigma**2,
                misfit=_misfit(speckle, sigma),
                prior_sigma=level,
                learning_rate=params.learning_rate,
                checkpointing=params.checkpointing,
            )
            if params.start == "posterior-mean" and conditional:
                noise = float(np.clip(sigma, low, high))
                start = prior.flow.posterior_mean(y, noise)[0]
                solver.start_from(start - speckle.bias if speckle else start)
            for k in range(params.iterations):
                token.raise_if_cancelled()
                solver.step()
                steps = done * params.iterations + (k + 1) * len(y)
                yield Progress(steps, len(grid) * params.iterations, "MAP steps")
                if solver.converged(params.tolerance):
                    break
            blend.add(solver.result()[:, 0].cpu().numpy())
            done += len(y)
        if speckle is None:
            return blend.frame()
        x = blend.frame().astype(np.float64)
        return np.asarray(kept_level(x, x, frame), np.float32)


def _squared(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return (x - y).square()


def _misfit(speckle: SpeckleLikelihood | None, sigma: float) -> Misfit:
    """Give what takes the place of ``(x - y)^2``: ``-2 sigma^2 log p(y | x)``."""
    if speckle is None:
        return _squared
    return lambda y, x: 2 * sigma**2 * speckle.negative_log(y, x)


class LatentSolver:
    """Adam on the latents of a batch of patches, the best finite iterate kept.

    Far from the data the inverse of a flow may overflow. A patch whose objective is no
    longer finite goes back to its best latents, and the step size is halved.

    Parameters
    ----------
    flow : Glow
    y : Tensor, shape (B, 1, S, S)
        Noisy patches.
    weight : float
        lambda.
    prior_sigma : float
        Noise level the flow is asked for.
    learning_rate : float
        Halved when the objective has not fallen for eight steps.
    misfit : callable, optional
        Of ``y`` and ``f^-1(z)``, for each pixel; the squared difference by default.
    checkpointing : bool
        Recompute activations instead of keeping them.
    """

    def __init__(
        self,
        flow: Glow,
        y: torch.Tensor,
        *,
        weight: float,
        prior_sigma: float,
        learning_rate: float,
        misfit: Misfit | None = None,
        checkpointing: bool = False,
    ) -> None:
        import torch

        self._flow, self._y, self._sigma = flow, y, prior_sigma
        self._weight, self._checkpointing = weight, checkpointing
        self._misfit = misfit or _squared
        self.z = torch.zeros(len(y), flow.dimension, device=y.device)
        self._learning_rate = learning_rate
        self._restart()

    def _restart(self) -> None:
        import torch

        self.z.requires_grad_(True)
        self._optimizer = torch.optim.Adam([self.z], lr=self._learning_rate)
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._optimizer, factor=0.5, patience=8
        )
        self.best_z = self.z.detach().clone()
        self.best = torch.full((len(self.z),), torch.inf, device=self.z.device)
        self.history: list[float] = []

    def start_from(self, x: torch.Tensor) -> None:
        """Start at the latents of patches ``x`` (B, 1, S, S)."""
        import torch

        with torch.no_grad():
            z = self._flow(x, self._sigma)[0]
        self.z = torch.where(torch.isfinite(z), z, torch.zeros_like(z)).detach()
        self._restart()

    def objective(self, z: torch.Tensor) -> torch.Tensor:
        """Misfit of ``f^-1(z)`` plus ``lambda ||z||^2`` of each patch, shape (B,)."""
        x = self._flow.inverse(z, self._sigma, checkpointing=self._checkpointing)
        misfit = self._misfit(self._y, x).flatten(1).sum(dim=1)
        value: torch.Tensor = misfit + self._weight * z.square().sum(dim=1)
        return value

    def step(self) -> None:
        """Take one step."""
        import torch

        self._optimizer.zero_grad()
        with torch.enable_grad():
            value = self.objective(self.z)
            finite = torch.isfinite(value)
            value[finite].sum().backward()
        with torch.no_grad():
            self._keep_best(value.detach())
            assert self.z.grad is not None
            broken = ~finite | ~torch.isfinite(self.z.grad).all(dim=1)
            if bool(broken.any()):
                self._recover(broken)
        self._optimizer.step()
        # Infinite until every patch has been finite once.
        self.history.append(float(self.best.sum()))
        self._plateau.step(self.history[-1])

    def _keep_best(self, value: torch.Tensor) -> None:
        better = value < self.best  # false where the value is NaN
        self.best[better] = value[better]
        self.best_z[better] = self.z.detach()[better]

    def _recover(self, broken: torch.Tensor) -> None:
        import torch

        assert self.z.grad is not None
        # A patch that never was finite starts again from 0, which decodes safely.
        self.best_z[~torch.isfinite(self.best)] = 0.0
        self.z.grad[broken] = 0.0
        self.z[broken] = self.best_z[broken]
        for state in self._optimizer.state.values():
            for moment in ("exp_avg", "exp_avg_sq"):
                state[moment][broken] = 0.0
        for group in self._optimizer.param_groups:
            group["lr"] *= 0.5

    def converged(self, tolerance: float) -> bool:
        """Whether the last ten steps lowered the objective by less than a share."""
        if len(self.history) <= 10:
            return False
        before, now = self.history[-11], self.history[-1]
        return before - now < tolerance * abs(before)

    def result(self) -> torch.Tensor:
        """Patches (B, 1, S, S) of the best latents; never worse than finite."""
        import torch

        with torch.no_grad():
            # The last step's latents have not been looked at yet.
            self._keep_best(self.objective(self.z))
            x = self._flow.inverse(self.best_z, self._sigma)
            return torch.where(torch.isfinite(x), x, self._y)
