"""Optimized Bayesian non-local means, the classical method made for speckle."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms.block_filter import (
    BLOCKS,
    BlockFilter,
    block_parameter,
)
from napari_usflow.denoising.algorithms.blockwise_nlm import BlockMeans
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Run, method
from napari_usflow.jobs import Event, Note
from napari_usflow.parameters import parameter

__all__ = ["OBNLM", "OBNLMParams", "noise_scale"]

GREY_LEVELS = 255.0
"""The distance is that of 8-bit images ..."""

OFFSET = 100.0
"""... raised by this, as the authors' programs do: it divides by the grey value."""


@dataclass(frozen=True)
class OBNLMParams:
    """Parameters of :class:`OBNLM`."""

    search_radius: int = parameter(
        7,
        minimum=1,
        maximum=50,
        unit="px",
        help="Search for similar blocks as far away as this (M); larger is slower",
    )
    block_radius: int = parameter(
        3,
        minimum=1,
        maximum=25,
        unit="px",
        help="Half the side of a block, without its centre (α); larger is smoother",
    )
    step: int = parameter(
        2,
        minimum=1,
        maximum=51,
        unit="px",
        help="Distance between blocks (n), at most the side of a block",
    )
    h: float = parameter(
        0.7,
        label="Filter strength",
        minimum=0.05,
        maximum=20.0,
        help="Filter strength in multiples of the noise level at mid grey: higher "
        "averages blocks that differ more",
    )
    mean_test: float = parameter(
        0.0,
        minimum=0.0,
        maximum=0.99,
        help="Leave out blocks whose mean is less than this share of the other's "
        "(µ1, often 0.6 to 0.95); 0 compares all blocks",
    )
    center: str = parameter(
        "max",
        choices=("max", "one"),
        choice_labels=("as the most similar block", "1"),
        label="Own weight",
        help="A weight of 1 keeps more of the speckle",
    )
    block: int | None = block_parameter()


@method
class OBNLM(BlockFilter):
    r"""Blockwise non-local means with the Pearson distance (OBNLM).

    Blocks are compared by ``d = mean((u_i - u_j)^2 / u_j)``, which follows from the
    noise model ``u = v + sqrt(v) eta`` of log-compressed ultrasound, and averaged with
    weights ``exp(-d / h_abs^2)`` (P. Coupe, P. Hellier, C. Kervrann and C. Barillot,
    "Nonlocal means-based speckle filtering for ultrasound images", IEEE Trans. Image
    Process. 18(10), 2009); :mod:`napari_usflow.denoising.algorithms.blockwise_nlm` has
    the equations.

    The grey values ``u`` are those of an 8-bit image, 0 for black (and for all that is
    darker) to 255 for white, plus 100. The paper sums the distance over the block, here
    it is the mean, so that ``h`` means the same for all block sizes: it counts the
    standard deviation of ``eta`` that noise of ``sigma`` has at mid grey,
    ``h_abs = h * 255 sigma / sqrt(127.5 + 100)``. With h = 1, two blocks that differ
    by noise alone have ``exp(-2)``. The equations give a block itself exp(0) = 1, by
    far the largest weight in noise; ``center = "max"`` keeps it from leaving noise
    standing, which on simulated speckle is worth half a decibel.

    The preset ``paper`` is what the paper of the flow prior compares itself with (van
    de Schaft and van Sloun, arXiv:2112.13110): h = sigma, "a patch size of 3, and a
    similarity window of size 10", read as the two radii that the authors' program of
    OBNLM asks for, a = 3 and M = 10, and h in our convention. ``speckle`` is what
    scored best on simulated speckle of MRI slices; its mean test suits this noise
    level only.

    An independent implementation from the published equations, as a baseline for
    research. The method is covered by a patent family of INRIA (WO 2009/133307); no
    view is taken here on what that means for any use.
    """

    name = "obnlm"
    title = "Blockwise NLM (OBNLM)"
    Params = OBNLMParams
    params: OBNLMParams
    presets = {  # noqa: RUF012 - read only
        "paper": OBNLMParams(search_radius=10, block_radius=3, h=1.0, block=1),
        "speckle": OBNLMParams(mean_test=0.95),
    }
    grid = {  # noqa: RUF012 - read only
        "block": BLOCKS,
        "search_radius": (5, 7, 10),
        "block_radius": (2, 3, 4),
        "mean_test": (0.0, 0.95),
        "h": (0.5, 0.6, 0.7, 0.8, 0.95, 1.15),
    }

    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
        """See :meth:`Denoiser.run`. Nothing in it is random."""
        params = self.params
        side = 2 * params.block_radius + 1
        step = min(params.step, side)
        if step < params.step:
            yield Note(
                f"blocks of {side} px every {params.step} px would leave gaps: "
                f"a step of {step} px is used"
            )
        blocks = BlockMeans(
            search=params.search_radius,
            block=params.block_radius,
            step=step,
            h=params.h * noise_scale(run.sigma),
            mean_test=params.mean_test,
            center_is_max=params.center == "max",
        )
        clean = yield from blocks.run(frame, grey_values(frame), run.token)
        return clean


def noise_scale(sigma: float) -> float:
    """Standard deviation of ``eta`` at mid grey for noise of ``sigma`` in [0, 1]."""
    return float(GREY_LEVELS * sigma / np.sqrt(GREY_LEVELS / 2 + OFFSET))


def grey_values(frame: Frame) -> npt.NDArray[np.float32]:
    """Return the values that blocks are compared by: 8-bit grey plus an offset."""
    return np.float32(GREY_LEVELS) * np.maximum(frame, np.float32(0)) + np.float32(
        OFFSET
    )
