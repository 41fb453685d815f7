"""DICOM ultrasound: single images and clips, cropped to the 2-D picture.

Frames are the 8-bit grey of the scanner's screen, log-compressed; colours and
palettes become grey. Each calibrated 2-D region of the frame is one image, in
millimetres, so that text, ECG and bars around it are left out; a file that has none
is kept whole, of unknown pixel size. A clip is lazy: a frame is read when it is
looked at, and the file closed again.

Where frames show colour Doppler the images say so in ``metadata["not_for_denoising"]``
and are refused by the denoisers; ``Opened.colours`` holds them as they are.

Nothing of the header that names or describes a person is read.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.io.colour import COLOUR_FLOW, luma, shows_colour_flow
from napari_usflow.io.dicom.header import Header, detect, open_header
from napari_usflow.io.dicom.pixels import Frames
from napari_usflow.io.dicom.regions import Region, find_regions
from napari_usflow.io.dicom.video_stream import (
    StreamFrames,
    is_video_stream,
    open_stream,
)
from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.data import ArrayLike, PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import lazy_stack

__all__ = ["OPTIONS", "PATTERNS", "TITLE", "detect", "open_file"]

TITLE = "DICOM ultrasound"
OPTIONS = ("outline", "as_grey")
# Names without a suffix, such as IM_0001, have 4 to 12 characters.
PATTERNS = ("*.dcm", "*.dicom", "*.ima", *("[!.]" * n + "[0-9]" for n in range(3, 12)))

AnyFrames = Frames | StreamFrames

_LOOKED_AT = 5
_HALF_OF_16_BITS = 2**15


def open_file(
    file: SourceFile, *, outline: bool = False, as_grey: bool = False
) -> Opened:
    """Open the 2-D pictures of an image or a clip.

    Parameters
    ----------
    file : SourceFile
        A DICOM file.
    outline : bool
        Unpack one frame of a clip, the middle one, and no other.
    as_grey : bool
        Take no colours for flow.

    Returns
    -------
    Opened
        One image for each calibrated 2-D region, from left to right, values
        ``display``; dask arrays of one chunk a frame where there is more than one.

    Raises
    ------
    FileFormatError
        When the file is damaged, or compressed in a way that nothing here decodes.
    UsflowError
        When pydicom is missing.
    """
    header = open_header(file)
    frames: AnyFrames
    if is_video_stream(header):
        header, frames = open_stream(header)
    else:
        frames = Frames(header)
    regions, notes = _regions(header)
    looked_at = _looked_at(header.frames, outline)
    stem = header.path.path.stem if len(regions) > 1 else ""
    images = [
        _image(
            header,
            frames,
            region,
            notes,
            looked_at,
            as_grey,
            name=stem and f"{stem} [picture {number}]",
        )
        for number, region in enumerate(regions, 1)
    ]
    return Opened(
        images,
        colours=[
            _colours(header, frames, region)
            if "not_for_denoising" in image.metadata
            else None
            for image, region in zip(images, regions, strict=True)
        ],
        details={"photometric": header.photometric, "compression": header.syntax},
    )


def _colours(header: Header, frames: AnyFrames, region: Region) -> ArrayLike:
    """Return a picture in colour, (frames, Z, X, 3), uint8; a clip is lazy."""
    if header.frames == 1:
        return _cropped_colours(frames, region, 0)[None]
    read_frame = partial(_cropped_colours, frames, region)
    return lazy_stack(read_frame, (header.frames, *region.shape, 3), np.uint8)


def _regions(header: Header) -> tuple[list[Region], list[str]]:
    regions, notes = find_regions(header.regions, header.rows, header.columns)
    spacing = header.spacing_mm
    if regions[0].spacing_mm is None and spacing is not None and min(spacing) > 0:
        regions = [Region(regions[0].box, spacing)]
        notes.append("the pixel size is PixelSpacing: no region states one")
    return regions, [*header.notes, *notes]


def _image(
    header: Header,
    frames: AnyFrames,
    region: Region,
    notes: list[str],
    looked_at: list[int],
    as_grey: bool,
    name: str,
) -> UltrasoundImage:
    known = region.spacing_mm is not None
    metadata: dict[str, Any] = {
        "pixel_size_known": known,
        "region": list(region.box),
        "notes": list(notes),
    }
    if name:
        metadata["name"] = name
    read_frame = partial(_cropped_grey, frames, region)
    data: Any
    if frames.has_colours:
        metadata["notes"].append("colours were turned into grey (BT.601 luma)")
        data = luma(_cropped_colours(frames, region, looked_at[0]))[None]
        if not as_grey and _shows_colour_flow(frames, region, looked_at):
            metadata["not_for_denoising"] = COLOUR_FLOW
        elif not as_grey and len(looked_at) < min(header.frames, _LOOKED_AT):
            metadata["notes"].append("colour Doppler was looked for in one frame")
    else:
        data = read_frame(looked_at[0])[None]
        if header.shown is not None and frames.white > 255:
            metadata["value_range"] = header.shown
        elif frames.fills_its_bits and data.max() < _HALF_OF_16_BITS:
            # Whoever writes 12 bits into 16 states 16.
            metadata["values_known"] = False
        elif frames.white != 255.0:
            metadata["value_range"] = (0.0, frames.white)
    if header.frames > 1:
        read_frame(looked_at[-1])
        data = lazy_stack(read_frame, (header.frames, *region.shape))
    return UltrasoundImage(
        data,
        "display",
        PixelGrid(
            region.shape, region.spacing_mm or (header.aspect, 1.0), region.origin_mm
        ),
        frame_interval_s=header.frame_interval_s,
        metadata=metadata,
    )


def _looked_at(count: int, outline: bool) -> list[int]:
    """Return which frames are read at once: what is wrong with a file shows.

    The first, the last, and some between: the colour box may come late in a clip.
    """
    if outline:
        return [count // 2]
    shares = np.linspace(0, 1, _LOOKED_AT)
    return sorted({round(share * (count - 1)) for share in shares})


def _shows_colour_flow(frames: AnyFrames, region: Region, looked_at: list[int]) -> bool:
    return any(
        shows_colour_flow(
            _cropped_colours(frames, region, index),
            is_stated_tissue=region.is_stated_tissue,
        )
        for index in looked_at
    )


def _cropped_grey(
    frames: AnyFrames, region: Region, index: int
) -> npt.NDArray[np.float32]:
    top, bottom, left, right = region.box
    return frames.grey(index)[top:bottom, left:right]


def _cropped_colours(
    frames: AnyFrames, region: Region, index: int
) -> npt.NDArray[np.uint8]:
    top, bottom, left, right = region.box
    return frames.colours(index)[top:bottom, left:right]
