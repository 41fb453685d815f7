"""Training slices on disk, as patches are drawn from them.

A folder of four files, which any number of processes may map at once:

``slices.f16``
    All slices at the prior's pixel, float16, one after the other.
``weights.f32``
    For every fourth pixel where a patch may begin, in rows: the Tenengrad measure of
    the patch to the power that was asked for, summed up within blocks of ``BLOCK``.
    Each slice begins a new block.
``blocks.f64``
    The sum of each block. Of all files this alone is kept in memory: eight bytes for
    ``16 * BLOCK`` pixels.
``index.json``
    What lies where, and the fingerprint of what it was made from. It is written last:
    without it the others mean nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import PriorError
from napari_usflow.files import write_beside
from napari_usflow.io.guards.file_checks import regular_file

__all__ = [
    "BLOCK",
    "INDEX",
    "SLICES",
    "STRIDE",
    "TABLES",
    "SliceSet",
    "SliceStore",
    "sizes",
]

STRIDE = 4
"""Distance of the positions that have a weight, in pixels."""

BLOCK = 256
"""Positions a block."""

SLICES = "slices.f16"
TABLES = ("weights.f32", "blocks.f64")
INDEX = "index.json"
_FORMAT = 2


@dataclass(frozen=True)
class SliceSet:
    """The slices of a volume at one pixel.

    Attributes
    ----------
    name : str
        The volume's.
    anatomy : str
        What the volume's file says that it shows; empty where it does not.
    shape : (int, int, int)
        Slices, rows, columns, each at least one patch large.
    native : bool
        Kept at the scanner's pixel, as if that were the prior's.
    coarse : bool
        The scanner's pixel is coarser than the prior's; there is a native set too,
        unless none was asked for.
    own_noise : float
        Standard deviation of the volume's own noise in these slices, as a fraction of
        the tissue's range; before cleaning, where that was asked for.
    start : int
        Where its first value is in ``slices.f16``, in values.
    first_block : int
        Its first block of weights.
    """

    name: str
    anatomy: str
    shape: tuple[int, int, int]
    native: bool
    coarse: bool
    own_noise: float
    start: int
    first_block: int

    def grid(self, patch_size: int) -> tuple[int, int]:
        """Rows and columns of the positions of a slice."""
        rows, columns = ((n - patch_size) // STRIDE + 1 for n in self.shape[1:])
        return rows, columns

    def blocks(self, patch_size: int) -> int:
        """Blocks of a slice."""
        return -(-math.prod(self.grid(patch_size)) // BLOCK)


@dataclass(frozen=True)
class SliceStore:
    """An open folder of training slices; mapped when first used, in each process."""

    folder: Path
    fingerprint: str
    patch_size: int
    sets: tuple[SliceSet, ...]
    left_out: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: Path) -> SliceStore:
        """Open a folder that :func:`~.slices.prepare_slices` has filled.

        Raises
        ------
        PriorError
            When it holds no slices, or not all of them.
        """
        try:
            index: dict[str, Any] = json.loads(
                regular_file(folder / INDEX).read_text(encoding="utf-8")
            )
            if index["format"] != _FORMAT:
                raise ValueError(f"its format is {index['format']}")
            store = cls(
                folder,
                str(index["fingerprint"]),
                int(index["patch_size"]),
                tuple(
                    SliceSet(**{**entry, "shape": tuple(map(int, entry["shape"]))})
                    for entry in index["sets"]
                ),
                tuple(index["left_out"]),
            )
            for name, size in store.sizes().items():
                if (folder / name).stat().st_size != size:
                    raise ValueError(f"{name} is not {size} bytes long")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise PriorError(
                f"{folder} holds no prepared training slices ({error})"
            ) from error
        return store

    def write_index(self) -> None:
        """Write what makes the folder valid."""
        index = {
            "format": _FORMAT,
            "fingerprint": self.fingerprint,
            "patch_size": self.patch_size,
            "sets": [asdict(entry) for entry in self.sets],
            "left_out": self.left_out,
        }
        with write_beside(self.folder / INDEX) as beside:
            beside.write_text(json.dumps(index, indent=1), encoding="utf-8")

    def sizes(self) -> dict[str, int]:
        """Length of each binary file, in bytes."""
        return sizes(self.sets, self.patch_size)

    @cached_property
    def values(self) -> npt.NDArray[np.float16]:
        """All slices one after the other, mapped."""
        return self._map(SLICES, np.float16)

    @cached_property
    def weights(self) -> npt.NDArray[np.float32]:
        """Sums within each block, shape (blocks, BLOCK), mapped."""
        return self._map(TABLES[0], np.float32).reshape(-1, BLOCK)

    @cached_property
    def sums(self) -> npt.NDArray[np.float64]:
        """Sum of all blocks before each, shape (blocks + 1,)."""
        blocks = np.fromfile(self.folder / TABLES[1], np.float64)
        return np.concatenate([[0.0], np.cumsum(blocks)])

    def _map(self, name: str, dtype: Any) -> npt.NDArray[Any]:
        # A plain view of the map: numpy's own class makes every index slower.
        return np.asarray(np.memmap(self.folder / name, dtype, mode="r"))

    def __getstate__(self) -> dict[str, Any]:
        # A process that is given the store maps the files itself.
        mapped = {"values", "weights", "sums"}
        return {k: v for k, v in self.__dict__.items() if k not in mapped}


def sizes(sets: Sequence[SliceSet], patch_size: int) -> dict[str, int]:
    """Length of each binary file of a store of these sets, in bytes."""
    blocks = sum(entry.shape[0] * entry.blocks(patch_size) for entry in sets)
    return {
        SLICES: 2 * sum(math.prod(entry.shape) for entry in sets),
        TABLES[0]: 4 * BLOCK * blocks,
        TABLES[1]: 8 * blocks,
    }
