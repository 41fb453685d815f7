"""What an uncertainty is to :mod:`~napari_usflow.denoise.uncertainty`: its contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from napari_usflow.denoise.contract import Denoiser, Frame
from napari_usflow.jobs import CancelToken, Event

__all__ = ["PartRun", "UncertaintyMeasure"]


@dataclass(frozen=True)
class PartRun:
    """What denoising a part of a frame at the prior's pixel takes, but the part.

    Attributes
    ----------
    sigma, seed, token, dynamic_range_db, pixel_mm
        As of :meth:`~napari_usflow.denoise.contract.Denoiser.run`.
    """

    sigma: float
    seed: int
    token: CancelToken
    dynamic_range_db: float
    pixel_mm: tuple[float, float]

    def of(self, denoiser: Denoiser, part: Frame) -> Generator[Event, None, Frame]:
        """Denoise a part."""
        return denoiser.run(part, **vars(self))


class UncertaintyMeasure(ABC):
    """One kind of uncertainty: found in parts of a frame, finished on the whole."""

    @abstractmethod
    def part_events(self, part: Frame, run: PartRun) -> Generator[Event, None, Frame]:
        """Look at a part (Z, X), which has values in [0, 1] and the prior's pixel.

        Yields
        ------
        Event
            Progress within the part.
        """

    def finished(
        self, frame: Frame, spacing_mm: tuple[float, float], run: PartRun
    ) -> tuple[Frame, dict[str, Any]]:
        """Make a map of what was found in all parts; give also what is to be noted.

        Parameters
        ----------
        frame : ndarray, shape (Z, X), float32
            On the image's grid, as a fraction of the dynamic range.
        spacing_mm : (float, float)
            That grid's pixel (axial, lateral).
        run : PartRun
            How its parts were denoised.
        """
        return frame, {}

    @abstractmethod
    def provenance(self) -> dict[str, Any]:
        """Say what looked."""
