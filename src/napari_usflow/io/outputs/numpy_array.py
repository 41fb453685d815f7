"""NumPy: the bare values."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np

from napari_usflow.io.outputs.contract import Options, stored, written
from napari_usflow.jobs import Event
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["SUFFIXES", "check", "write"]

SUFFIXES = (".npy",)


def check(path: Path, image: UltrasoundImage) -> None:
    """Everything can be written."""


def write(
    path: Path, image: UltrasoundImage, options: Options
) -> Generator[Event, None, None]:
    """Write float32, (Z, X) or (frames, Z, X)."""
    shape = tuple(int(size) for size in image.data.shape)
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype("<f4")),
        "fortran_order": False,
        "shape": shape[1:] if shape[0] == 1 else shape,
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for index, frame in stored(image, options.token):
            file.write(np.ascontiguousarray(frame, "<f4").tobytes())
            yield written(index, image)
