"""The contract of the measures in :mod:`~napari_usflow.denoising.uncertainty`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, ClassVar

from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.frame_loop import FrameRun
from napari_usflow.jobs import Event

__all__ = ["UncertaintyMeasure"]


class UncertaintyMeasure(ABC):
    """One kind of uncertainty.

    Parameters
    ----------
    denoiser : Denoiser
        The method whose result may be wrong.
    """

    needs_noise: ClassVar[bool] = True
    """Whether the noise has to be measured even where a level is given."""

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
        """Measure the uncertainty of a frame (Z, X) with values in [0, 1].

        Yields
        ------
        Event
            Progress within the frame.
        """

    def finished(self, frame: Frame, run: FrameRun) -> tuple[Frame, dict[str, Any]]:
        """Return the map of a frame, and notes for its provenance.

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
