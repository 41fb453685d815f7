"""Speckle reducing anisotropic diffusion, on the envelope."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np

from napari_usflow.denoising.algorithms.block_filter import BlockFilter, block_parameter
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import method
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.parameters import parameter
from napari_usflow.ultrasound.speckle_statistics import ENVELOPE_SNR, SPECKLE_DB

__all__ = ["SRAD", "SRADParams"]

_LEAST_AMPLITUDE = np.float32(1e-15)
_SAID = 20


@dataclass(frozen=True)
class SRADParams:
    """Parameters of :class:`SRAD`."""

    variation: float = parameter(
        0.5,
        minimum=0.01,
        maximum=10.0,
        help="Variation that is taken for speckle, in multiples of what the noise "
        "level says",
    )
    decay: float = parameter(
        1 / 6,
        minimum=0.0,
        maximum=10.0,
        help="How fast that variation falls, per unit of time",
    )
    iterations: int = parameter(
        60, minimum=1, maximum=10_000, help="How many steps are taken"
    )
    time_step: float = parameter(
        0.25, minimum=0.001, maximum=1.0, help="Length of a step in units of time"
    )
    block: int | None = block_parameter()


@method
class SRAD(BlockFilter):
    r"""Speckle reducing anisotropic diffusion.

    The envelope a of the frame follows ``da/dt = div(c(q) grad a)`` with

        c(q) = 1 / (1 + (q^2 - q0^2) / (q0^2 (1 + q0^2))), limited to [0, 1]
        q0(t) = q0 exp(-decay t)

    where q, the coefficient of variation of a pixel's four neighbours, is near q0 in
    speckle and larger at edges (Y. Yu and S. T. Acton, IEEE Trans. Image Process.
    11(11), 2002). q0 is ``variation`` times 0.523 for the 5.57 dB of fully developed
    speckle, and in proportion for other noise levels; a variation of 1 takes weak edges
    for speckle too, as four neighbours vary less than the speckle does. Between two
    pixels the mean of their c counts.
    A step of up to 1 makes each pixel a weighted mean of itself and its neighbours:
    no value leaves the range of the input, and the mean of the envelope stays.

    Diffusion gives the mean of the envelope, which lies 1.46 dB above the mean of the
    decibels in fully developed speckle. The whole result is lowered by what it has
    risen on average where there was speckle and no edge, so that levels are those of
    the input, as they are for the methods that average decibels.
    """

    name = "srad"
    title = "Diffusion (SRAD)"
    Params = SRADParams

    def run(
        self,
        frame: Frame,
        *,
        sigma: float,
        token: CancelToken,
        dynamic_range_db: float = 60.0,
        **facts: Any,
    ) -> Generator[Event, None, Frame]:
        """See :meth:`Denoiser.run`. Nothing in it is random."""
        params: SRADParams = self.params
        white = float(frame.max())
        decades = np.float32(dynamic_range_db / 20)
        amplitude = np.power(np.float32(10), (frame - white) * decades)
        diffusion = _Diffusion(np.maximum(amplitude, _LEAST_AMPLITUDE))
        noise = sigma * dynamic_range_db / SPECKLE_DB / ENVELOPE_SNR
        variation = np.sqrt(diffusion.variation())
        speckled = (variation > 0.1 * noise) & (variation < 2 * noise)
        for done in range(params.iterations):
            token.raise_if_cancelled()
            # Never 0: it is divided by, and nothing varies less than rounding does.
            fallen = exp(-params.decay * done * params.time_step)
            speckle = max(params.variation * noise * fallen, 1e-6)
            diffusion.step(speckle, params.time_step)
            if done % _SAID == 0:
                yield Progress(done, params.iterations, "steps")
        yield Progress(params.iterations, params.iterations, "steps")
        clean = white + np.log10(diffusion.amplitude) / decades
        risen = np.mean((clean - frame)[speckled]) if speckled.any() else 0.0
        return np.asarray(clean - risen, dtype=np.float32)


class _Diffusion:
    """The envelope on its way, and the arrays that each step writes anew.

    Parameters
    ----------
    amplitude : ndarray, shape (Z, X), float32, > 0
    """

    def __init__(self, amplitude: Frame) -> None:
        # Repeating the edge lets nothing flow across it.
        self._framed = np.pad(amplitude, 1, mode="edge")
        self.amplitude = self._framed[1:-1, 1:-1]
        self._squares = np.empty_like(self._framed)
        self._mean = np.empty_like(amplitude)
        self._conduction = np.empty_like(amplitude)
        pairs = amplitude[1:].shape, amplitude[:, 1:].shape
        self._flows = [np.empty(shape, np.float32) for shape in pairs]
        self._rises = [np.empty(shape, np.float32) for shape in pairs]

    def variation(self) -> Frame:
        """Squared coefficient of variation of the four neighbours of each pixel.

        That is (|grad a|^2 / 2 - (laplace a)^2 / 16) / (a + laplace a / 4)^2, as in
        the paper, with |grad a|^2 the mean of the squares of both sides' differences.
        """
        framed, mean, q2 = self._framed, self._mean, self._conduction
        framed[0], framed[-1] = framed[1], framed[-2]
        framed[:, 0], framed[:, -1] = framed[:, 1], framed[:, -2]
        _sum_of_neighbours(framed, mean)
        np.multiply(framed, framed, out=self._squares)
        _sum_of_neighbours(self._squares, q2)
        np.multiply(mean, mean, out=mean)
        q2 /= mean
        q2 *= 4
        q2 -= 1
        return np.maximum(q2, 0, out=q2)

    def step(self, speckle: float, time_step: float) -> None:
        """Let a time of at most 1 pass, with q0 = ``speckle`` > 0."""
        c = self.variation()
        c -= speckle**2
        c /= speckle**2 * (1 + speckle**2)
        c += 1
        np.maximum(c, 1, out=c)
        np.divide(time_step / 8, c, out=c)
        a = self.amplitude
        for axis, (flow, rise) in enumerate(zip(self._flows, self._rises, strict=True)):
            first, second = _neighbours(c, axis)
            np.add(first, second, out=flow)
            first, second = _neighbours(a, axis)
            np.subtract(second, first, out=rise)
            flow *= rise
        # Only now: both directions start from the same envelope.
        for axis, flow in enumerate(self._flows):
            first, second = _neighbours(a, axis)
            first += flow
            second -= flow


def _neighbours(image: Frame, axis: int) -> tuple[Frame, Frame]:
    """See all pairs of neighbouring pixels along an axis."""
    return (image[:-1], image[1:]) if axis == 0 else (image[:, :-1], image[:, 1:])


def _sum_of_neighbours(framed: Frame, out: Frame) -> None:
    np.add(framed[:-2, 1:-1], framed[2:, 1:-1], out=out)
    out += framed[1:-1, :-2]
    out += framed[1:-1, 2:]
