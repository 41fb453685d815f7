"""The contract of the measures in :mod:`~napari_usflow.denoising.uncertainty`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.jobs import CancelToken, Event, share_of

__all__ = ["FrameRun", "UncertaintyMeasure"]

Part = Callable[[Frame, float, int], Generator[Event, None, Frame]]


@dataclass(frozen=True)
class FrameRun:
    """Everything that looking at a frame takes, but the frame.

    Attributes
    ----------
    noise : Noise
        Of the stack.
    sigma_given : bool
        Whether its level was given; a blind method uses no measured one.
    seed, token, dynamic_range_db, pixel_mm
        As of :meth:`~napari_usflow.denoising.contract.Denoiser.run`.
    """

    noise: Noise
    sigma_given: bool
    seed: int
    token: CancelToken
    dynamic_range_db: float
    pixel_mm: tuple[float, float]

    def of(self, denoiser: Denoiser, frame: Frame) -> Generator[Event, None, Frame]:
        """Denoise a frame at the working pixel of the denoiser."""
        denoiser = denoiser.suited(self.noise)
        steps = denoiser.working_pixel(self.noise).within(frame.shape).steps
        axial, lateral = np.multiply(self.pixel_mm, steps)

        def part(sampled: Frame, sigma: float, seed: int) -> Any:
            return denoiser.run(
                sampled,
                sigma=sigma,
                seed=seed,
                token=self.token,
                dynamic_range_db=self.dynamic_range_db,
                pixel_mm=(float(axial), float(lateral)),
            )

        return self.sampled(denoiser, frame, part)

    def sampled(
        self, denoiser: Denoiser, frame: Frame, part: Part
    ) -> Generator[Event, None, Frame]:
        """Look at a frame at the working pixel of a denoiser.

        Parameters
        ----------
        denoiser : Denoiser
            Chooses the pixel and the noise level.
        frame : ndarray, shape (Z, X), float32
        part : callable
            Called with each sampled frame, the noise level and a seed; gives events and
            returns a frame.
        """
        pixel = denoiser.working_pixel(self.noise).within(frame.shape)
        blind = denoiser.blind and not self.sigma_given
        sigma = 0.0 if blind else denoiser.working_sigma(self.noise, pixel)
        sampled, found = pixel.sampled(frame), []
        for number, one in enumerate(sampled):
            run = part(one, sigma, self.seed + number)
            found.append((yield from share_of(run, number, len(sampled))))
        return pixel.averaged(found, frame.shape)


class UncertaintyMeasure(ABC):
    """One kind of uncertainty.

    Parameters
    ----------
    denoiser : Denoiser
        The method whose result may be wrong.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser

    @property
    def device(self) -> str:
        """Where it is computed, as the denoiser was told."""
        return self._denoiser.device

    @abstractmethod
    def frame_events(
        self, frame: Frame, run: FrameRun
    ) -> Generator[Event, None, Frame]:
        """Look at a frame (Z, X) with values in [0, 1].

        Yields
        ------
        Event
            Progress within the frame.
        """

    def finished(self, frame: Frame, run: FrameRun) -> tuple[Frame, dict[str, Any]]:
        """Make a map of what was found; give also what is to be noted.

        Parameters
        ----------
        frame : ndarray, shape (Z, X), float32
            As a fraction of the dynamic range.
        run : FrameRun
        """
        return frame, {}

    def provenance(self) -> dict[str, Any]:
        """Return what must be stored to do this again."""
        return self._denoiser.provenance()
