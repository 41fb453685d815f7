"""Asking ffmpeg for the frames of a video file, by number.

The program comes with imageio's ffmpeg plugin. It is told which demuxer to use and to
read local files only, so that a file cannot send it anywhere else. A frame is found by
its own time stamp, which holds for videos of a varying frame rate too.
"""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.optional_packages import need_package
from napari_usflow.ultrasound.lazy_frames import LONGEST_STACK, check_frame_count

__all__ = ["Pieces", "Video", "VideoFrames", "look_at"]

Pieces = tuple[tuple[int, int], ...]

_LIMIT_S = 120.0
_MAX_PIXELS = 2**26
_MOST_ALLOCATED_BYTES = 2**29
_AHEAD = 8
_AHEAD_WITHOUT_INDEX = 256
_WITHOUT_INDEX = ("mpegts", "mpeg")
_AHEAD_BYTES = 2**26
_NO_TIME = 2.0**62


@dataclass(frozen=True)
class Video:
    """The video stream of a file.

    Attributes
    ----------
    path : Path
        The file.
    demuxer : str
        ffmpeg's name of its format.
    shape : (int, int)
        Rows and columns of a frame.
    times_s : ndarray, shape (frames,), float64
        When each frame is shown, rising.
    pieces : sequence of (int, int)
        First byte and end of each piece of the file that the video is in; all of the
        file when empty.
    """

    path: Path
    demuxer: str
    shape: tuple[int, int]
    times_s: npt.NDArray[np.float64]
    pieces: Pieces = ()


def look_at(path: Path, demuxer: str, pieces: Pieces = ()) -> Video:
    """Find the frames of a video file without decoding them.

    Parameters
    ----------
    path : Path
        The file.
    demuxer, pieces
        As of :class:`Video`.

    Raises
    ------
    FileFormatError
        When it has no video stream, is damaged, or declares something absurd.
    UsflowError
        When imageio-ffmpeg is missing.
    """
    most = ["-frames:v", str(LONGEST_STACK + 1)]
    source = _Source(path, demuxer, pieces)
    header, packets = _listing(source, ["-c", "copy", *most])
    check_frame_count(path, len(packets))
    try:
        ticks, base = (int(n) for n in header["tb"].split("/"))
        columns, rows = (int(n) for n in header["dimensions"].split("x"))
        step_s = ticks / base
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise FileFormatError(f"{path} has no video that can be read") from error
    if not (len(packets) and 0 < rows * columns <= _MAX_PIXELS):
        raise FileFormatError(
            f"{path} declares {len(packets)} frames of {rows} x {columns} pixels"
        )
    decoded, shown = packets.T
    if np.abs(shown).max() > _NO_TIME:
        # AVI says only when a frame is to be decoded; the decoder delays them all.
        _, first = _listing(source, ["-frames:v", "1"])
        if not len(first) or np.abs([*decoded, first[0, 1]]).max() > _NO_TIME:
            raise FileFormatError(f"{path} does not say when its frames are shown")
        shown = decoded - decoded.min() + first[0, 1]
    times_s = np.sort(shown) * step_s
    return Video(path, demuxer, (rows, columns), times_s, pieces)


@dataclass(frozen=True)
class _Source:
    """Input arguments of ffmpeg."""

    path: Path
    demuxer: str
    pieces: Pieces

    @property
    def protocols(self) -> str:
        return "file,subfile,concat" if self.pieces else "file"

    @property
    def address(self) -> str:
        if not self.pieces:
            return f"file:{self.path}"
        if "|" in str(self.path):
            raise FileFormatError(
                f"{self.path} holds a video in pieces, which ffmpeg cannot open in "
                "a path with '|'; rename it"
            )
        parts = [
            f"subfile,,start,{start},end,{end},,:file:{self.path.absolute()}"
            for start, end in self.pieces
        ]
        return parts[0] if len(parts) == 1 else "concat:" + "|".join(parts)


