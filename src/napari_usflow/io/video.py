"""Clips in MP4, MOV, AVI, Matroska, WebM and Windows Media, read lazily by frame.

Frames are decoded by the ffmpeg of imageio's plugin.

A video does not say how large a pixel is, nor where the picture lies between text and
bars: ``metadata["pixel_size_known"]`` is False and the frames are whole. Values are
``display``, the luma of the video. A video in which colour Doppler is found is marked
as in :mod:`napari_usflow.io.dicom`.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from napari_usflow.errors import FileFormatError
from napari_usflow.io.colour import COLOUR_FLOW, shows_colour_flow
from napari_usflow.io.ffmpeg import Video, VideoFrames, look_at
from napari_usflow.io.guards.file_checks import SourceFile, regular_file
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import lazy_stack

__all__ = ["OPTIONS", "PATTERNS", "TITLE", "detect", "open_file"]

TITLE = "MP4, MOV, AVI, MKV, WebM and WMV clips"
OPTIONS = ("outline", "as_grey")
PATTERNS = ("*.mp4", "*.mov", "*.avi", "*.mkv", "*.webm", "*.wmv")

# The first atom of a QuickTime movie that is older than ftyp.
_QUICKTIME = (b"moov", b"wide")
_DEMUXERS = {"mp4": "mov", "avi": "avi", "matroska": "matroska", "wmv": "asf"}
_EBML = b"\x1a\x45\xdf\xa3"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_UNEVEN = 0.1


def detect(file: SourceFile) -> str | None:
    """Return ``mp4``, ``avi``, ``matroska`` or ``wmv`` by the first bytes."""
    start = file.start
    if start[4:8] == b"ftyp":
        # The same container carries pictures and sound alone.
        stills = (b"heic", b"heix", b"mif1", b"avif", b"M4A ")
        return None if start[8:12] in stills else "mp4"
    if start[4:8] in _QUICKTIME and int.from_bytes(start[:4], "big") >= 8:
        return "mp4"
    if start.startswith(_EBML) and re.search(rb"matroska|webm", start[:256]):
        return "matroska"
    if start.startswith(_ASF):
        return "wmv"
    return "avi" if start[:4] == b"RIFF" and start[8:12] == b"AVI " else None


def open_file(
    file: SourceFile, *, outline: bool = False, as_grey: bool = False
) -> Opened:
    """Open a clip as one lazy stack; for an outline, one frame of it is unpacked.

    Raises
    ------
    FileFormatError
        When the file is damaged or holds no video.
    UsflowError
        When imageio-ffmpeg is missing.
    """
    kind = detect(file)
    if kind is None:
        raise FileFormatError(f"{file} is no MP4, AVI, MKV, WebM or WMV video")
    video, notes = look_at(regular_file(file), _DEMUXERS[kind]), []
    steps = np.diff(video.times_s)
    interval = float(np.mean(steps)) if steps.size else 0.0
    if steps.size and np.ptp(steps) > _UNEVEN * interval:
        notes.append("frames are not evenly spaced in time; their mean step is given")
    notes.append("the whole frame is kept, with the text that may be burnt in")
    metadata: dict[str, Any] = {"pixel_size_known": False, "notes": notes}
    count, colours = len(video.times_s), None
    last = count - 1
    looked_at = {last // 2} if outline else {0, last // 2, last}
    if not as_grey and _shows_colour_flow(video, sorted(looked_at)):
        metadata["not_for_denoising"] = COLOUR_FLOW
        frames = VideoFrames(video, colours=True)
        colours = lazy_stack(frames, (count, *video.shape, 3), np.uint8)
    elif outline and count > 1 and not as_grey:
        notes.append("colour Doppler was looked for in one frame")
    image = UltrasoundImage(
        lazy_stack(VideoFrames(video), (count, *video.shape)),
        "display",
        PixelGrid(video.shape, (1.0, 1.0), (0.0, 0.0)),
        frame_interval_s=interval if interval > 0 else None,
        metadata=metadata,
    )
    return Opened([image], colours=[colours])


def _shows_colour_flow(video: Video, looked_at: list[int]) -> bool:
    colours = VideoFrames(video, colours=True)
    return any(shows_colour_flow(colours(i)) for i in looked_at)
