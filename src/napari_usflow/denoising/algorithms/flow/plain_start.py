"""Start of a latent search, and the reference for its objective.

A prior that knows noise levels has a posterior mean, whose code is close to the best
one. A prior of the paper's kind has none: there z starts at 0, where every flow decodes
safely, and needs more and larger steps. What a search must not be worse than is the
code of a patch that was denoised without it: the posterior mean, or non-local means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms.nlm import NonLocalMeans
from napari_usflow.denoising.contract import Run
from napari_usflow.errors import JobError
from napari_usflow.jobs import CancelToken, result_of

if TYPE_CHECKING:
    import torch

    from napari_usflow.denoising.algorithms.flow.patching import PatchGrid
    from napari_usflow.denoising.array_types import Frame
    from napari_usflow.prior.flow_prior import FlowPrior

__all__ = ["PlainStart", "start_for"]


def start_for(prior: FlowPrior, wanted: str) -> str:
    """Return where z starts: ``posterior-mean`` or ``zero``.

    Parameters
    ----------
    prior : FlowPrior
    wanted : str
        One of these, or ``auto``: the posterior mean where there is one.

    Raises
    ------
    PriorError
        When the posterior mean is wanted of a prior that has none.
    """
    if wanted == "auto":
        return "posterior-mean" if prior.flow.config.conditional else "zero"
    if wanted == "posterior-mean":
        prior.require_noise_levels()
    return wanted


class PlainStart:
    """Patches of a frame denoised simply, and how a search compares with them.

    Parameters
    ----------
    prior : FlowPrior
    frame : ndarray, shape (Z, X), float32
    grid : PatchGrid
    sigma : float
        Noise standard deviation in the frame.
    token : CancelToken
    """

    def __init__(
        self,
        prior: FlowPrior,
        frame: Frame,
        grid: PatchGrid,
        sigma: float,
        token: CancelToken,
    ) -> None:
        self._prior, self._frame, self._grid = prior, frame, grid
        self._sigma, self._token = sigma, token
        self._smooth: Frame | None = None
        self._final = np.full(len(grid), np.nan)
        self._plain = np.full(len(grid), np.nan)

    def patches(self, places: npt.NDArray[np.intp]) -> torch.Tensor:
        """Return patches (N, 1, S, S), by their places in the grid."""
        import torch

        is_mean = self._prior.flow.config.conditional
        windows = self._grid.windows(self._frame if is_mean else self._smoothed())
        x = torch.from_numpy(self._grid.pick(windows, places))[:, None]
        x = x.to(self._prior.device)
        if not is_mean:
            return x
        level = float(np.clip(self._sigma, *self._prior.sigma_range))
        return self._prior.flow.posterior_mean(x, level)[0]

    def _smoothed(self) -> Frame:
        if self._smooth is None:
            run = Run(self._sigma, token=self._token)
            self._smooth = result_of(NonLocalMeans().run(self._frame, run))
        return self._smooth

    def note(
        self,
        places: npt.NDArray[np.intp],
        final: npt.NDArray[np.float32],
        plain: npt.NDArray[np.float32],
    ) -> None:
        """Keep the objectives that a search ended at, and those of its plain starts.

        NaN in place of the latter leaves a patch out of the comparison.
        """
        self._final[places], self._plain[places] = final, plain

    def raise_if_worse(self, steps: int, rate: float) -> None:
        """Raise JobError when the search ended above its plain start on the whole."""
        counted = np.isfinite(self._plain)
        if not counted.any():
            return
        final = float(self._final[counted].mean())
        plain = float(self._plain[counted].mean())
        if not final <= plain:
            means = (
                "the posterior mean"
                if self._prior.flow.config.conditional
                else "non-local means"
            )
            raise JobError(
                f"flow-map has not found its image: after {steps} steps of {rate:g} "
                f"the objective is {final:.4g} a patch, and {plain:.4g} at the code "
                f"of {means}. Give more iterations, another learning_rate, or another "
                "start or prior"
            )
