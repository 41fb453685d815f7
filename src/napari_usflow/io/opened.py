"""Result of opening a file: images or channel data, and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.ultrasound.data import (
    ArrayLike,
    ChannelData,
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)

__all__ = ["Opened"]


@dataclass(frozen=True)
class Opened:
    """Images, or channel data and the pixels to beamform them on.

    A format fills in what its file holds. Where images and channel data come from
    (``source``, ``name`` and ``format`` of their metadata) is noted for it. Channel
    data, and stacks that are large, stay in the file until they are indexed.

    Attributes
    ----------
    images : sequence of UltrasoundImage
        Finished images; empty where there is nothing but channel data.
    channel_data : ChannelData, optional
        Raw signals, which :func:`napari_usflow.io.image_events` beamforms.
    grid : PixelGrid or PolarGrid, optional
        Pixels that the file, or a file beside it, states for the channel data; or the
        whole content of a file of pixel positions.
    grid_metadata : mapping
        Noted in the metadata of an image that is beamformed on ``grid``.
    colours : sequence of array or None
        Of each image the frames in colour, (frames, axial, lateral, 3), uint8, where
        colours mean flow; empty for a format without colours.
    phantom : object, optional
        The targets of a phantom file, a :class:`~napari_usflow.io.picmus.Phantom`.
    details : mapping
        What ``usflow info`` shows of the file beside its images or channel data.
    instead : str
        Of a file with neither: the whole error message, which says what to open.
    file : SourceFile, optional
        Which file it is; filled in by :mod:`napari_usflow.io`.
    kind : str
        What was opened; filled in where it is what was detected.
    """

    images: Sequence[UltrasoundImage] = ()
    channel_data: ChannelData | None = None
    grid: PixelGrid | PolarGrid | None = None
    grid_metadata: Mapping[str, Any] = field(default_factory=dict)
    colours: Sequence[ArrayLike | None] = ()
    phantom: object = None
    details: Mapping[str, Any] = field(default_factory=dict)
    instead: str = ""
    file: SourceFile | None = field(default=None, repr=False)
    kind: str = ""
