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

__all__ = ["LatentSolver", "squared"]


def squared(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Give the misfit of Gaussian noise, for each pixel."""
    return (x - y).square()


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
    decode : callable, optional
        In place of ``flow.inverse``, see
        :mod:`~napari_usflow.denoising.algorithms.flow.compiled`.
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
        decode: Decode | None = None,
    ) -> None:
        import torch

        self._flow, self._y, self._sigma = flow, y, prior_sigma
        self._weight, self._checkpointing = weight, checkpointing
        self._misfit, self._decode = misfit or squared, decode or flow.inverse
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
        """Start at the latents of patches ``x`` (B, 1, S, S), at 0 if not finite."""
        import torch

        with torch.no_grad():
            z = self._flow(x, self._sigma)[0]
        self.z = torch.where(torch.isfinite(z), z, torch.zeros_like(z)).detach()
        self._restart()

    def objective(self, z: torch.Tensor) -> torch.Tensor:
        """Misfit of ``f^-1(z)`` plus ``lambda ||z||^2`` of each patch, shape (B,)."""
        x = self._decode(z, self._sigma, checkpointing=self._checkpointing)
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
            x = self._decode(self.best_z, self._sigma)
            return torch.where(torch.isfinite(x), x, self._y)
