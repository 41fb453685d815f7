"""A frame as overlapping patches, and back without seams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.array_types import Frame
from napari_usflow.parameters import parameter

__all__ = ["Blend", "PatchGrid", "batch_size_parameter", "stride_parameter"]


def stride_parameter(default: int) -> Any:
    """Describe the field ``stride`` of a method that works on patches."""
    return parameter(
        default,
        help="Distance between neighbouring patches; smaller is smoother and slower",
        unit="pixel",
        minimum=4,
        maximum=32,
    )


def batch_size_parameter() -> Any:
    """Describe the field ``batch_size`` of a method that works on patches."""
    return parameter(
        16,
        help="Patches worked on at once (on a graphics card at first, then as many as "
        "fit); few react quickly to Cancel",
        unit="patches",
        minimum=1,
        maximum=4096,
    )


@dataclass(frozen=True)
class PatchGrid:
    """Where the patches of a frame lie.

    The frame is mirrored outwards, so that every pixel is seen away from a patch's
    border. Patches are blended with a raised-cosine window, divided by the sum of the
    windows: patches that agree are reproduced exactly, for any stride.

    Attributes
    ----------
    shape : (int, int)
        Of the frame (Z, X).
    size, stride : int
        Side of a patch and distance between neighbours, in pixels.
    """

    shape: tuple[int, int]
    size: int
    stride: int

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.size:
            raise ValueError(f"stride must lie in 1..{self.size}, got {self.stride}")

    @property
    def _margin(self) -> int:
        return self.size - self.stride

    @property
    def counts(self) -> tuple[int, int]:
        """Number of patches along each axis."""
        rows, columns = (
            1 + max(0, -(-(n + 2 * self._margin - self.size) // self.stride))
            for n in self.shape
        )
        return rows, columns

    def __len__(self) -> int:
        rows, columns = self.counts
        return rows * columns

    def _padding(self) -> list[tuple[int, int]]:
        padding = []
        for n, count in zip(self.shape, self.counts, strict=True):
            total = self.size + (count - 1) * self.stride
            padding.append((self._margin, total - n - self._margin))
        return padding

    def padded(self, frame: Frame) -> Frame:
        """Mirror a frame (Z, X) outwards, as far as its patches reach."""
        return np.pad(frame, self._padding(), mode="symmetric")

    def corners(self) -> npt.NDArray[np.intp]:
        """First row and column of each patch in the padded frame, shape (N, 2)."""
        rows, columns = self.counts
        return self.stride * np.argwhere(np.ones((rows, columns)))

    def windows(self, frame: Frame) -> Frame:
        """See a frame (Z, X) as its patches (rows, columns, S, S), without a copy."""
        windows = np.lib.stride_tricks.sliding_window_view(
            self.padded(frame), (self.size,) * 2
        )
        return windows[:: self.stride, :: self.stride]

    def pick(self, windows: Frame, indices: npt.NDArray[np.intp]) -> Frame:
        """Copy some patches, by their place in the grid's order: (N, S, S)."""
        return windows[np.unravel_index(indices, self.counts)]

    def batches(self, frame: Frame, count: int) -> Iterator[Frame]:
        """Cut a frame (Z, X) into patches, ``count`` at a time: (count, S, S)."""
        windows = self.windows(frame)
        for start in range(0, len(self), count):
            yield self.pick(windows, np.arange(start, min(start + count, len(self))))


class Blend:
    """Puts the patches of a grid together, in the grid's order.

    Parameters
    ----------
    grid : PatchGrid
    """

    def __init__(self, grid: PatchGrid) -> None:
        padded = [n + sum(p) for n, p in zip(grid.shape, grid._padding(), strict=True)]
        self._grid, self._done = grid, 0
        self._total, self._weight = np.zeros(padded), np.zeros(padded)
        ramp = np.sin(np.pi * (np.arange(grid.size) + 0.5) / grid.size) ** 2
        self._window = np.outer(ramp, ramp)

    def add(self, patches: Frame) -> None:
        """Blend in the next patches, shape (N, S, S)."""
        size, stride, columns = self._grid.size, self._grid.stride, self._grid.counts[1]
        for patch in patches:
            r, c = (k * stride for k in divmod(self._done, columns))
            where = np.s_[r : r + size, c : c + size]
            self._total[where] += self._window * patch
            self._weight[where] += self._window
            self._done += 1

    def frame(self) -> Frame:
        """Return the frame (Z, X) once every patch was added."""
        (top, _), (left, _) = self._grid._padding()
        z, x = self._grid.shape
        inside = np.s_[top : top + z, left : left + x]
        return np.asarray(self._total[inside] / self._weight[inside], np.float32)
