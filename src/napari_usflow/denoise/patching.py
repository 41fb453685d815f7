"""A frame as overlapping patches, and back without seams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_usflow.denoise.contract import Frame

__all__ = ["PatchGrid"]


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

    def _padding(self) -> list[tuple[int, int]]:
        padding = []
        for n, count in zip(self.shape, self.counts, strict=True):
            total = self.size + (count - 1) * self.stride
            padding.append((self._margin, total - n - self._margin))
        return padding

    def split(self, frame: Frame) -> Frame:
        """Cut a frame (Z, X) into patches (N, S, S)."""
        padded = np.pad(frame, self._padding(), mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (self.size,) * 2)
        patches = windows[:: self.stride, :: self.stride]
        return patches.reshape(-1, self.size, self.size).copy()

    def merge(self, patches: Frame) -> Frame:
        """Blend patches (N, S, S) into a frame (Z, X)."""
        padding, columns = self._padding(), self.counts[1]
        padded = [n + sum(p) for n, p in zip(self.shape, padding, strict=True)]
        total, weight = np.zeros(padded), np.zeros(padded)
        window = self._window()
        for i, patch in enumerate(patches):
            r, c = (k * self.stride for k in divmod(i, columns))
            where = np.s_[r : r + self.size, c : c + self.size]
            total[where] += window * patch
            weight[where] += window
        (top, _), (left, _) = padding
        inside = np.s_[top : top + self.shape[0], left : left + self.shape[1]]
        return np.asarray(total[inside] / weight[inside], dtype=np.float32)

    def _window(self) -> npt.NDArray[np.float64]:
        ramp = np.sin(np.pi * (np.arange(self.size) + 0.5) / self.size) ** 2
        return np.outer(ramp, ramp)
