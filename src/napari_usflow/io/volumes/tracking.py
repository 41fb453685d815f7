"""Time, status and transforms of each frame of a tracked sequence.

The PLUS toolkit and 3D Slicer write it into headers of MetaImage and NRRD files as
``Seq_Frame0012_ProbeToTrackerTransform``, 16 numbers row by row, and
``Seq_Frame0012_Timestamp`` in seconds.

Reference: https://pluslib.readthedocs.io/en/latest/file-formats/FileSequenceFile.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["Tracking"]

_FIELD = re.compile(r"Seq_Frame(\d{1,9})_(\w{1,200})", re.ASCII)
_TRANSFORM, _STATUS = "Transform", "TransformStatus"
_UNEVEN = 0.1
_MATRIX = 16


class Tracking:
    """The fields of the frames of a sequence.

    Parameters
    ----------
    fields : iterable of (str, str)
        Names and values of a header; those that belong to no frame are passed over.
    frames : int
        Number of frames; what is stated for others is left out.
    """

    def __init__(self, fields: Iterable[tuple[str, str]], frames: int) -> None:
        self._frames = frames
        self._transforms: dict[str, list[list[list[float]] | None]] = {}
        self._valid: dict[str, list[bool]] = {}
        self._times: list[float | None] = [None] * frames
        self.invalid_frames: list[int] = []
        for name, value in fields:
            match = _FIELD.fullmatch(name.strip())
            if match is not None and int(match[1]) < frames:
                self._add(int(match[1]), match[2], value.strip())

    def _add(self, frame: int, name: str, value: str) -> None:
        if name == "Timestamp":
            self._times[frame] = _number(value)
        elif name == "ImageStatus" and value != "OK":
            self.invalid_frames.append(frame)
        elif name.endswith(_STATUS):
            key = name.removesuffix(_STATUS)
            valid = self._valid.setdefault(key, [True] * self._frames)
            valid[frame] = value == "OK"
        elif name.endswith(_TRANSFORM):
            key = name.removesuffix(_TRANSFORM)
            stack = self._transforms.setdefault(key, [None] * self._frames)
            stack[frame] = _matrix(value)

    def __bool__(self) -> bool:
        return bool(self._transforms) or any(t is not None for t in self._times)

    @property
    def names(self) -> list[str]:
        """Names of the transforms, such as ``ProbeToTracker``."""
        return sorted(self._transforms)

    @property
    def metadata(self) -> dict[str, Any]:
        """Transforms and times for the metadata of an image.

        ``transforms`` has for each name a 4 x 4 matrix a frame (None where the header
        has none), ``transforms_valid`` whether the tracker saw the tool then.
        """
        noted: dict[str, Any] = {}
        if self._transforms:
            noted["transforms"] = dict(self._transforms)
            noted["transforms_valid"] = {
                name: self._valid.get(name, [True] * self._frames)
                for name in self._transforms
            }
        if any(time is not None for time in self._times):
            noted["timestamps_s"] = list(self._times)
        return noted

    def frame_interval_s(self, notes: list[str]) -> float | None:
        """Return the mean time between frames, where each has its time."""
        times = [time for time in self._times if time is not None]
        if len(times) < 2 or len(times) != self._frames:
            return None
        steps = np.diff(times)
        interval = float(np.mean(steps))
        if not 0 < interval < 1e6:
            return None
        if np.ptp(steps) > _UNEVEN * interval:
            notes.append(
                "frames are not evenly spaced in time; their mean step is given"
            )
        return interval

    def pixel_size_mm(self) -> tuple[tuple[float, float], str] | None:
        """Return the pixel size along x and y by a calibration, and its name.

        The transform from the picture to the probe has the size of a pixel as the
        length of its first two columns.
        """
        for name, stack in sorted(self._transforms.items()):
            first = next((matrix for matrix in stack if matrix is not None), None)
            if not name.startswith("ImageTo") or first is None:
                continue
            sizes = np.linalg.norm(np.asarray(first)[:3, :2], axis=0)
            if np.isfinite(sizes).all() and not np.allclose(sizes, 1.0):
                return (float(sizes[0]), float(sizes[1])), name
        return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _matrix(text: str) -> list[list[float]] | None:
    numbers = [_number(word) for word in text.split()[: _MATRIX + 1]]
    if len(numbers) != _MATRIX or any(number is None for number in numbers):
        return None
    rows: Any = [numbers[start : start + 4] for start in range(0, _MATRIX, 4)]
    return list(rows)