def _listing(
    source: _Source, how: list[str]
) -> tuple[dict[str, str], npt.NDArray[np.float64]]:
    """List frames: the stream's properties, and when each is decoded and shown."""
    raw = _ffmpeg(source, [], ["-map", "0:v:0", *how, "-f", "framecrc"])
    lines = raw.decode("ascii", "replace").splitlines()
    header = dict(
        line[1:].split(" 0: ", 1)
        for line in lines
        if line.startswith("#") and " 0: " in line
    )
    times = [line.split(",")[1:3] for line in lines if not line.startswith("#")]
    try:
        packets = np.array([[int(n) for n in pair] for pair in times], np.float64)
    except ValueError as error:
        raise FileFormatError(f"{source.path} has no video that can be read") from error
    return header, packets.reshape(-1, 2)


class VideoFrames:
    """Reads frames by number, a few ahead, and keeps no file open.

    Parameters
    ----------
    video : Video
        What to read.
    colours : bool
        Give red, green and blue instead of grey.
    """

    def __init__(self, video: Video, *, colours: bool = False) -> None:
        self._video = video
        self._shape = (*video.shape, 3) if colours else video.shape
        self._format = "rgb24" if colours else "gray"
        size = int(np.prod(self._shape))
        most = _AHEAD_WITHOUT_INDEX if video.demuxer in _WITHOUT_INDEX else _AHEAD
        self._ahead = max(1, min(most, _AHEAD_BYTES // size))
        self._first = 0
        self._read = np.empty((0, *self._shape), np.uint8)
        self._lock = threading.Lock()

    def __call__(self, index: int) -> npt.NDArray[np.uint8]:
        """Return one frame, shape (Z, X) or (Z, X, 3), uint8."""
        with self._lock:
            if not 0 <= index - self._first < len(self._read):
                self._read, self._first = self._block(index), index
            frame: npt.NDArray[np.uint8] = self._read[index - self._first]
            return frame

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return _again, (self._video, self._format == "rgb24")

    def _block(self, index: int) -> npt.NDArray[np.uint8]:
        times, path = self._video.times_s, self._video.path
        count = min(self._ahead, len(times) - index)
        seek = []
        if index:
            # After the frame before, and nearer to this one, whatever is rounded.
            time_s = times[index] - 0.25 * (times[index] - times[index - 1])
            seek = ["-ss", f"{time_s:.6f}"]
        what = ["-map", "0:v:0", "-frames:v", str(count), "-fps_mode", "passthrough"]
        what += ["-pix_fmt", self._format, "-f", "rawvideo"]
        video = self._video
        source = _Source(path, video.demuxer, video.pieces)
        if video.demuxer in _WITHOUT_INDEX:
            # There a jump lands beside the frame; all before it is decoded instead.
            raw = _ffmpeg(source, [], [*seek, *what])
        else:
            raw = _ffmpeg(source, seek, what)
        size = int(np.prod(self._shape))
        if len(raw) < size:
            raise FileFormatError(
                f"{path} is damaged: frame {index} of {len(times)} cannot be decoded"
            )
        whole = len(raw) // size
        pixels = np.frombuffer(raw, np.uint8, whole * size)
        return pixels.reshape(whole, *self._shape)


def _again(video: Video, colours: bool) -> VideoFrames:
    return VideoFrames(video, colours=colours)


def _ffmpeg(source: _Source, before: list[str], after: list[str]) -> bytes:
    path = source.path
    package = need_package("imageio_ffmpeg", path, "video", extra="video")
    command = [package.get_ffmpeg_exe(), "-v", "error", "-nostdin"]
    command += ["-max_alloc", str(_MOST_ALLOCATED_BYTES)]
    # A turned picture would have other dimensions than the stream states.
    command += ["-protocol_whitelist", source.protocols, "-noautorotate"]
    command += ["-f", source.demuxer]
    # No decoder makes room for more than the largest frame.
    command += ["-max_pixels", str(_MAX_PIXELS)]
    try:
        done = subprocess.run(
            [*command, *before, "-i", source.address, *after, "pipe:1"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FileFormatError(
            f"{path}: ffmpeg did not come to an end within {_LIMIT_S:g} s"
        ) from error
    if done.returncode and not done.stdout:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1][:200] if lines else "no reason given"
        raise FileFormatError(f"{path} is a damaged video: {reason}")
    return done.stdout
