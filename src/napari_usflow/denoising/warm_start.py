"""Starting a frame of a sequence from the result of another, patch by patch.

In a clip the frame before is mostly the same picture with other noise, moved a little.
Where it explains the frame at hand up to the noise, an iterative method can start from
it and needs fewer steps. The result then depends on what came before, so this is for
frames that are done one after the other, and never unless it was asked for.

Each patch of the earlier result is first moved to where it fits best: the displacement
d that minimises ``||y(p) - x(p + d)||^2 + sigma^2 ||d||^2``, in pixels, by Gauss-Newton
steps (B. D. Lucas, T. Kanade, IJCAI 1981); the second term keeps patches that have
nothing to follow where they are.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event

if TYPE_CHECKING:
    from napari_usflow.denoising.algorithms.flow.patching import PatchGrid
    from napari_usflow.denoising.array_types import Frame
    from napari_usflow.denoising.contract import Denoiser

__all__ = [
    "Started",
    "Trail",
    "explained",
    "followed",
    "provenance",
    "refuse_warm_start",
]

KEPT_FRAMES = 2
"""From the visible frame outwards, a frame's neighbour is the last but one done."""

CUT = 0.5
"""Share of the patches that must be explained; with fewer, the scene has changed."""

FARTHEST = 4.0
"""Pixels that a patch is moved at most along either axis."""

_STEPS = 3
_AT_ONCE = 64  # patches
_DEVIATIONS = 4.0
_LEAST_SIGMA = 1e-6
_MARGIN = 8  # pixels beyond the padded frame that splines may read


@dataclass(frozen=True)
class Started(Event):
    """Start values of the patches of a frame, or of a part of one.

    Attributes
    ----------
    warm : int
        Those that begin from another frame's result.
    patches : int
        All.
    """

    warm: int
    patches: int


@dataclass
class Trail:
    """The results that the next frame of a sequence may start from."""

    _kept: OrderedDict[int, list[Frame]] = field(default_factory=OrderedDict)

    def nearest(self, index: int) -> tuple[int | None, list[Frame]]:
        """Return the nearest frame of the stack and the results of its parts."""
        if not self._kept:
            return None, []
        near = min(self._kept, key=lambda kept: abs(kept - index))
        return near, self._kept[near]

    def leave(self, index: int, parts: list[Frame]) -> None:
        """Keep what the parts of a frame ended with."""
        self._kept[index] = parts
        self._kept.move_to_end(index)
        while len(self._kept) > KEPT_FRAMES:
            self._kept.popitem(last=False)


def followed(
    previous: Frame, patches: Frame, grid: PatchGrid, sigma: float, token: CancelToken
) -> Frame:
    """Return the patches of an earlier frame at their displaced positions.

    Parameters
    ----------
    previous : ndarray, shape (Z, X), float32
        The earlier frame, denoised.
    patches : ndarray, shape (N, S, S), float32
        Of the frame at hand.
    grid : PatchGrid
        Where they lie.
    sigma : float
        Standard deviation of the noise in ``patches``.
    token : CancelToken
        Looked at every few patches.

    Returns
    -------
    ndarray, shape (N, S, S), float32
    """
    from scipy.ndimage import spline_filter

    padded = np.pad(grid.padded(previous).astype(np.float64), _MARGIN, mode="edge")
    splines = spline_filter(padded)
    corners = grid.corners() + _MARGIN
    moved = np.empty(patches.shape, np.float32)
    for start in range(0, len(patches), _AT_ONCE):
        token.raise_if_cancelled()
        some = slice(start, start + _AT_ONCE)
        moved[some] = _moved(splines, corners[some], patches[some], sigma)
    return moved


def _moved(
    splines: npt.NDArray[np.float64],
    corners: npt.NDArray[np.intp],
    patches: Frame,
    sigma: float,
) -> npt.NDArray[np.float64]:
    """Read patches (N, S, S) that begin at corners (N, 2) where they fit best."""
    from scipy.ndimage import map_coordinates

    inside = np.indices(patches.shape[1:])
    moved_by = np.zeros((len(patches), 2))
    for _ in range(_STEPS):
        at = inside[:, None] + (corners + moved_by).T[:, :, None, None]
        warped = map_coordinates(splines, at, prefilter=False, mode="nearest")
        slopes = np.stack(np.gradient(warped, axis=(1, 2)), axis=-1)
        normal = np.einsum("nzxi,nzxj->nij", slopes, slopes)
        normal += max(sigma, _LEAST_SIGMA) ** 2 * np.eye(2)
        pull = np.einsum("nzxi,nzx->ni", slopes, patches - warped) - sigma**2 * moved_by
        moved_by += np.linalg.solve(normal, pull[..., None])[..., 0]
        moved_by = np.clip(moved_by, -FARTHEST, FARTHEST)
    at = inside[:, None] + (corners + moved_by).T[:, :, None, None]
    return np.asarray(map_coordinates(splines, at, prefilter=False, mode="nearest"))


def explained(patches: Frame, results: Frame, sigma: float) -> npt.NDArray[np.bool_]:
    """Return which patches an earlier result explains up to their noise.

    The mean square of what is left, ``y - x``, of N pixels of white noise has a
    relative standard deviation of sqrt(2 / N); four of them are allowed, which at a
    side of 32 is 18 % and leaves room for the error of the result as well. What moved
    otherwise than as a whole is not explained, and neither is another scene: where most
    patches are not, none is said to be.

    Parameters
    ----------
    patches : ndarray, shape (N, S, S), float32
        Of the frame at hand.
    results : ndarray, shape (N, S, S), float32
        Of another frame, denoised; see :func:`followed`.
    sigma : float
        Standard deviation of the noise.

    Returns
    -------
    ndarray, shape (N,), bool
    """
    left = np.square(patches - results, dtype=np.float64).mean(axis=(1, 2))
    pixels = patches.shape[1] * patches.shape[2]
    most = sigma**2 * (1 + _DEVIATIONS * np.sqrt(2 / pixels))
    is_explained = np.asarray(left <= most)
    return is_explained if is_explained.mean() >= CUT else np.zeros_like(is_explained)


def refuse_warm_start(denoiser: Denoiser) -> None:
    """Raise ValueError when a method wants frames in order where they come in none."""
    if denoiser.starts_warm:
        raise ValueError(
            f"method {denoiser.name} with warm_start starts each frame from the one "
            "before; what is lazy, streamed to .zarr or shared out to workers is done "
            "in any order: leave warm_start off, or give an array and another output"
        )


def provenance(near: int | None, started: list[Started]) -> dict[str, Any]:
    """Return how a frame was started, for its provenance.

    Returns
    -------
    dict
        ``warm_patches`` of ``patches`` began from the frame ``warm_from``; None where
        none did.
    """
    warm = sum(part.warm for part in started)
    return {
        "warm_from": near if warm else None,
        "warm_patches": warm,
        "patches": sum(part.patches for part in started),
    }
