"""Writing images: one kind of file a module, chosen by the ending of the name."""

from __future__ import annotations

from pathlib import Path

from napari_usflow.io.outputs import (
    movie,
    numpy_array,
    picmus_image,
    picture,
    zea_image,
)
from napari_usflow.io.outputs.contract import Options, Output
from napari_usflow.io.outputs.tiff import ImageJTiff, OmeTiff

__all__ = ["OUTPUTS", "Options", "Output", "output_of"]

OUTPUTS: dict[str, Output] = {
    "imagej": ImageJTiff(),
    "ome": OmeTiff(),
    "picmus": picmus_image,
    "zea": zea_image,
    "png": picture,
    "mp4": movie,
    "npy": numpy_array,
}
"""Every kind of file by name."""


def output_of(path: Path) -> Output | None:
    """Return the writer for a file name, by its longest ending; None if unknown."""
    name = path.name.lower()
    fitting = [
        (len(suffix), output)
        for output in OUTPUTS.values()
        for suffix in output.SUFFIXES
        if name.endswith(suffix) and len(name) > len(suffix)
    ]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None
