"""Results of the benchmark: sizes, and a row for each method and size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["BenchScore", "BenchTest", "Size", "duration", "largest_clip", "two_digits"]

_LONGEST = 20_000


@dataclass(frozen=True, order=True)
class Size:
    """Size of a stack.

    Attributes
    ----------
    pixels : int
        Of all frames; sizes are ordered by it.
    frames, rows, columns : int
    """

    pixels: int
    frames: int
    rows: int
    columns: int

    @classmethod
    def of(cls, frames: int, rows: int, columns: int) -> Size:
        """Make a size; ValueError when it is none."""
        if not all(1 <= n <= _LONGEST for n in (frames, rows, columns)):
            raise ValueError(
                f"a size of {frames}x{rows}x{columns} is out of the limits; each "
                f"number must lie between 1 and {_LONGEST}"
            )
        if min(rows, columns) < 16:
            raise ValueError(
                f"frames of {rows}x{columns} pixels are too small to time; give at "
                "least 16x16"
            )
        return cls(frames * rows * columns, frames, rows, columns)

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``ROWSxCOLUMNS`` or ``FRAMESxROWSxCOLUMNS``."""
        if not re.fullmatch(r"\d{1,6}(x\d{1,6}){1,2}", text):
            raise ValueError(
                f"{text!r} is no size; write ROWSxCOLUMNS, or FRAMESxROWSxCOLUMNS for "
                "a clip, such as 384x384 or 200x96x96"
            )
        numbers = [int(part) for part in text.split("x")]
        frames, rows, columns = [1, *numbers][-3:]
        return cls.of(frames, rows, columns)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, rows, columns."""
        return self.frames, self.rows, self.columns

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        frame = f"{self.rows} × {self.columns}"
        return frame if self.frames == 1 else f"{self.frames} frames of {frame}"


@dataclass(frozen=True)
class BenchScore:
    """One method on one size: a line of the table. NaN is what was not measured.

    Attributes
    ----------
    method : str
    frames, rows, columns : int
        The size.
    workers : int
        Processes of a local dask cluster; 0 where it ran by itself.
    seconds : float
        Of the whole stack: the smallest time.
    frames_per_second : float
    times_nlm : float
        How many times the seconds of scikit-image's fast NLM on the same stack in the
        same run.
    added_mib : float
        How far the memory of a process of its own rose above what it had when all was
        loaded.
    peak_mib : float
        The most memory that process had: Python, libraries, weights and stack.
    gpu_mib : float
        The most memory that was allocated on a CUDA device.
    white_psnr_db, white_ssim : float
        On white noise of known strength; the same in all lines of a method.
    speckle_psnr_db, speckle_ssim : float
        On simulated speckle, with the offset of each result fitted.
    note : str
        Why something was not measured.
    """

    method: str
    frames: int
    rows: int
    columns: int
    workers: int
    seconds: float
    frames_per_second: float
    times_nlm: float
    added_mib: float
    peak_mib: float
    gpu_mib: float
    white_psnr_db: float
    white_ssim: float
    speckle_psnr_db: float
    speckle_ssim: float
    note: str = ""

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return self.method

    @property
    def size(self) -> Size:
        """The size, as one thing."""
        return Size.of(self.frames, self.rows, self.columns)

    @property
    def timed(self) -> bool:
        """Whether it ran at all."""
        return self.seconds == self.seconds


@dataclass(frozen=True)
class BenchTest:
    """Result of the benchmark.

    Attributes
    ----------
    scores : sequence of BenchScore
    machine : str
        What it ran on, and how, in one line.
    pictures : mapping of str to str
        What ``white`` and ``speckle`` quality was measured on.
    """

    scores: Sequence[BenchScore]
    machine: str
    pictures: Mapping[str, str]


def largest_clip(sizes: Sequence[Size]) -> Size | None:
    """Return the size with most frames, if one is a clip."""
    clips = [size for size in sizes if size.frames > 1]
    return max(clips, key=lambda size: size.frames, default=None)


def duration(seconds: float) -> str:
    """Format a time in milliseconds or seconds, with two or three digits."""
    if seconds < 0.1:
        return f"{1000 * seconds:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds:.0f} s"


def two_digits(number: float) -> str:
    """Write a number with two digits, or all before the point."""
    return f"{number:.2g}" if number < 99.5 else f"{number:.0f}"
