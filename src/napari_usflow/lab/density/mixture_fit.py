"""Fitting mixtures of Gaussians to image patches.

In the 1024 dimensions of a 32 x 32 patch a component has half a million free
covariances, more than its patches can tell, so each covariance is shrunk towards one
that all components share; by how much is chosen on patches that were not fitted.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.lab.density.mixture import Mixture, batches

__all__ = ["SHRINKAGES", "fit_mixture"]

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SHRINKAGES = (16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0)
"""Numbers of patches that the shared covariance may count for; the best is taken."""

_NEGLIGIBLE = 1e-3
_AXES_FROM = 20000
_LEADING = 128
_CHOSEN = 4
# A variance that sums of float32 do not lose: a quarter of a grey level, squared.
_ROUNDING = 1e-6


class _Screen:
    """Tells which few components may hold a vector, at a small part of the cost.

    For vectors in principal coordinates, the largest first. The leading coordinates
    keep their covariances; the others are taken as independent, with one variance for
    each band of them. Expectation over the chosen few is a variational step (truncated
    EM, Luecke and Eggert, JMLR 2010).
    """

    def __init__(self, mixture: Mixture) -> None:
        self._leading = Mixture(
            mixture.weights,
            mixture.means[:, :_LEADING],
            mixture.covariances[:, :_LEADING, :_LEADING],
        )
        squares = np.diagonal(mixture.covariances, axis1=1, axis2=2) + mixture.means**2
        tail = squares[:, _LEADING:]
        self._edges = np.arange(0, tail.shape[1], _LEADING)
        sizes = np.diff(np.append(self._edges, tail.shape[1]))
        variances = np.add.reduceat(tail, self._edges, axis=1) / sizes
        self._constants = (sizes * np.log(variances)).sum(axis=1)
        self._precisions = (1 / variances).T.astype(np.float32)

    def plausible(self, x: Float) -> Mask:
        """Mask (N, K) of the components that are worth a closer look."""
        energies = np.add.reduceat(np.square(x[:, _LEADING:]), self._edges, axis=1)
        scores = self._leading.joint(x[:, :_LEADING])
        scores -= 0.5 * (energies @ self._precisions + self._constants)
        is_plausible = np.zeros(scores.shape, dtype=np.bool_)
        best = np.argpartition(scores, -_CHOSEN, axis=1)[:, -_CHOSEN:]
        np.put_along_axis(is_plausible, best, True, axis=1)
        return is_plausible


def fit_mixture(
    patches: Float,
    held_out: Float,
    components: int,
    *,
    iterations: int = 10,
    first_share: float = 1.0,
    zero_mean: bool = False,
    shrinkages: Sequence[float] = SHRINKAGES,
    seed: int = 0,
    token: CancelToken | None = None,
    label: str = "mixture",
) -> Generator[Event, None, Mixture]:
    """Fit by expectation maximisation, started from k-means.

    Parameters
    ----------
    patches : ndarray, shape (N, D), float32
        What is fitted.
    held_out : ndarray, shape (M, D), float32
        What the shrinkage is chosen on.
    components : int
    iterations : int
        Rounds of expectation and maximisation; the last two use all patches.
    first_share : float
        Share of the patches that the rounds before those use. The components find
        their places with a part of the patches; only their covariances need all.
    zero_mean : bool
        Keep the means at zero and let the covariances hold the level of the patches
        as well, as half-quadratic EPLL wants it.
    shrinkages : sequence of float
        What to choose from.
    seed : int
    token : CancelToken, optional
        Set it to stop.
    label : str
        Name in the progress.

    Yields
    ------
    Progress

    Returns
    -------
    Mixture
    """
    token = token or CancelToken()
    rng = np.random.default_rng(seed)
    axes = _principal_axes(patches[rng.permutation(len(patches))[:_AXES_FROM]])
    # Centred, so that squares are not much larger than variances.
    centre = np.float32(0.0) if zero_mean else patches.mean(axis=0)
    patches, held_out = ((x - centre) @ axes for x in (patches, held_out))
    few = patches[: max(components, round(first_share * len(patches)))]
    moments = _Moments.zero(components, patches.shape[1])
    share = np.zeros((len(few), components), np.float32)
    share[np.arange(len(few)), _clusters(few, components, rng)] = 1.0
    moments.add(few, share)
    for i in range(iterations):
        # As many patches as pixels: a component of few patches stays open to others.
        mixture = moments.mixture(patches.shape[1], zero_mean)
        worth_it = components > 2 * _CHOSEN and patches.shape[1] > 2 * _LEADING
        screen = _Screen(mixture) if worth_it else None
        used = patches if i >= iterations - 2 else few
        moments = _Moments.zero(components, patches.shape[1])
        parts = batches(used)
        for done, part in enumerate(parts):
            token.raise_if_cancelled()
            yield Progress(i * len(parts) + done, iterations * len(parts), label)
            joint = mixture.joint(part, screen.plausible(part) if screen else None)
            joint -= logsumexp(joint, axis=1, keepdims=True)
            moments.add(part, np.exp(joint).astype(np.float32))
    best, best_score = None, -np.inf
    for shrinkage in shrinkages:
        token.raise_if_cancelled()
        candidate = moments.mixture(shrinkage, zero_mean)
        score = float(candidate.log_prob(held_out).mean())
        if best is None or score > best_score:
            best, best_score = candidate, score
    if best is None:
        raise ValueError("shrinkages is empty; give at least one")
    return replace(
        best,
        means=best.means @ axes.T + centre,
        covariances=np.stack([_turned(c, axes) for c in best.covariances]),
    )


@dataclass
class _Moments:
    """Weighted sums over patches, from which a mixture is made.

    ``counts`` (K,), ``sums`` (K, D) and ``squares`` (K, D, D).
    """

    counts: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    squares: Float

    @classmethod
    def zero(cls, components: int, dimension: int) -> _Moments:
        return cls(
            np.zeros(components),
            np.zeros((components, dimension)),
            np.zeros((components, dimension, dimension), np.float32),
        )

    def add(self, x: Float, shares: Float) -> None:
        """Add patches (N, D), each with its shares (N, K) in the components."""
        for k, share in enumerate(shares.T):
            mine = share > _NEGLIGIBLE
            if mine.any():
                rows, weight = x[mine], share[mine, None]
                self.counts[k] += weight.sum()
                self.sums[k] += (weight * rows).sum(axis=0)
                self.squares[k] += rows.T @ (weight * rows)

    def mixture(self, shrinkage: float, zero_mean: bool) -> Mixture:
        """Shrink each covariance towards the shared one, scaled to its own variance."""
        total = self.counts.sum()
        # A component that has lost its patches stands at the middle of all.
        counts = self.counts + 1e-3
        means = (self.sums + 1e-3 * self.sums.sum(axis=0) / total) / counts[:, None]
        if zero_mean:
            means = np.zeros_like(means)
        covariances = self.squares / counts[:, None, None].astype(np.float32)
        for covariance, mean in zip(covariances, means, strict=True):
            covariance -= np.outer(mean, mean).astype(np.float32)
        shared = np.tensordot((self.counts / total).astype(np.float32), covariances, 1)
        dimension = len(shared)
        shared[np.diag_indices(dimension)] += _ROUNDING
        noise = max(float(np.linalg.eigvalsh(shared)[0]), 0.0)
        # Hardly a patch tells nothing of its covariance.
        covariances[self.counts < 1] = shared
        for covariance, count in zip(covariances, counts, strict=True):
            ratio = max(float(np.trace(covariance) / np.trace(shared)), 1e-4)
            own_share = count / (count + shrinkage)
            covariance *= np.float32(own_share)
            covariance += np.float32((1 - own_share) * ratio) * shared
            # The shared covariance holds the white noise of all patches, which does
            # not become less where they have less contrast.
            lost = (1 - own_share) * max(1.0 - ratio, 0.0) * noise
            covariance[np.diag_indices(dimension)] += np.float32(_ROUNDING + lost)
        return Mixture(
            (self.counts / total).astype(np.float32),
            means.astype(np.float32),
            np.asarray(covariances, dtype=np.float32),
            shrinkage,
        )


def _turned(covariance: Float, axes: Float) -> Float:
    """Transform a covariance from principal coordinates back to pixels."""
    exact = axes.astype(np.float64)
    out = exact @ covariance @ exact.T
    return np.asarray((out + out.T) / 2, dtype=np.float32)


def _principal_axes(x: Float) -> Float:
    """Orthonormal axes (D, D) in columns, the one of the largest variance first."""
    _, axes = np.linalg.eigh(np.cov(x, rowvar=False).reshape(x.shape[1], -1))
    return np.ascontiguousarray(axes[:, ::-1], dtype=np.float32)


def _clusters(
    x: Float, components: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Labels (N,) by k-means on the 32 leading coordinates (Lloyd's algorithm)."""
    points = x[:, :32]
    centres = points[rng.choice(len(x), components, replace=False)]
    for _ in range(15):
        labels = _nearest(points, centres)
        for k in range(components):
            if (labels == k).any():
                centres[k] = points[labels == k].mean(axis=0)
    return _nearest(points, centres)


def _nearest(points: Float, centres: Float) -> npt.NDArray[np.intp]:
    distances = -2 * points @ centres.T + np.square(centres).sum(axis=1)
    return np.asarray(np.argmin(distances, axis=1))
