"""Adam on the latents of patches: how the latent MAP is found.

For each patch ``z* = argmin ||f^-1(z) - y||^2 + lambda ||z||^2``, see
:mod:`~napari_usflow.denoising.algorithms.flow.latent_map`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from napari_usflow.denoising.algorithms.flow.compiled import Decode
    from napari_usflow.prior.glow import Glow

    Misfit = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

__all__ = ["HALVINGS", "PATIENCE", "LatentSolver", "squared"]

PATIENCE = 10
"""Steps that a plateau lasts."""

HALVINGS = 4
"""Number of times a patch's step size is halved; the next plateau ends its search."""

BETAS = (0.9, 0.999)


def squared(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the misfit of Gaussian noise, for each pixel."""
    return (x - y).square()


class LatentSolver:
    """Adam on the latents of a batch of patches, the best finite iterate kept.

    Each patch is by itself, whatever else is in the batch: its step size is halved at
    a plateau of its own objective, it ends at the last one or where its misfit is small
    enough, and it then takes no more time. Far from the data the inverse of a flow may
    overflow: a patch whose objective is no longer finite goes back to its best latents,
    and its step size is halved.

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
        First step size.
    tolerance : float
        A plateau are ten steps that lower the objective by less than this share.
    enough : float
        Misfit at which a patch ends (discrepancy principle); 0 for never.
    misfit : callable, optional
        Of ``y`` and ``f^-1(z)``, for each pixel; the squared difference by default.
    checkpointing : bool
        Recompute activations instead of keeping them.
    decode : callable, optional
        In place of ``flow.inverse``, see
        :mod:`~napari_usflow.denoising.algorithms.flow.compiled`. It is compiled for the
        batch as it is, so that patches that have ended stay in it.

    Attributes
    ----------
    best : Tensor, shape (B,)
        Lowest objective of each patch so far.
    explained : Tensor, shape (B,), bool
        Which patches have ended because their misfit was small enough.
    history : list of float
        Their sum after each step; infinite until every patch has been finite once.
    """

    def __init__(
        self,
        flow: Glow,
        y: torch.Tensor,
        *,
        weight: float,
        prior_sigma: float,
        learning_rate: float,
        tolerance: float = 1e-4,
        enough: float = 0.0,
        misfit: Misfit | None = None,
        checkpointing: bool = False,
        decode: Decode | None = None,
    ) -> None:
        import torch

        self._flow, self._y, self._sigma = flow, y, prior_sigma
        self._weight, self._checkpointing = weight, checkpointing
        self._misfit, self._decode = misfit or squared, decode or flow.inverse
        self._keeps_batch = decode is not None
        self.z = torch.zeros(len(y), flow.dimension, device=y.device)
        self._learning_rate, self._tolerance = learning_rate, tolerance
        self._enough = enough
        self._restart()

    def _restart(self) -> None:
        import torch

        z = self.z
        self._mean, self._square = torch.zeros_like(z), torch.zeros_like(z)
        self._taken = 0
        self._rate = torch.full_like(z[:, :1], self._learning_rate)
        self._before = torch.full_like(z[:, 0], torch.inf)
        self._age = torch.zeros(len(z), dtype=torch.long, device=z.device)
        self._plateaus = torch.zeros_like(self._age)
        self.explained = torch.zeros_like(self._age, dtype=torch.bool)
        self.best_z = z.clone()
        self.best = torch.full_like(z[:, 0], torch.inf)
        self.history: list[float] = []

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """Encode patches ``x`` (B, 1, S, S); 0 where the latents are not finite."""
        import torch

        with torch.no_grad():
            z = self._flow(x, self._sigma)[0]
        return torch.where(torch.isfinite(z), z, torch.zeros_like(z))

    def start_from(self, x: torch.Tensor) -> None:
        """Start at the latents of patches ``x`` (B, 1, S, S), at 0 if not finite."""
        self.z = self.codes(x)
        self._restart()

    def objective(
        self, z: torch.Tensor, patches: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Misfit of ``f^-1(z)`` plus ``lambda ||z||^2`` of each patch, shape (B,).

        ``patches`` are the places in the batch that ``z`` is of; all by default.
        """
        y = self._y if patches is None else self._y[patches]
        x = self._decode(z, self._sigma, checkpointing=self._checkpointing)
        misfit = self._misfit(y, x).flatten(1).sum(dim=1)
        value: torch.Tensor = misfit + self._weight * z.square().sum(dim=1)
        return value

    @property
    def finished(self) -> bool:
        """Whether every patch has come to its last plateau."""
        return bool((self._plateaus > HALVINGS).all())

    def step(self) -> None:
        """Take one step with every patch that has not ended."""
        import torch

        moving = self._plateaus <= HALVINGS
        if self._keeps_batch:
            moving = torch.ones_like(moving)
        if not moving.any():
            return
        here = moving.nonzero()[:, 0]
        z = self.z[here].requires_grad_(True)
        with torch.enable_grad():
            value = self.objective(z, here)
            finite = torch.isfinite(value)
            value[finite].sum().backward()
        with torch.no_grad():
            self._keep_best(value.detach(), z.detach(), here)
            assert z.grad is not None
            broken = ~finite | ~torch.isfinite(z.grad).all(dim=1)
            if bool(broken.any()):
                self._recover(here[broken])
                z.grad[broken] = 0.0
            self._take_step(z.grad, here)
            self._look_for_plateaus(here)
            self._end_explained(value.detach(), z.detach(), here)
        self.history.append(float(self.best.sum()))

    def _take_step(self, gradient: torch.Tensor, here: torch.Tensor) -> None:
        """Adam (Kingma & Ba 2015, algorithm 1) with a step size for each patch."""
        self._taken += 1
        first, second = BETAS
        mean = first * self._mean[here] + (1 - first) * gradient
        square = second * self._square[here] + (1 - second) * gradient.square()
        self._mean[here], self._square[here] = mean, square
        root = (square / (1 - second**self._taken)).sqrt_().add_(1e-8)
        self.z[here] -= self._rate[here] * (mean / (1 - first**self._taken)) / root

    def _look_for_plateaus(self, here: torch.Tensor) -> None:
        import torch

        # Infinite until it has been finite: not a plateau, but that ends as well.
        best, before = self.best[here], self._before[here]
        fell = best < before - self._tolerance * before.abs()
        fell |= torch.isinf(before) & torch.isfinite(best)
        age = torch.where(fell, 0, self._age[here] + 1)
        flat = age >= PATIENCE
        self._before[here] = torch.where(fell | flat, best, before)
        self._age[here] = torch.where(flat, 0, age)
        self._plateaus[here] += flat
        self._rate[here[flat]] *= 0.5

    def _end_explained(
        self, value: torch.Tensor, z: torch.Tensor, here: torch.Tensor
    ) -> None:
        """End the patches whose misfit is small enough, at these latents."""
        misfit = value - self._weight * z.square().sum(dim=1)
        enough = (misfit <= self._enough) & ~self.explained[here]
        ended = here[enough]
        self.explained[ended] = True
        self.z[ended] = self.best_z[ended] = z[enough]
        self.best[ended] = value[enough]
        self._plateaus[ended] = HALVINGS + 1
        self._rate[ended] = 0.0

    def _keep_best(
        self, value: torch.Tensor, z: torch.Tensor, here: torch.Tensor
    ) -> None:
        better = value < self.best[here]  # false where the value is NaN
        self.best[here[better]] = value[better]
        self.best_z[here[better]] = z[better]

    def _recover(self, broken: torch.Tensor) -> None:
        import torch

        # A patch that never was finite starts again from 0, which decodes safely.
        never = broken[~torch.isfinite(self.best[broken])]
        self.best_z[never] = 0.0
        self.z[broken] = self.best_z[broken]
        self._mean[broken] = 0.0
        self._square[broken] = 0.0
        self._rate[broken] *= 0.5

    def result(self) -> torch.Tensor:
        """Patches (B, 1, S, S) of the best latents; never worse than finite."""
        import torch

        with torch.no_grad():
            # The last step's latents have not been looked at yet.
            everything = torch.arange(len(self.z), device=self.z.device)
            self._keep_best(self.objective(self.z), self.z, everything)
            x = self._decode(self.best_z, self._sigma)
            return torch.where(torch.isfinite(x), x, self._y)
