"""Non-local means, the classical method to beat."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial

import numpy as np

from napari_usflow.denoising.algorithms.block_filter import (
    BLOCKS,
    BlockFilter,
    block_parameter,
)
from napari_usflow.denoising.algorithms.cancellable_call import call_in_thread
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Run, method
from napari_usflow.jobs import Event, Note, Progress
from napari_usflow.parameters import parameter

__all__ = ["NonLocalMeans", "NonLocalMeansParams"]


@dataclass(frozen=True)
class NonLocalMeansParams:
    """Parameters of :class:`NonLocalMeans`."""

    patch_size: int = parameter(
        5, minimum=3, maximum=31, unit="px", help="Side of the compared patches (odd)"
    )
    patch_distance: int = parameter(
        6,
        minimum=1,
        maximum=50,
        unit="px",
        help="How far away similar patches are sought",
    )
    h: float = parameter(
        0.8,
        minimum=0.05,
        maximum=10.0,
        help="Filter strength in multiples of the noise level",
    )
    subtract_noise: bool = parameter(
        True,
        help="Take off what the noise itself adds to the distance of two patches",
    )
    block: int | None = block_parameter()


@method
class NonLocalMeans(BlockFilter):
    """Non-local means with flat patches, computed by scikit-image.

    A pixel becomes the mean of its neighbourhood weighted by
    w = exp(-max(0, mean((P_i - P_j)^2) - 2 sigma^2) / (h sigma)^2), where P are the
    patches around the two pixels (Buades, Coll and Morel 2005; the fast form of
    Darbon et al. 2008). With 2 sigma^2 subtracted, the default, h of 0.6 to 0.8 is
    best for white noise.

    The preset ``paper`` is what the paper of the flow prior compares itself with (van
    de Schaft and van Sloun, arXiv:2112.13110): patches of 10, which scikit-image makes
    11, a distance of 10 and h = 0.8 sigma, with nothing subtracted. ``speckle`` is
    what scored best on simulated speckle of MRI slices.
    """

    name = "nlm"
    title = "Non-local means"
    Params = NonLocalMeansParams
    params: NonLocalMeansParams
    presets = {  # noqa: RUF012 - read only
        "paper": NonLocalMeansParams(
            patch_size=11, patch_distance=10, h=0.8, subtract_noise=False, block=1
        ),
        "speckle": NonLocalMeansParams(patch_size=7, patch_distance=9, h=0.6),
    }
    grid = {  # noqa: RUF012 - read only
        "block": BLOCKS,
        "patch_size": (3, 5, 7),
        "patch_distance": (5, 7, 9, 11),
        "h": (0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
    }

    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
        """Denoise one frame; see :meth:`Denoiser.run`. Nothing in it is random."""
        from skimage.restoration import denoise_nl_means

        params = self.params
        patch_size = params.patch_size | 1
        if patch_size != params.patch_size:
            yield Note(
                f"a patch needs a centre: {patch_size} px are used "
                f"instead of {params.patch_size} px"
            )
        yield Progress(0, 1)
        # scikit-image drops axes of length one: a tiny frame is mirrored to a patch.
        missing = [(0, max(0, patch_size - length)) for length in frame.shape]
        clean = call_in_thread(
            partial(
                denoise_nl_means,
                np.pad(frame, missing, mode="symmetric"),
                patch_size=patch_size,
                patch_distance=params.patch_distance,
                h=params.h * run.sigma,
                sigma=run.sigma if params.subtract_noise else 0.0,
                fast_mode=True,
                preserve_range=True,
            ),
            run.token,
        )
        yield Progress(1, 1)
        inside = np.asarray(clean, dtype=np.float32)[: frame.shape[0], : frame.shape[1]]
        return np.ascontiguousarray(inside)
