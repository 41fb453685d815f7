"""Writing a folder of training slices, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import JobError, size_text
from napari_usflow.mri.resampling import tenengrad
from napari_usflow.mri.slice_store import (
    BLOCK,
    INDEX,
    SLICES,
    STRIDE,
    TABLES,
    SliceSet,
    SliceStore,
    sizes,
)

__all__ = ["SliceWriter", "make_room"]

_TEMPORARY = ".preparing-"
Float = npt.NDArray[np.float32]


def make_room(folder: Path, sets: Sequence[SliceSet], patch_size: int) -> int:
    """Make the folder, drop what an earlier preparation left in it, look for room.

    Returns
    -------
    int
        Bytes that the sets take.

    Raises
    ------
    JobError
        When the folder cannot be made, or the disk has less free than the sets take.
    """
    needed = sum(sizes(sets, patch_size).values())
    with _explained(folder, needed):
        folder.mkdir(parents=True, exist_ok=True)
        # The index first: without it the rest means nothing.
        for name in (INDEX, SLICES, *TABLES):
            (folder / name).unlink(missing_ok=True)
        for left in folder.glob(f"{_TEMPORARY}*"):
            left.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise JobError(
            f"{folder}: the training slices need {size_text(needed)} on disk and "
            f"{size_text(free)} are free; free some, or choose another run folder"
        )
    return needed


class SliceWriter:
    """Writes slices under temporary names; :meth:`finish` gives them their own.

    Leaving its context without :meth:`finish` deletes what was written.

    Parameters
    ----------
    folder : Path
        There already, with no slices in it.
    patch_size : int
    needed : int
        Bytes it will take in all, for messages.
    tenengrad_power : float
        Power of the Tenengrad measure that positions are weighted by.

    Raises
    ------
    JobError
        From every method, when the disk becomes full or fails.
    """

    def __init__(
        self,
        folder: Path,
        patch_size: int,
        needed: int,
        *,
        tenengrad_power: float = 0.5,
    ) -> None:
        self.folder, self.patch_size, self._needed = folder, patch_size, needed
        self._power = tenengrad_power
        self.sets: list[SliceSet] = []
        self._blocks: list[npt.NDArray[np.float64]] = []
        self._present: list[tuple[SliceSet, npt.NDArray[np.float64]]] = []
        self._files: dict[str, IO[bytes]] = {}
        self._temporary: dict[str, Path] = {}

    def __enter__(self) -> SliceWriter:
        with _explained(self.folder, self._needed):
            for name in (SLICES, *TABLES):
                handle, path = tempfile.mkstemp(
                    prefix=_TEMPORARY, suffix=f"-{name}", dir=self.folder
                )
                self._files[name] = os.fdopen(handle, "w+b")
                self._temporary[name] = Path(path)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            # What is still to be flushed may not fit either; it is deleted below.
            try:
                file.close()
            except OSError:
                continue
        for path in self._temporary.values():
            path.unlink(missing_ok=True)

    def begin(self, sets: Sequence[SliceSet]) -> None:
        """Announce the sets of the next volume, whose slices come in any order."""
        self._present = []
        for entry in sets:
            written = sizes(self.sets, self.patch_size)
            placed = replace(
                entry,
                start=written[SLICES] // 2,
                first_block=written[TABLES[1]] // 8,
            )
            blocks = np.zeros((entry.shape[0], entry.blocks(self.patch_size)))
            self.sets.append(placed)
            self._blocks.append(blocks)
            self._present.append((placed, blocks))

    def add(self, which: int, index: int, image: Float) -> None:
        """Write one slice (rows, columns) of one of the sets just begun."""
        entry, blocks = self._present[which]
        if image.shape != entry.shape[1:]:
            raise ValueError(f"a slice {image.shape} in a set of {entry.shape}")
        weights = np.cumsum(self._weights(entry, image), axis=1)
        blocks[index] = weights[:, -1]
        with _explained(self.folder, self._needed):
            place = 2 * (entry.start + index * image.size)
            self._write(SLICES, place, image.astype(np.float16))
            place = 4 * BLOCK * (entry.first_block + index * len(weights))
            self._write(TABLES[0], place, weights.astype(np.float32))

    def _weights(self, entry: SliceSet, image: Float) -> npt.NDArray[np.float64]:
        """Return the weight of each position's patch, shape (blocks, BLOCK)."""
        rows, columns = entry.grid(self.patch_size)
        half = self.patch_size // 2
        energy = tenengrad(image, self.patch_size)[half::STRIDE, half::STRIDE]
        # The energy itself draws little but the skin, its root more of the inside.
        weight = np.power(np.maximum(energy[:rows, :columns], 0.0), self._power).ravel()
        padded = np.zeros(entry.blocks(self.patch_size) * BLOCK)
        padded[: weight.size] = weight
        return padded.reshape(-1, BLOCK)

    def _write(self, name: str, place: int, values: npt.NDArray[Any]) -> None:
        file = self._files[name]
        file.seek(place)
        file.write(np.ascontiguousarray(values).data)

    def finish(self, fingerprint: str, left_out: Sequence[str]) -> SliceStore:
        """Return the files their names, the index last, and open them."""
        with _explained(self.folder, self._needed):
            self._write(TABLES[1], 0, np.concatenate([b.ravel() for b in self._blocks]))
            for name, file in self._files.items():
                file.flush()
                os.fsync(file.fileno())
                file.close()
                os.replace(self._temporary[name], self.folder / name)
            store = SliceStore(
                self.folder,
                fingerprint,
                self.patch_size,
                tuple(self.sets),
                tuple(left_out),
            )
            store.write_index()
        return SliceStore.open(self.folder)


@contextmanager
def _explained(folder: Path, needed: int) -> Iterator[None]:
    """Turn a failing disk into one error that says where and how much."""
    try:
        yield
    except OSError as error:
        raise JobError(
            f"{folder}: the training slices cannot be written "
            f"({error.strerror or error}; {size_text(needed)} are needed "
            "in all). Nothing was kept; free some space, or choose another run folder"
        ) from error
