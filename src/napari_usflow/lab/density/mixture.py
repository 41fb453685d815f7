"""Mixtures of Gaussians with full covariances.

The classical patch prior (Zoran and Weiss, ICCV 2011), and with one component the
Gaussian that any flow has to pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

__all__ = ["Mixture", "batches"]

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_BATCH = 4096


@dataclass(frozen=True)
class Mixture:
    """The density ``sum_k w_k N(x; mu_k, C_k)`` of vectors.

    Attributes
    ----------
    weights : ndarray, shape (K,), float32
    means : ndarray, shape (K, D), float32
    covariances : ndarray, shape (K, D, D), float32
    shrinkage : float
        Number of patches that the shared covariance counted for.
    """

    weights: Float
    means: Float
    covariances: Float
    shrinkage: float = 0.0

    def log_prob(self, x: Float) -> npt.NDArray[np.float64]:
        """Log-density in nats of vectors (N, D); shape (N,)."""
        parts = [logsumexp(self.joint(part), axis=1) for part in batches(x)]
        return np.concatenate(parts)

    def sample(self, count: int, rng: np.random.Generator) -> Float:
        """Draw vectors, shape (count, D)."""
        shares = self.weights.astype(np.float64) / self.weights.sum(dtype=np.float64)
        out = rng.standard_normal((count, self.means.shape[1]))
        which = rng.choice(len(shares), count, p=shares)
        for k in np.unique(which):
            factor = np.linalg.cholesky(self.covariances[k].astype(np.float64))
            out[which == k] = out[which == k] @ factor.T + self.means[k]
        return out.astype(np.float32)

    @cached_property
    def _whitening(self) -> tuple[Float, Float]:
        """Whiteners ``W`` (``W C W^T = I``), and ``log w + log |det W|``."""
        whiteners, constants = np.empty_like(self.covariances), []
        identity = np.eye(self.means.shape[1])
        for k, covariance in enumerate(self.covariances):
            factor = np.linalg.cholesky(covariance.astype(np.float64))
            whiteners[k] = solve_triangular(factor, identity, lower=True)
            constants.append(-np.log(np.diag(factor)).sum())
        log_weights = np.log(np.maximum(self.weights, 1e-30))
        return whiteners, (np.asarray(constants) + log_weights).astype(np.float32)

    def joint(self, x: Float, chosen: Mask | None = None) -> npt.NDArray[np.float64]:
        """``log w_k + log N(x; mu_k, C_k)`` of each vector and component, (N, K).

        Only where ``chosen`` (N, K) is true, when it is given; -inf elsewhere.
        """
        whiteners, constants = self._whitening
        out = np.full((len(x), len(constants)), -np.inf)
        for k, (whitener, mean) in enumerate(zip(whiteners, self.means, strict=True)):
            rows = slice(None) if chosen is None else np.flatnonzero(chosen[:, k])
            z = (x[rows] - mean) @ whitener.T
            out[rows, k] = constants[k] - 0.5 * np.einsum("ij,ij->i", z, z)
        out -= 0.5 * x.shape[1] * np.log(2 * np.pi)
        return out


def batches(x: Float) -> list[Float]:
    """Views of vectors (N, D), a few thousand at a time."""
    return [x[i : i + _BATCH] for i in range(0, len(x), _BATCH)]
