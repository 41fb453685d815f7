"""What the commands read: the image of any known format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow import io
from napari_usflow.cli.reporting import Reporter
from napari_usflow.denoise.arguments import with_pixel_size
from napari_usflow.errors import FileFormatError
from napari_usflow.ultrasound.beamform import default_grid
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = ["read_image"]


def read_image(
    path: Path,
    *,
    angles: int | None = None,
    bandwidth: float = 1.0,
    pixel_size_mm: tuple[float, float] | None = None,
    frame: int | None = None,
    device: str = "auto",
    acquisition: str | None = None,
    names: Sequence[tuple[str, str]] | None = None,
) -> UltrasoundImage:
    """Read the (first) image of a file, showing the progress of beamforming.

    Parameters
    ----------
    path : Path
        Anything :func:`napari_usflow.io.read` takes.
    angles : int, optional
        Plane waves to compound, for raw data.
    bandwidth : float
        Width of the receive filter in carrier frequencies, for raw data; 0 for none.
    pixel_size_mm : (float, float), optional
        Pixel size (axial, lateral): on which raw data are beamformed, over the
        extent of the default grid; of an image whose file does not state it.
    frame : int, optional
        Keep this frame only; negative counts from the last. Its number is noted as
        ``metadata["first_frame"]``.
    device : str
        Where raw data are beamformed.
    acquisition : str, optional
        Of a CUBDL file, which it is.
    names : sequence of (str, str), optional
        Of a MATLAB file, which variable is what, as of ``--names``.

    Raises
    ------
    FileFormatError
        When the file cannot be read, or has no such frame.
    ValueError
        When a pixel size is given for an image whose file states it, or names that
        do not fit the file.
    """
    said: dict[str, Any] = {
        "acquisition": acquisition,
        "names": dict(names) if names else None,
    }
    grid = None
    if pixel_size_mm is not None:
        grid = _grid_of_raw_data(path, pixel_size_mm, said)
    if not 0 <= bandwidth <= 2:
        raise ValueError(f"--bandwidth must lie in 0..2 (0: none), got {bandwidth:g}")
    events = io.read_events(
        path,
        angles=angles,
        grid=grid,
        bandwidth=bandwidth or None,
        device=device,
        **said,
    )
    image = Reporter().finish(events)[0]
    if pixel_size_mm is not None and grid is None:
        image = with_pixel_size(image, pixel_size_mm)
    return image if frame is None else _one_frame(image, frame, path)


def _grid_of_raw_data(
    path: Path, spacing_mm: tuple[float, float], said: dict[str, Any]
) -> PixelGrid | None:
    """Lay pixels of another size over the default grid; None without raw data."""
    try:
        data = io.read_channel_data(path, **said)
    except FileFormatError:
        return None  # a finished image, or a file that reading will complain of
    if data.is_focused:
        raise ValueError(
            f"{path} holds focused beams, whose image has a line a beam; leave the "
            "pixel size out"
        )
    usual = default_grid(data)
    axial, lateral = (
        math.floor((count - 1) * step / wanted + 1e-6) + 1
        for count, step, wanted in zip(
            usual.shape, usual.spacing_mm, spacing_mm, strict=True
        )
    )
    return PixelGrid((axial, lateral), spacing_mm, usual.origin_mm)


def _one_frame(image: UltrasoundImage, frame: int, path: Path) -> UltrasoundImage:
    frames = image.data.shape[0]
    if not -frames <= frame < frames:
        raise FileFormatError(f"{path} has {frames} frames, but no frame {frame}")
    chosen = range(frames)[frame]
    metadata = {**image.metadata, "first_frame": chosen}
    if image.frame_axis == "plane_waves" and "plane_waves" in metadata:
        metadata["plane_waves"] = [metadata["plane_waves"][chosen]]
    return image.with_data(np.asarray(image.data[chosen])[None], metadata=metadata)
