"""MP4 and AVI clips, read lazily by frame through imageio's ffmpeg plugin.

A video does not say how large a pixel is, nor where the picture lies between text and
bars: ``metadata["pixel_size_known"]`` is False and the frames are whole. Values are
``display``, the luma of the video. A video in which colour Doppler is found is marked
as in :mod:`napari_usflow.io.dicom`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_usflow.errors import FileFormatError
from napari_usflow.io.colour import COLOUR_FLOW, shows_colour_flow
from napari_usflow.io.ffmpeg import Video, VideoFrames, look_at
from napari_usflow.io.guards.file_checks import FilePath, regular_file, starting_bytes
from napari_usflow.ultrasound.data import ArrayLike, PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import lazy_stack

__all__ = ["IMAGE_KINDS", "describe", "read", "read_colours", "sniff"]

IMAGE_KINDS = frozenset({"mp4", "avi"})
"""What :func:`read` can turn into images."""

_DEMUXERS = {"mp4": "mov", "avi": "avi"}
_UNEVEN = 0.1


def sniff(path: FilePath) -> str | None:
    """Give ``mp4`` or ``avi`` by the first bytes of a file, else None."""
    try:
        start = starting_bytes(path, 12)
    except FileFormatError:
        return None
    if start[4:8] == b"ftyp":
        # The same container carries pictures and sound alone.
        stills = (b"heic", b"heix", b"mif1", b"avif", b"M4A ")
        return None if start[8:12] in stills else "mp4"
    return "avi" if start[:4] == b"RIFF" and start[8:12] == b"AVI " else None


def read(
    path: FilePath, *, angles: int | None = None, grid: PixelGrid | None = None
) -> list[UltrasoundImage]:
    """Read a clip as one lazy stack.

    Parameters
    ----------
    path : path
        An MP4 or AVI file.
    angles, grid
        Only raw data have these: must be None.

    Raises
    ------
    FileFormatError
        When the file is damaged or holds no video.
    UsflowError
        When imageio-ffmpeg is missing.
    """
    if angles is not None or grid is not None:
        raise ValueError(f"{path} is a video; angles and grid are for raw data")
    video, notes = _video(path), []
    steps = np.diff(video.times_s)
    interval = float(np.mean(steps)) if steps.size else 0.0
    if steps.size and np.ptp(steps) > _UNEVEN * interval:
        notes.append("frames are not evenly spaced in time; their mean step is given")
    notes.append("the whole frame is kept, with the text that may be burnt in")
    metadata: dict[str, Any] = {
        "source": str(path),
        "name": video.path.stem,
        "format": sniff(path),
        "pixel_size_known": False,
        "notes": notes,
    }
    if _shows_colour_flow(video):
        metadata["not_for_denoising"] = COLOUR_FLOW
    rows, columns = video.shape
    image = UltrasoundImage(
        lazy_stack(VideoFrames(video), (len(video.times_s), rows, columns)),
        "display",
        PixelGrid(video.shape, (1.0, 1.0), (0.0, 0.0)),
        frame_interval_s=interval if interval > 0 else None,
        metadata=metadata,
    )
    return [image]


def read_colours(path: FilePath) -> list[ArrayLike]:
    """Give the frames in colour, one array (frames, Z, X, 3), uint8, lazy."""
    video = _video(path)
    shape = (len(video.times_s), *video.shape, 3)
    return [lazy_stack(VideoFrames(video, colours=True), shape, np.uint8)]


def describe(path: FilePath) -> dict[str, Any]:
    """Summarise a video in plain values; a few of its frames are looked at."""
    (image,) = read(path)
    return {
        "kind": image.metadata["format"],
        "shape": list(image.data.shape),
        "axes": [image.frame_axis, "axial", "lateral"],
        "values": image.values,
        "pixels": list(image.grid.shape),
        "pixel_mm": None,
        "frame_interval_s": image.frame_interval_s,
        "not_for_denoising": image.metadata.get("not_for_denoising"),
        "notes": image.metadata["notes"],
    }


def _video(path: FilePath) -> Video:
    found = regular_file(path)
    kind = sniff(found)
    if kind is None:
        raise FileFormatError(f"{path} is neither an MP4 nor an AVI video")
    return look_at(found, _DEMUXERS[kind])


def _shows_colour_flow(video: Video) -> bool:
    colours, last = VideoFrames(video, colours=True), len(video.times_s) - 1
    return any(shows_colour_flow(colours(i)) for i in sorted({0, last // 2, last}))
