"""What the commands read: any known format, and NumPy arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow import io
from napari_usflow.denoise.values import guess_values
from napari_usflow.errors import FileFormatError
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = ["read_image"]

_NPY_MAGIC = b"\x93NUMPY"


def read_image(
    path: Path,
    *,
    angles: int | None = None,
    pixel_size_mm: tuple[float, float] | None = None,
    frame: int | None = None,
) -> UltrasoundImage:
    """Read the (first) image of a file.

    Parameters
    ----------
    path : Path
        Anything :func:`napari_usflow.io.read` takes, or a ``.npy`` array.
    angles : int, optional
        Plane waves to compound, for raw data.
    pixel_size_mm : (float, float), optional
        Replaces what the file says (axial, lateral).
    frame : int, optional
        Keep this frame only; negative counts from the last.

    Raises
    ------
    FileFormatError
        When the file cannot be read, or has no such frame.
    """
    image = _read_npy(path) if _is_npy(path) else io.read(path, angles=angles)[0]
    if pixel_size_mm is not None:
        grid = PixelGrid(image.grid.shape, pixel_size_mm, (0.0, 0.0))
        metadata = {**image.metadata, "pixel_size_known": True}
        image = replace(image, grid=grid, metadata=metadata)
    if frame is not None:
        frames = image.data.shape[0]
        if not -frames <= frame < frames:
            raise FileFormatError(f"{path} has {frames} frames, but no frame {frame}")
        chosen = range(frames)[frame]
        image = image.with_data(np.asarray(image.data[chosen])[None])
    return image


def _is_npy(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_NPY_MAGIC)) == _NPY_MAGIC
    except OSError:
        return False


def _read_npy(path: Path) -> UltrasoundImage:
    try:
        # Mapped, not read: a header may declare more than the file has.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FileFormatError(
            f"{path} is a damaged or unsafe NumPy file: {error}"
        ) from error
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise FileFormatError(
            f"{path} holds an array of shape {array.shape}; "
            "(Z, X) or (frames, Z, X) is expected"
        )
    values, value_range = guess_values(array)
    data = array.reshape(-1, *array.shape[-2:])
    metadata: dict[str, Any] = {
        "source": str(path),
        "name": path.stem,
        "pixel_size_known": False,
    }
    if value_range is not None:
        metadata["value_range"] = value_range
    grid = PixelGrid((data.shape[1], data.shape[2]), (1.0, 1.0), (0.0, 0.0))
    return UltrasoundImage(data, values, grid, metadata=metadata)
