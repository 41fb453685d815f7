"""zea files that hold an image: ``tracks/track_0/data`` in the layout of 2026.

Decibels and 8-bit grey become ``image``, an envelope ``envelope_data``; every pixel
has its place. zea wants decibels of at most 0: what exceeds it shifts the stack, and
the shift is noted. What the layout has no place for is in ``custom``.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow import __version__
from napari_usflow.io.outputs.contract import Options, stored, written
from napari_usflow.io.outputs.hdf5_file import new_hdf5
from napari_usflow.io.outputs.usflow_metadata import NAME, pack_notes
from napari_usflow.jobs import Event
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage

__all__ = ["SUFFIXES", "ZEA_VERSION", "check", "pixel_positions_m", "write"]

SUFFIXES = (".zea.hdf5", ".zea.h5")

ZEA_VERSION = "0.1.8"
"""Release of zea whose layout is written."""


def check(path: Path, image: UltrasoundImage) -> None:
    """Refuse pixels without a place, and grey that is not 0 to 255."""
    if image.metadata.get("pixel_size_known") is False:
        raise ValueError(
            f"{path}: zea wants the place of every pixel in metres, and the pixel size "
            "of this image is not known; state it, or write .ome.tif"
        )
    shown = tuple(image.metadata.get("value_range") or (0, 255))
    if image.values == "display" and shown != (0, 255):
        raise ValueError(
            f"{path}: zea keeps display grey in 8 bits, 0 to 255, and this image shows "
            f"{shown[0]:g} to {shown[1]:g}; write .ome.tif"
        )


def write(
    path: Path, image: UltrasoundImage, options: Options
) -> Generator[Event, None, None]:
    """Write the frames and the places of their pixels."""
    frames = int(image.data.shape[0])
    is_grey = image.values == "display"
    offset_db = _above_zero(image, options) if image.values == "db" else 0.0
    with new_hdf5(path) as (file, check_disk):
        file.attrs["zea_version"] = ZEA_VERSION
        file.attrs["description"] = f"written by napari-usflow {__version__}"
        kind = "envelope_data" if image.values == "envelope" else "image"
        group = file.create_group(f"tracks/track_0/data/{kind}")
        values = group.create_dataset(
            "values",
            image.data.shape,
            np.uint8 if is_grey else np.float32,
            chunks=(1, *image.data.shape[1:]),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
        _label(values, "dB" if image.values == "db" else "–", "Map pixel values.")
        places = group.create_dataset(
            "coordinates",
            data=pixel_positions_m(image.grid).astype(np.float32),
            compression="gzip",
            compression_opts=1,
        )
        _label(places, "m", "Per-pixel Cartesian positions (x, y, z) in metres.")
        if image.frame_interval_s and frames > 1:
            times = np.arange(frames) * image.frame_interval_s
            for name, value in (
                ("timestamps", times.astype(np.float32)),
                ("start_time_offset", np.float32(0)),
            ):
                group[name] = value
                _label(group[name], "s", "Times of the frames, from the first.")
        for index, frame in stored(image, options.token):
            if is_grey:
                _check_grey(frame, image)
            values[index] = frame - np.float32(offset_db) if offset_db else frame
            check_disk()
            yield written(index, image)
        note = pack_notes(image, options.provenance, offset_db=offset_db)
        custom = file.create_group("custom")
        custom[NAME] = np.bytes_(note.encode("ascii"))
        _label(custom[NAME], "–", "What napari-usflow did, as JSON.")


def pixel_positions_m(grid: PixelGrid | PolarGrid) -> npt.NDArray[np.float64]:
    """Return the position (x, y, z) of each pixel in metres, shape (*grid.shape, 3)."""
    if isinstance(grid, PixelGrid):
        z_mm, x_mm = np.meshgrid(*grid.axes_mm(), indexing="ij")
    else:
        (first, step), (start, turn) = grid.radius_mm, grid.angle_rad
        radius = first + step * np.arange(grid.shape[0])[:, None]
        angle = start + turn * np.arange(grid.shape[1])
        z_mm = grid.apex_mm[0] + radius * np.cos(angle)
        x_mm = grid.apex_mm[1] + radius * np.sin(angle)
    return 1e-3 * np.stack([x_mm, np.zeros_like(x_mm), z_mm], axis=-1)


def _above_zero(image: UltrasoundImage, options: Options) -> float:
    """Return the highest level where it is above 0 dB, in numbers float32 holds."""
    highest = max(float(frame.max()) for _, frame in stored(image, options.token))
    return max(highest, 0.0)


def _check_grey(frame: npt.NDArray[np.float32], image: UltrasoundImage) -> None:
    if not np.array_equal(frame, np.clip(np.rint(frame), 0, 255)):
        raise ValueError(
            "zea keeps display grey in 8 bits; this image has values that are not "
            "whole numbers from 0 to 255; write .ome.tif"
        )


def _label(dataset: h5py.Dataset, unit: str, description: str) -> None:
    dataset.attrs["unit"] = unit
    dataset.attrs["description"] = description
