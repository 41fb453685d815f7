"""MP4: frames as they are shown, for a talk."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import UsflowError
from napari_usflow.io.outputs.contract import (
    Options,
    greys,
    square_pixels,
    stored,
    written,
)
from napari_usflow.jobs import Event
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["DEFAULT_FRAMES_PER_SECOND", "SUFFIXES", "check", "write"]

SUFFIXES = (".mp4",)

DEFAULT_FRAMES_PER_SECOND = 20.0
"""Where neither the image nor the caller says."""

_RATES = (1.0, 120.0)
_MAX_SIDE = 8192


def check(path: Path, image: UltrasoundImage) -> None:
    """Refuse what no player plays, and tell early that ffmpeg is missing."""
    _ffmpeg()
    if max(image.data.shape[1:]) > _MAX_SIDE:
        raise ValueError(
            f"{path}: frames of {image.data.shape[1]} x {image.data.shape[2]} pixels "
            f"are too large for a movie; at most {_MAX_SIDE} a side"
        )


def write(
    path: Path, image: UltrasoundImage, options: Options
) -> Generator[Event, None, None]:
    """Write H.264 in 8-bit grey levels, with square pixels.

    The rate is that of the acquisition, kept within 1 to 120 frames a second.
    """
    rate = options.frames_per_second
    if rate is None:
        interval = image.frame_interval_s
        rate = 1 / interval if interval else DEFAULT_FRAMES_PER_SECOND
        rate = float(np.clip(rate, *_RATES))
    encoder: _Encoder | None = None
    try:
        for index, frame in stored(image, options.token):
            grey = _even(square_pixels(greys(frame, image, options), image))
            if encoder is None:
                encoder = _Encoder(path, grey.shape, rate)
            encoder.put(grey)
            yield written(index, image)
        if encoder is not None:
            encoder.finish()
    finally:
        if encoder is not None:
            encoder.stop()


class _Encoder:
    """ffmpeg, which is handed raw frames; OSError with its last words when it fails."""

    def __init__(self, path: Path, shape: tuple[int, ...], rate: float) -> None:
        rows, columns = shape
        given = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{columns}x{rows}"]
        made = ["-an", "-c:v", "libx264", "-crf", "16", "-pix_fmt", "yuv420p"]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        self._process = subprocess.Popen(
            [
                _ffmpeg().get_ffmpeg_exe(),
                *("-nostdin", "-y", "-v", "error", *given, "-r", f"{rate:g}"),
                *("-i", "pipe:0", *made, "-movflags", "+faststart", str(path)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
        )
        self._input: Any = self._process.stdin

    def put(self, grey: npt.NDArray[np.uint8]) -> None:
        """Hand over a frame."""
        try:
            self._input.write(np.ascontiguousarray(grey).tobytes())
        except OSError as error:
            self._process.wait()
            raise OSError(f"ffmpeg says: {self._last_words()}") from error

    def finish(self) -> None:
        """Wait until the file is complete."""
        # What is still in the pipe is lost when ffmpeg has ended.
        with suppress(OSError):
            self._input.close()
        if self._process.wait() != 0:
            raise OSError(f"ffmpeg says: {self._last_words()}")

    def stop(self) -> None:
        """End it, whether it is done or not."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        with suppress(OSError):
            self._input.close()
        self._said.close()

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").splitlines()
        said = [line.strip() for line in lines if line.strip()]
        return said[-1][-300:] if said else "nothing; it was stopped"


def _ffmpeg() -> Any:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise UsflowError(
            "movies need ffmpeg: pip install 'napari-usflow[video]'"
        ) from error
    return imageio_ffmpeg


def _even(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Repeat the last row or column: H.264 wants even sides."""
    odd = [(0, size % 2) for size in grey.shape]
    return np.pad(grey, odd, mode="edge")
