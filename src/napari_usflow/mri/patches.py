"""Patches of MRI slices: where they are taken, and how.

Positions are drawn with a probability that grows with the Tenengrad focus measure (mean
squared Sobel gradient over the patch; van de Schaft & van Sloun, arXiv:2112.13110,
Eq. 7, to a power), so that the flow sees more edges and texture
than background; a small share of patches is uniform, since ultrasound has regions
without any structure. Slices stay on disk (:mod:`.slices`); what is kept in memory is
a table of eight bytes for 4096 pixels.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import result_of
from napari_usflow.mri.patch_config import PatchConfig
from napari_usflow.mri.resampling import resample_slices, tenengrad
from napari_usflow.mri.slice_store import BLOCK, STRIDE, SliceSet, SliceStore
from napari_usflow.mri.slices import Source, prepare_slices

__all__ = ["PatchConfig", "PatchSampler", "resample_slices", "tenengrad"]

# The constant beside the gradient keeps smooth tissue in the set: a tenth of the mean,
# which is to say that one position in eleven is drawn evenly.
_EVEN = 0.1 / 1.1
_AT_ONCE = 2048
Float = npt.NDArray[np.float32]


class PatchSampler:
    """Draws batches of clean patches from slices on disk.

    May be sent to other processes, which then map the same files.

    Parameters
    ----------
    source : SliceStore, or sequence of Path or MriStack
        Prepared slices; or a few volumes, which are prepared in a temporary folder
        that goes when the sampler does.
    config : PatchConfig
        How to draw; the slices must have been prepared with the same pixel.
    patch_size : int, optional
        Needed for volumes only.
    """

    def __init__(
        self,
        source: SliceStore | Sequence[Source],
        config: PatchConfig,
        patch_size: int | None = None,
    ) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if not isinstance(source, SliceStore):
            if patch_size is None:
                raise ValueError("volumes need a patch_size")
            self._folder = tempfile.TemporaryDirectory(prefix="usflow-slices-")
            source = result_of(
                prepare_slices(source, config, patch_size, Path(self._folder.name))
            )
        self.store, self.config, self.size = source, config, source.patch_size
        sets = source.sets
        shares = np.array([_share(entry, config) for entry in sets])
        if not shares.sum() > 0:
            raise ValueError(
                "no volume may be drawn; raise knee_weight or native_fraction"
            )
        self._shares = np.cumsum(shares / shares.sum())
        # A row for each set: everything that tells where a patch begins.
        self._start = np.array([entry.start for entry in sets])
        self._shape = np.array([entry.shape for entry in sets])
        self._grid = np.array([entry.grid(self.size) for entry in sets])
        self._first = np.array([entry.first_block for entry in sets])
        self._blocks = np.array([entry.blocks(self.size) for entry in sets])

    def __getstate__(self) -> dict[str, Any]:
        # The temporary folder stays the first process's.
        return {**self.__dict__, "_folder": None}

    @property
    def patches_per_epoch(self) -> float:
        """Number of patches with as many pixels as all slices together."""
        return sum(math.prod(entry.shape) for entry in self.store.sets) / self.size**2

    def draw(self, count: int, rng: np.random.Generator) -> Float:
        """Draw ``count`` clean patches, shape (count, 1, S, S), float32, in [0, 1]."""
        patches = np.empty((count, self.size, self.size), np.float32)
        for first in range(0, count, _AT_ONCE):
            part = slice(first, min(first + _AT_ONCE, count))
            patches[part] = self._cut(*self._positions(part.stop - part.start, rng))
        if self.config.turned:
            _turn(patches, rng)
        self._vary_contrast(patches, rng)
        uniform = rng.random(count) < self.config.uniform_fraction
        patches[uniform] = rng.uniform(0.0, 0.5, (int(uniform.sum()), 1, 1))
        return np.clip(patches, 0.0, 1.0, out=patches)[:, None]

    def _positions(
        self, count: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Draw the index of the first pixel in the store, and the slice's width."""
        sums = self.store.sums
        sets = np.searchsorted(self._shares, rng.random(count), side="right")
        sets = np.minimum(sets, len(self._shares) - 1)
        first, blocks = self._first[sets], self._blocks[sets]
        slices, rows, columns = self._shape[sets].T
        positions = self._grid[sets].prod(axis=1)
        low, high = sums[first], sums[first + slices * blocks]
        # In two steps: the block in memory, then the position within it on disk.
        wanted = low + rng.random(count) * (high - low)
        block = np.searchsorted(sums, wanted, side="right") - 1
        block = np.clip(block, first, first + slices * blocks - 1)
        within = (wanted - sums[block]).astype(np.float32)
        place = (self.store.weights[block] <= within[:, None]).sum(axis=1)
        which, rest = np.divmod(block - first, blocks)
        place = rest * BLOCK + np.minimum(place, BLOCK - 1)
        # Sets without any gradient are drawn evenly throughout.
        even = (rng.random(count) < _EVEN) | (high <= low)
        anywhere = (rng.random(count) * slices * positions).astype(np.int64)
        which = np.where(even, anywhere // positions, which)
        place = np.where(even, anywhere % positions, np.minimum(place, positions - 1))
        row, column = np.divmod(place, self._grid[sets, 1])
        row, column = (
            np.minimum(STRIDE * p + rng.integers(STRIDE, size=count), n - self.size)
            for p, n in ((row, rows), (column, columns))
        )
        begin = self._start[sets] + (which * rows + row) * columns + column
        return begin, columns

    def _cut(
        self, begin: npt.NDArray[np.int64], width: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float16]:
        """Take the patches that begin at these pixels, from the mapped slices."""
        values = self.store.values
        # Every run of S pixels as one item of an array that shares the memory: numpy
        # copies an item of many bytes twice as fast as a row of many items.
        size = self.size
        runs = np.ndarray(
            (values.size - size + 1,), f"V{2 * size}", values, 0, values.strides
        )
        windows = runs[begin[:, None] + np.arange(size) * width[:, None]]
        return windows.view(np.float16).reshape(-1, size, size)

    def _vary_contrast(self, patches: Float, rng: np.random.Generator) -> None:
        # B-mode images are greyer than MRI: their tissue has less contrast on a higher
        # level.
        varied = np.flatnonzero(
            rng.random(len(patches)) < self.config.contrast_fraction
        )
        gain = rng.uniform(0.4, 1.1, (varied.size, 1, 1)).astype(np.float32)
        offset = rng.random((varied.size, 1, 1), dtype=np.float32) * np.maximum(
            1.0 - gain, 0.0
        )
        patches[varied] = gain * patches[varied] + offset


def _share(entry: SliceSet, config: PatchConfig) -> float:
    """Relative frequency with which a set is drawn, not normalised."""
    shown = (entry.anatomy or entry.name).lower()
    weight = config.knee_weight if "knee" in shown else 1.0
    native = config.native_fraction if entry.coarse else 0.0
    part = native if entry.native else 1.0 - native
    return float(weight * part * np.sqrt(entry.shape[0]))


def _turn(patches: Float, rng: np.random.Generator) -> None:
    """Rotate by quarters and mirror at random, in place."""
    turns = rng.integers(8, size=len(patches))
    for turn in range(1, 8):
        alike = turns == turn
        turned = np.rot90(patches[alike], turn % 4, axes=(1, 2))
        patches[alike] = turned[:, :, ::-1] if turn > 3 else turned
