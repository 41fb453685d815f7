"""The settings of the paper, and how they are read where it leaves something open.

V. van de Schaft and R. J. G. van Sloun, arXiv:2112.13110, sections IV-B to IV-D;
``docs/paper.md`` has the table of readings.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.evaluate.tables import last_frame
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.mri.resampling import resample_slices
from napari_usflow.prior import PRIOR_PIXEL_MM
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage

__all__ = [
    "DYNAMIC_RANGE_DB",
    "LAMBDA",
    "LAMBDA_SIGMA",
    "MIX_BACK",
    "Job",
    "Way",
    "at_prior_pixel",
    "ours",
    "papers",
]

Float = npt.NDArray[np.float32]

DYNAMIC_RANGE_DB = 60.0
"""Between black and white; the paper does not state it."""

LAMBDA = 10.0 / DYNAMIC_RANGE_DB**2
"""lambda = 10 of section IV-D, read as dB^2, for images from 0 to 1.

With lambda = 0.75 sigma^2 that is a noise level of 3.65 dB, close to what speckle has
once it is resampled to the pixel of MRI. In the units of images from 0 to 1 lambda = 10
would leave nothing but the image of z = 0.
"""

LAMBDA_SIGMA = math.sqrt(LAMBDA / 0.75)
"""The noise level that this lambda stands for; NLM and OBNLM are told the same."""

MIX_BACK = 0.2
"""Share of the speckle that is added back, Fig. 6."""


@dataclass(frozen=True)
class Way:
    """A method as it takes part in a figure.

    Attributes
    ----------
    title : str
        Above its panel.
    method : str
    params : dict
        For :func:`napari_usflow.denoising.denoise.create`.
    weights : str or path, optional
    is_papers : bool
        Run as in the paper: at the pixel of MRI, told :data:`LAMBDA_SIGMA`; otherwise
        as a user runs it, at the image's own pixel.
    """

    title: str
    method: str
    params: dict[str, Any] = field(default_factory=dict)
    weights: Any = None
    is_papers: bool = True


def papers(prior: Any) -> dict[str, Way]:
    """Return the methods of the paper on ultrasound images, with its settings."""
    proposed = {"preset": "paper", "lambda_weight": LAMBDA}
    return {
        "nlm": Way("NLM (paper)", "nlm", {"preset": "paper"}),
        "obnlm": Way("OBNLM (paper)", "obnlm", {"preset": "paper"}),
        "proposed": Way("proposed (paper)", "flow-map", proposed, prior),
    }


def ours() -> tuple[Way, ...]:
    """Return the methods that are shown beside the paper's."""
    return (
        Way("flow (ours)", "flow", is_papers=False),
        Way("best (ours)", "best", is_papers=False),
    )


@dataclass(frozen=True)
class Job:
    """Settings shared by all figures.

    Attributes
    ----------
    device : str
    token : CancelToken
    """

    device: str
    token: CancelToken

    def denoised(
        self, way: Way, image: UltrasoundImage, *, mix_back: float = 0.0
    ) -> Generator[Event, None, UltrasoundImage]:
        """Denoise an image (one frame, decibels), with some speckle mixed back.

        Returns
        -------
        UltrasoundImage
            In decibels; at the pixel of MRI where the way is the paper's.
        """
        if way.is_papers:
            coarse = at_prior_pixel(image)
            noisy = _unit(coarse)
            clean = yield from self.frame(way, noisy, LAMBDA_SIGMA)
            mixed = clean + mix_back * (noisy - clean)
            return coarse.with_data(DYNAMIC_RANGE_DB * (mixed[None] - 1))
        settings = Settings(dynamic_range_db=DYNAMIC_RANGE_DB, mix_back=mix_back)
        denoiser = create(
            way.method, weights=way.weights, device=self.device, **way.params
        )
        done = yield from last_frame(
            denoise_events(image, denoiser, settings, token=self.token)
        )
        return image.with_data(done.data[None])

    def frame(
        self, way: Way, noisy: Float, sigma: float
    ) -> Generator[Event, None, Float]:
        """Denoise a frame (Z, X) in [0, 1] at the pixel it has.

        Yields
        ------
        Event
            Progress, and notes.
        """
        denoiser = create(
            way.method, weights=way.weights, device=self.device, **way.params
        )
        run = denoiser.run(
            noisy,
            Run(sigma, token=self.token, dynamic_range_db=DYNAMIC_RANGE_DB),
        )
        return np.asarray((yield from run), np.float32)


def at_prior_pixel(image: UltrasoundImage) -> UltrasoundImage:
    """Bring the decibels of an image to the pixel of MRI, smoothed where it is coarser.

    Of a sector the lines: their steps at mid depth become that pixel.
    """
    grid = image.grid
    spacing = grid.mean_pixel_mm if isinstance(grid, PolarGrid) else grid.spacing_mm
    unit = resample_slices(_unit(image)[None], spacing, PRIOR_PIXEL_MM)
    shape = (unit.shape[1], unit.shape[2])
    # The edges of the image stay where they are, so its first centre moves.
    steps = [old / new for old, new in zip(grid.shape, shape, strict=True)]
    moves = [(step - 1) / 2 for step in steps]
    coarse: PixelGrid | PolarGrid
    if isinstance(grid, PolarGrid):
        axes = [
            (first + move * size, step * size)
            for (first, size), move, step in zip(
                (grid.radius_mm, grid.angle_rad), moves, steps, strict=True
            )
        ]
        coarse = PolarGrid(shape, axes[0], axes[1], grid.apex_mm)
    else:
        z, x = (
            (first + move * size, step * size)
            for first, size, move, step in zip(
                grid.origin_mm, grid.spacing_mm, moves, steps, strict=True
            )
        )
        coarse = PixelGrid(shape, (z[1], x[1]), (z[0], x[0]))
    return UltrasoundImage(
        DYNAMIC_RANGE_DB * (unit - 1), "db", coarse, metadata=dict(image.metadata)
    )


def _unit(image: UltrasoundImage) -> Float:
    """Decibels of the last frame as values from 0 to 1, clipped as the paper's are."""
    values = 1 + np.asarray(image.data[-1], np.float32) / DYNAMIC_RANGE_DB
    return np.asarray(np.clip(values, 0.0, 1.0), np.float32)
