"""The numbers of an image in a zea file: read at once, or frame by frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import MAX_ARRAY_BYTES, find_dataset, open_hdf5
from napari_usflow.ultrasound.bmode import SILENCE_DB, envelope, log_compress
from napari_usflow.ultrasound.data import ArrayLike, Values
from napari_usflow.ultrasound.lazy_frames import MAX_FRAMES, lazy_stack

__all__ = ["Numbers"]

_FINISHED = ("image", "image_sc")


@dataclass(frozen=True)
class Numbers:
    """An array of frames in a file, and what is made of it.

    Attributes
    ----------
    path : path
        The file; it is opened for each frame of a lazy stack, and closed again.
    name : str
        The dataset, from the root of the file.
    kind : str
        Which of zea's images it is, such as ``envelope_data``.
    keep_envelope : bool
        Leave an envelope as it is.
    offset_db : float
        Added to decibels.
    reference : float, optional
        Amplitude that becomes 0 dB; the maximum when omitted.
    """

    path: FilePath
    name: str
    kind: str
    keep_envelope: bool
    offset_db: float
    reference: float | None = None

    def values(self, file: h5py.File) -> Values:
        """Return what the numbers are when they have been read."""
        if self.kind in _FINISHED:
            return "display" if self._dataset(file).dtype == np.uint8 else "db"
        is_envelope = self.kind == "envelope_data" and self.keep_envelope
        return "envelope" if is_envelope else "db"

    def shape(self, file: h5py.File) -> tuple[int, int, int]:
        """Return (frames, axial, lateral)."""
        frames, axial, lateral = self._dataset(file).shape[:3]
        return int(frames), int(axial), int(lateral)

    def stack(self, file: h5py.File, notes: list[str]) -> ArrayLike:
        """Read all frames, or give a lazy stack where they are too many for that.

        Raises
        ------
        FileFormatError
            When they are no frames, or hold what is no image; of a lazy stack the
            first frame is looked at.
        """
        dataset, shape = self._dataset(file), self.shape(file)
        parts = math.prod(dataset.shape[3:])
        if 4 * math.prod(shape) * parts <= MAX_ARRAY_BYTES:
            return self._converted(dataset, np.asarray(dataset[()], np.float32))
        one = 4 * math.prod(shape[1:]) * parts
        if one > MAX_ARRAY_BYTES or shape[0] > MAX_FRAMES:
            raise FileFormatError(
                f"{file.filename}, {dataset.name} has shape {dataset.shape}; "
                f"{MAX_FRAMES} frames of at most {size_text(MAX_ARRAY_BYTES)} are read"
            )
        first = np.asarray(dataset[:1], np.float32)
        self._check(dataset, first)
        reading = self
        if self.kind not in _FINISHED and self.values(file) == "db":
            peak = float(_amplitude(first).max())
            reading = replace(self, reference=peak or 1.0)
            notes.append("0 dB is the maximum of the first frame")
        return lazy_stack(reading.frame, shape)

    def frame(self, index: int) -> npt.NDArray[np.float32]:
        """Read one frame (axial, lateral) of the file."""
        with open_hdf5(self.path) as file:
            dataset = self._dataset(file)
            numbers = np.asarray(dataset[index : index + 1], np.float32)
            converted: npt.NDArray[np.float32] = self._converted(dataset, numbers)[0]
            return converted

    def _dataset(self, file: h5py.File) -> h5py.Dataset:
        dataset = find_dataset(file, self.name.lstrip("/"), ndim=(3, 4), max_bytes=None)
        if dataset.ndim == 4 and dataset.shape[3] not in (1, 2):
            raise FileFormatError(
                f"{file.filename}, {dataset.name} has shape {dataset.shape}; frames of "
                "two dimensions are read"
            )
        return dataset

    def _check(self, found: h5py.Dataset, numbers: npt.NDArray[Any]) -> None:
        place = f"{found.file.filename}, {found.name}"
        # Decibels are minus infinity where nothing came back, and NaN outside.
        is_finished = self.kind in _FINISHED
        if np.isposinf(numbers).any() or not (
            is_finished or np.isfinite(numbers).all()
        ):
            raise FileFormatError(f"{place} holds NaN or infinite values")

    def _converted(
        self, found: h5py.Dataset, numbers: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Make (frames, axial, lateral) of what was read."""
        self._check(found, numbers)
        values = self.values(found.file)
        if self.kind in _FINISHED:
            out = numbers[..., 0] if numbers.ndim == 4 else numbers
            silent = np.isneginf(out)
            if silent.any():
                rest = out[np.isfinite(out)]
                lowest = min(float(rest.min()), SILENCE_DB) if rest.size else SILENCE_DB
                out = np.where(silent, np.float32(lowest), out)
        elif values == "envelope":
            out = _amplitude(numbers)
        else:
            out = log_compress(_amplitude(numbers), self.reference)
        if values == "db" and math.isfinite(self.offset_db):
            out = out + np.float32(self.offset_db)
        return np.ascontiguousarray(out, np.float32)


def _amplitude(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Envelope of IQ, or of RF where the last axis has one part; else the modulus."""
    if numbers.ndim == 3:
        return np.abs(numbers)
    iq = numbers.shape[-1] == 2
    return envelope(numbers[..., 0] + 1j * numbers[..., 1] if iq else numbers[..., 0])
