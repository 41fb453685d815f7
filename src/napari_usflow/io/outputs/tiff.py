"""TIFF for ImageJ and OME-TIFF: the values with pixel size and frame time.

Both hold float32. A property of the ImageJ kind, and the description of an OME-TIFF's
image, say what the numbers are and where they came from.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.io.outputs.contract import (
    Frame,
    Options,
    has_pixel_size,
    stored,
    written,
)
from napari_usflow.io.outputs.frame_queue import supply_frames
from napari_usflow.io.outputs.usflow_metadata import RANGE_KEY, VALUES_KEY, pack_notes
from napari_usflow.jobs import Event
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["ImageJTiff", "OmeTiff"]

# Neither the classic TIFF nor ImageJ can address more than 4 GiB.
_MAX_CLASSIC_BYTES = 2**32 - 2**25


class OmeTiff:
    """OME-TIFF: what other programs read too, units included."""

    SUFFIXES = (".ome.tif", ".ome.tiff")

    def check(self, path: Path, image: UltrasoundImage) -> None:
        """Everything can be written; without a pixel size none is stated."""

    def write(
        self, path: Path, image: UltrasoundImage, options: Options
    ) -> Generator[Event, None, None]:
        """Write the frames with PhysicalSize, TimeIncrement and a note."""
        note: dict[str, Any] = {}
        # A file name need not be text.
        name = str(image.metadata.get("name", path.stem))
        name = name.encode("utf-8", "replace").decode("utf-8")
        metadata: dict[str, Any] = {"Name": name}
        if has_pixel_size(image):
            axial, lateral = image.spacing_mm
            metadata |= {
                "PhysicalSizeX": lateral,
                "PhysicalSizeXUnit": "mm",
                "PhysicalSizeY": axial,
                "PhysicalSizeYUnit": "mm",
            }
            note["origin_mm"] = list(image.origin_mm)
        if image.frame_interval_s:
            metadata["TimeIncrement"] = image.frame_interval_s
            metadata["TimeIncrementUnit"] = "s"
        metadata["Description"] = pack_notes(image, options.provenance, **note)
        big = _bytes(image) > _MAX_CLASSIC_BYTES
        yield from _write(path, image, options, metadata, ome=True, bigtiff=big)


class ImageJTiff:
    """TIFF with ImageJ's properties."""

    SUFFIXES = (".tif", ".tiff")

    def check(self, path: Path, image: UltrasoundImage) -> None:
        """Refuse what ImageJ cannot hold."""
        if _bytes(image) > _MAX_CLASSIC_BYTES:
            raise ValueError(
                f"{path}: {image.data.shape[0]} frames need more than the 4 GiB of an "
                "ImageJ TIFF; write .ome.tif"
            )

    def write(
        self, path: Path, image: UltrasoundImage, options: Options
    ) -> Generator[Event, None, None]:
        """Write the frames with the resolution in mm and the frame interval."""
        metadata: dict[str, Any] = {
            VALUES_KEY: image.values,
            "Info": json.dumps(dict(options.provenance), default=str),
        }
        value_range = image.metadata.get("value_range")
        if value_range is not None and image.values == "display":
            # repr gives the shortest text that reads back as the same number.
            metadata[RANGE_KEY] = " ".join(repr(float(value)) for value in value_range)
        keywords: dict[str, Any] = {}
        if has_pixel_size(image):
            axial, lateral = image.spacing_mm
            metadata["unit"] = "mm"
            keywords["resolution"] = (1 / lateral, 1 / axial)
        if image.frame_interval_s:
            metadata["finterval"] = image.frame_interval_s
        yield from _write(path, image, options, metadata, imagej=True, **keywords)


def _bytes(image: UltrasoundImage) -> int:
    frames, axial, lateral = (int(size) for size in image.data.shape)
    return 4 * frames * axial * lateral


def _write(
    path: Path,
    image: UltrasoundImage,
    options: Options,
    metadata: dict[str, Any],
    **keywords: Any,
) -> Generator[Event, None, None]:
    import tifffile

    shape = tuple(int(size) for size in image.data.shape)
    if shape[0] == 1:
        for index, frame in stored(image, options.token):
            metadata["axes"] = "YX"
            tifffile.imwrite(path, frame, metadata=metadata, **keywords)
            yield written(index, image)
        return
    metadata["axes"] = "TYX"

    def consume(frames: Iterator[Frame]) -> None:
        tifffile.imwrite(
            path, frames, shape=shape, dtype=np.float32, metadata=metadata, **keywords
        )

    yield from supply_frames(consume, image, options.token)
