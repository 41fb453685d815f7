"""Where a network may be wrong: against the flow, and against itself.

A network gives one answer and says nothing of how sure it is. Two things tell:

- *spread*, the standard deviation of its answers to the eight ways in which a frame can
  be turned and mirrored. What a network has understood does not depend on which way is
  up;
- *disagreement*, its distance from the flow, which was trained on MRI alone and knows
  nothing of how speckle was simulated. Where the two differ by far, neither is to be
  trusted.

Neither is an error in decibels: ``docs/design.md`` says how well each foretells one.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms.flow.posterior_mean import Flow, FlowParams
from napari_usflow.denoising.algorithms.symmetries import EIGHT, turned, turned_back
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.frame_loop import FrameRun
from napari_usflow.denoising.uncertainty.measure import UncertaintyMeasure
from napari_usflow.jobs import Event, share_of

__all__ = [
    "STRONG",
    "Disagreement",
    "Spread",
    "smoothed_difference",
    "strong_sentence",
]

STRONG = 0.076
"""Disagreement above this share of the dynamic range is strong.

On simulated speckle over MRI that the network was trained on 1 % of the pixels lie
above it, and above a quarter of it in the spread (``benchmarks/disagreement.py``). It
is taken as a share of the range, which holds roughly (at 40, 60 and 80 dB 1.2, 2.4 and
4.4 % of other subjects' pixels lie above it). But where the noise is weaker than that,
what is stronger than the noise is strong, down to 2 % of the range.
"""

_LEAST = 0.02
_CELL_MM = 0.3
_AROUND_MM = 0.6
_SPREAD = 1 / 4
_STRIDE = 15  # pixel; half the time of the method's own, for the same picture


class Spread(UncertaintyMeasure):
    """Standard deviation of what a network makes of a frame turned eight ways.

    The root of its square's average over a Gaussian of 0.6 mm.

    Parameters
    ----------
    denoiser : Denoiser
        A network, in one pass: a mean over the turns does not move when turned.
    """

    def frame_events(
        self, frame: Frame, run: FrameRun
    ) -> Generator[Event, None, Frame]:
        """See :meth:`UncertaintyMeasure.frame_events`."""
        count = len(EIGHT)
        total = np.zeros(frame.shape)
        squares = np.zeros(frame.shape)
        first: Frame | None = None
        for turn in EIGHT:
            seen = turned(frame, turn)
            clean = yield from share_of(run.denoised(self._denoiser, seen), turn, count)
            back = np.maximum(turned_back(clean, turn), 0)
            first = back if first is None else first
            # Differences from the first: the mean is far larger than the spread.
            difference = back - first
            total += difference
            squares += difference.astype(np.float64) ** 2
        variance = squares / count - (total / count) ** 2
        return np.sqrt(np.maximum(variance, 0)).astype(np.float32)

    def finished(self, frame: Frame, run: FrameRun) -> tuple[Frame, dict[str, Any]]:
        """See :meth:`UncertaintyMeasure.finished`; notes the share that is strong."""
        # Of eight answers a standard deviation is itself uncertain by a quarter.
        doubt = np.sqrt(_around(frame.astype(np.float64) ** 2, run.pixel_mm))
        doubt = doubt.astype(np.float32)
        what = "the result moves when the image is turned"
        return doubt, _strong(doubt, run, what, _SPREAD)


class Disagreement(UncertaintyMeasure):
    """Difference between a denoiser and the flow, per pixel (see :class:`Spread`).

    Parameters
    ----------
    denoiser : Denoiser
        A network.
    device : str
        Where the flow, with the shipped prior, is computed.
    """

    def __init__(self, denoiser: Denoiser, *, device: str = "auto") -> None:
        super().__init__(denoiser)
        self._flow = Flow(FlowParams(stride=_STRIDE), device=device)

    def frame_events(
        self, frame: Frame, run: FrameRun
    ) -> Generator[Event, None, Frame]:
        """See :meth:`UncertaintyMeasure.frame_events`; gives network minus flow."""
        # The network takes no time beside the flow.
        network = yield from share_of(run.denoised(self._denoiser, frame), 0, 1000)
        flow = yield from share_of(run.denoised(self._flow, frame), 0, 1)
        # Below black nothing is seen, and no method knows what is there.
        return np.maximum(network, 0) - np.maximum(flow, 0)

    def finished(self, frame: Frame, run: FrameRun) -> tuple[Frame, dict[str, Any]]:
        """See :meth:`UncertaintyMeasure.finished`; notes the share that is strong."""
        doubt = smoothed_difference(frame, run.pixel_mm)
        return doubt, _strong(doubt, run, "network and flow disagree")

    def provenance(self) -> dict[str, Any]:
        """See :meth:`UncertaintyMeasure.provenance`; adds the flow's prior."""
        prior = self._flow.loaded_prior()
        return {
            **super().provenance(),
            "compared_with": self._flow.name,
            "prior": prior.name,
            "prior_sha256": prior.sha256,
        }


def smoothed_difference(difference: Frame, spacing_mm: tuple[float, float]) -> Frame:
    """Compute the root mean square of a difference around each pixel.

    Its median over the frame is taken off first: the level that a method leaves speckle
    on is a convention. Then grain finer than a resolution cell (a Gaussian of 0.3 mm)
    is smoothed away, and squares are averaged over a Gaussian of 0.6 mm.

    Parameters
    ----------
    difference : ndarray, shape (Z, X)
    spacing_mm : (float, float)
        Pixel (axial, lateral).

    Returns
    -------
    ndarray, shape (Z, X), float32, >= 0
    """
    from scipy.ndimage import gaussian_filter

    levelled = difference.astype(np.float64) - np.median(difference)
    cells = gaussian_filter(levelled, [_CELL_MM / s for s in spacing_mm])
    return np.asarray(np.sqrt(_around(cells**2, spacing_mm)), np.float32)


def _around(
    squares: npt.NDArray[np.float64], spacing_mm: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Average squares over a Gaussian about each pixel."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(squares, [_AROUND_MM / s for s in spacing_mm])
    return np.asarray(np.maximum(smooth, 0), np.float64)


def strong_sentence(infos: Iterable[Mapping[str, Any]]) -> str:
    """Describe the share of pixels where a network is strongly in doubt.

    Parameters
    ----------
    infos : iterable of mapping
        Of the finished frames.

    Returns
    -------
    str
        Empty where there is nothing of the kind to be said.
    """
    strong = [info["strong"] for info in infos if "strong" in info]
    if not strong:
        return ""
    share = 100 * float(np.mean([one["share"] for one in strong]))
    above = strong[0]["above_db"]
    return f"{share:.1f} % of pixels above {above:.1f} dB (usual: 1 %)"


def _strong(
    doubt: Frame, run: FrameRun, what: str, factor: float = 1.0
) -> dict[str, Any]:
    """Note on which share of a map it is above what is usual."""
    above = factor * min(STRONG, max(run.noise.sigma, _LEAST))
    return {
        "strong": {
            "what": what,
            "above_db": above * run.dynamic_range_db,
            "share": float(np.mean(doubt > above)),
        }
    }
