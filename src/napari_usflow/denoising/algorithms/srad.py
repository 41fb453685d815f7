"""Speckle reducing anisotropic diffusion, on the envelope."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import exp

import numpy as np

from napari_usflow.denoising.algorithms.block_filter import (
    BLOCKS,
    BlockFilter,
    block_parameter,
)
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Run, method
from napari_usflow.jobs import Event, Progress
from napari_usflow.parameters import parameter
from napari_usflow.ultrasound.speckle_statistics import ENVELOPE_SNR, SPECKLE_DB

__all__ = ["SRAD", "SRADParams"]

_LEAST_AMPLITUDE = np.float32(1e-15)
_SAID = 20


@dataclass(frozen=True)
class SRADParams:
    """Parameters of :class:`SRAD`."""

    variation: float = parameter(
        0.85,
        minimum=0.01,
        maximum=10.0,
        help="Variation up to which diffusion smooths, in multiples of what the noise "
        "level says: higher is smoother",
    )
    decay: float = parameter(
        1 / 6,
        minimum=0.0,
        maximum=10.0,
        help="How fast that limit falls with time; higher keeps more edges",
    )
    iterations: int = parameter(
        60,
        minimum=1,
        maximum=10_000,
        help="Number of diffusion steps; more is smoother",
    )
    time_step: float = parameter(
        0.25,
        minimum=0.001,
        maximum=1.0,
        help="Diffusion time of a step; longer is smoother and less exact",
    )
    block: int | None = block_parameter()


@method
class SRAD(BlockFilter):
    r"""Speckle reducing anisotropic diffusion.

    The envelope I of the frame follows ``dI/dt = div(c(q) grad I)`` (Y. Yu and S. T.
    Acton, IEEE Trans. Image Process. 11(11), 2002) with

        q^2 = (|grad I|^2 / 2 - (laplace I)^2 / 16) / (I + laplace I / 4)^2
        c(q) = 1 / (1 + (q^2 - q0^2) / (q0^2 (1 + q0^2))), limited to [0, 1]
        q0(t) = q0 exp(-decay t)

    in their discretisation: ``|grad I|^2`` is the sum of the squared differences to the
    four neighbours, and from pixel i to i + 1 the c of the latter counts::

        I' = I + dt/4 (c[i+1, j] (I[i+1, j] - I) + c[i, j] (I[i-1, j] - I)
                       + c[i, j+1] (I[i, j+1] - I) + c[i, j] (I[i, j-1] - I))

    Beyond the frame its outermost pixels are repeated. q0 is ``variation`` times 0.523,
    that of the envelope of fully developed speckle of 5.57 dB, and in proportion for
    other noise levels (the paper works on the intensity, which has 1). A step of up to
    1 makes each pixel a weighted mean of itself and its neighbours: no value leaves the
    range of the input, and the mean of the envelope stays.

    Diffusion gives the mean of the envelope, which lies 1.46 dB above the mean of the
    decibels in fully developed speckle. The whole result is lowered by what it has
    risen on average where there was speckle and no edge, so that levels are those of
    the input, as they are for the methods that average decibels.
    """

    name = "srad"
    title = "Diffusion (SRAD)"
    Params = SRADParams
    params: SRADParams
    grid = {  # noqa: RUF012 - read only
        "block": BLOCKS,
        "iterations": (15, 30, 60, 120),
        "variation": (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.5),
    }

    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
        """See :meth:`Denoiser.run`. Nothing in it is random."""
        params = self.params
        white = float(frame.max())
        decades = np.float32(run.dynamic_range_db / 20)
        amplitude = np.power(np.float32(10), (frame - white) * decades)
        diffusion = _Diffusion(np.maximum(amplitude, _LEAST_AMPLITUDE))
        noise = run.sigma * run.dynamic_range_db / SPECKLE_DB / ENVELOPE_SNR
        variation = _variation_of_neighbours(diffusion.amplitude)
        speckled = (variation > 0.1 * noise) & (variation < 2 * noise)
        for done in range(params.iterations):
            run.token.raise_if_cancelled()
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
        self.amplitude = np.array(amplitude, dtype=np.float32)
        self._laplace = np.empty_like(self.amplitude)
        self._conduction = np.empty_like(self.amplitude)
        pairs = amplitude[1:].shape, amplitude[:, 1:].shape
        self._flows = [np.empty(shape, np.float32) for shape in pairs]
        self._rises = [np.empty(shape, np.float32) for shape in pairs]

    def variation(self) -> Frame:
        """Return q^2, the squared instantaneous coefficient of variation."""
        laplace, q2 = self._laplace, self._conduction
        laplace.fill(0)
        q2.fill(0)
        for axis, (flow, rise) in enumerate(zip(self._flows, self._rises, strict=True)):
            first, second = _neighbours(self.amplitude, axis)
            np.subtract(second, first, out=rise)
            np.multiply(rise, rise, out=flow)
            first, second = _neighbours(laplace, axis)
            first += rise
            second -= rise
            first, second = _neighbours(q2, axis)
            first += flow
            second += flow
        laplace /= 4
        q2 /= 2
        q2 -= laplace * laplace
        laplace += self.amplitude
        laplace *= laplace
        # A deep null varies without bound: nothing flows there.
        with np.errstate(divide="ignore"):
            q2 /= laplace
        return np.maximum(q2, 0, out=q2)

    def step(self, speckle: float, time_step: float) -> None:
        """Let a time of at most 1 pass, with q0 = ``speckle`` > 0."""
        c = self.variation()
        c -= speckle**2
        c /= speckle**2 * (1 + speckle**2)
        c += 1
        np.maximum(c, 1, out=c)
        np.divide(time_step / 4, c, out=c)
        for axis, (flow, rise) in enumerate(zip(self._flows, self._rises, strict=True)):
            np.multiply(_neighbours(c, axis)[1], rise, out=flow)
        # Only now: both directions start from the same envelope.
        for axis, flow in enumerate(self._flows):
            first, second = _neighbours(self.amplitude, axis)
            first += flow
            second -= flow


def _neighbours(image: Frame, axis: int) -> tuple[Frame, Frame]:
    """See all pairs of neighbouring pixels along an axis."""
    return (image[:-1], image[1:]) if axis == 0 else (image[:, :-1], image[:, 1:])


def _variation_of_neighbours(image: Frame) -> Frame:
    """Return the coefficient of variation of the four neighbours of each pixel."""
    framed = np.pad(image, 1, mode="edge")
    four = np.stack(
        [framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]]
    )
    return np.asarray(four.std(axis=0) / four.mean(axis=0), dtype=np.float32)
