"""Total variation, the cheapest method that keeps edges."""

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
from napari_usflow.jobs import Event, Progress
from napari_usflow.parameters import parameter

__all__ = ["TotalVariation", "TotalVariationParams"]


@dataclass(frozen=True)
class TotalVariationParams:
    """Parameters of :class:`TotalVariation`."""

    weight: float = parameter(
        1.0,
        minimum=0.01,
        maximum=100.0,
        help="Filter strength in multiples of the noise level",
    )
    tolerance: float = parameter(
        2e-4,
        minimum=1e-6,
        maximum=0.1,
        help="Stop when a step changes the objective by less than this share",
    )
    iterations: int = parameter(
        200, minimum=2, maximum=10_000, help="Most steps that are taken"
    )
    block: int | None = block_parameter()


@method
class TotalVariation(BlockFilter):
    """Total variation denoising (Rudin, Osher and Fatemi 1992), by scikit-image.

    Minimises ``||x - y||^2 / 2 + weight sigma TV(x)`` by Chambolle's projection (2004).
    The range of x is that of y at most: the mean stays, contrast is lost.
    """

    name = "tv"
    title = "Total variation"
    Params = TotalVariationParams
    params: TotalVariationParams
    grid = {  # noqa: RUF012 - read only
        "block": BLOCKS,
        "weight": (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5),
    }

    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
        """See :meth:`Denoiser.run`. Nothing in it is random."""
        from skimage.restoration import denoise_tv_chambolle

        params = self.params
        yield Progress(0, 1)
        clean = call_in_thread(
            partial(
                denoise_tv_chambolle,
                frame,
                weight=params.weight * run.sigma,
                eps=params.tolerance,
                max_num_iter=params.iterations,
            ),
            run.token,
        )
        yield Progress(1, 1)
        return np.asarray(clean, dtype=np.float32)
