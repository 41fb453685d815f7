"""PNG: one frame as it is shown."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from napari_usflow.io.outputs.contract import (
    Options,
    greys,
    has_pixel_size,
    stored,
    written,
)
from napari_usflow.jobs import Event
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["SUFFIXES", "check", "write"]

SUFFIXES = (".png",)


def check(path: Path, image: UltrasoundImage) -> None:
    """Refuse more than one frame."""
    frames = image.data.shape[0]
    if frames > 1:
        raise ValueError(
            f"{path}: a PNG holds one frame and there are {frames}; "
            "choose one with --frame, or write .tif"
        )


def write(
    path: Path, image: UltrasoundImage, options: Options
) -> Generator[Event, None, None]:
    """Write 8-bit grey, with the pixel size as dots an inch along each axis."""
    from PIL import Image

    keywords = {}
    if has_pixel_size(image):
        axial, lateral = image.spacing_mm
        keywords["dpi"] = (25.4 / lateral, 25.4 / axial)
    for index, frame in stored(image, options.token):
        picture = Image.fromarray(greys(frame, image, options))
        picture.save(path, format="PNG", **keywords)
        yield written(index, image)
