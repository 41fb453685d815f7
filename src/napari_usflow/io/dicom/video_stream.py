"""Clips that a DICOM file holds as one MPEG stream instead of frame by frame.

The stream (MPEG-2, MPEG-4 AVC or HEVC, in an MP4 file or an MPEG program or transport
stream) stays in the file: ffmpeg is told at which bytes it lies.

Reference: DICOM PS3.5, 8.2.5 to 8.2.8 and A.4.
"""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.colour import luma
from napari_usflow.io.dicom.header import TIME_UNKNOWN, Header, reading
from napari_usflow.io.ffmpeg import Pieces, VideoFrames, look_at
from napari_usflow.io.guards.file_checks import FilePath, open_binary

__all__ = ["StreamFrames", "is_video_stream", "open_stream"]

_SYNTAXES = {f"1.2.840.10008.1.2.4.{end}" for end in range(100, 109)}
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_UNDEFINED = b"\xff\xff\xff\xff"
_ITEM, _END = 0xE000, 0xE0DD
_MOST_PIECES = 256
_PACKET = 188


def is_video_stream(header: Header) -> bool:
    """Return whether the frames are a video stream."""
    return str(header.dataset.file_meta.TransferSyntaxUID) in _SYNTAXES


class StreamFrames:
    """Reads frames of a stream by number; see :class:`.pixels.Frames`."""

    has_colours = True
    white = 255.0
    fills_its_bits = False

    def __init__(self, colours: VideoFrames) -> None:
        self._colours = colours

    def grey(self, index: int) -> npt.NDArray[np.float32]:
        """Give a frame as grey, shape (Z, X), 0 = black to 255."""
        return luma(self._colours(index))

    def colours(self, index: int) -> npt.NDArray[np.uint8]:
        """Give a frame in colour, shape (Z, X, 3), uint8."""
        return self._colours(index)


def open_stream(header: Header) -> tuple[Header, StreamFrames]:
    """Find the frames of the stream, whose number may differ from the stated one.

    Returns
    -------
    Header
        With the number of frames of the stream and, where the file states none, their
        interval.
    StreamFrames
        Its frames.

    Raises
    ------
    FileFormatError
        When the stream is damaged, in a container that is not read, or of another size
        than the header states.
    UsflowError
        When imageio-ffmpeg is missing.
    """
    with reading(header.path):
        pieces = _pieces(header.path)
    video = look_at(header.path.path, _demuxer(header.path, pieces), pieces)
    if video.shape != (header.rows, header.columns):
        raise FileFormatError(
            f"{header.path} declares {header.rows} x {header.columns} pixels; its "
            f"video has {video.shape[0]} x {video.shape[1]}"
        )
    count, notes = len(video.times_s), list(header.notes)
    if count != header.frames:
        notes.append(f"the video has {count} frames; {header.frames} are stated")
    interval = header.frame_interval_s
    if interval is None and count > 1:
        interval = float(np.mean(np.diff(video.times_s))) or None
        notes = [note for note in notes if note != TIME_UNKNOWN]
    frames = StreamFrames(VideoFrames(video, colours=True))
    return replace(header, frames=count, frame_interval_s=interval, notes=notes), frames


def _pieces(path: FilePath) -> Pieces:
    """Find the fragments of the Pixel Data element, without its offset table."""
    from pydicom import dcmread

    pieces: list[tuple[int, int]] = []
    with open_binary(path) as file:
        dcmread(file, stop_before_pixels=True, specific_tags=[])
        start = file.read(12)
        if start[:4] != _PIXEL_DATA or start[8:] != _UNDEFINED:
            raise FileFormatError(f"{path} holds no video stream")
        is_table = True
        while len(mark := file.read(8)) == 8:
            group, element, length = struct.unpack("<HHI", mark)
            at = file.tell()
            if (group, element) == (0xFFFE, _END):
                break
            if (group, element) != (0xFFFE, _ITEM) or len(pieces) >= _MOST_PIECES:
                raise FileFormatError(
                    f"{path} holds a video stream that is damaged, or in more than "
                    f"{_MOST_PIECES} pieces"
                )
            if not is_table and length:
                pieces.append((at, at + length))
            is_table = False
            file.seek(at + length)
        end = file.seek(0, 2)
    if not pieces or pieces[-1][1] > end:
        raise FileFormatError(f"{path} is cut short: its video stream does not end")
    return tuple(pieces)


def _demuxer(path: FilePath, pieces: Pieces) -> str:
    first, end = pieces[0]
    with open_binary(path) as file:
        file.seek(first)
        start = file.read(min(end - first, 2 * _PACKET))
    if start[4:8] == b"ftyp":
        return "mov"
    if start[:4] == b"\0\0\1\xba":
        return "mpeg"
    if start[:1] == start[_PACKET : _PACKET + 1] == b"G":
        return "mpegts"
    raise FileFormatError(
        f"{path} holds a video that is neither MP4 nor an MPEG program or transport "
        f"stream (it starts with {start[:8].hex(' ')}); export the clip as MP4"
    )
