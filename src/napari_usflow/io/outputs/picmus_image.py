"""Image files of the PICMUS challenge, in the layout of its ``us_image.m``.

float32 in SI units, each array with the axes of MATLAB reversed, scalars and texts as
arrays of one, ``type`` and ``signal_format`` as enumerations. Decibels are written as
the envelope 10^(dB / 20). What the layout has no place for is a text beside it, which
the challenge's own classes do not look at.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_usflow import __version__
from napari_usflow.io.outputs.contract import (
    Options,
    has_pixel_size,
    stored,
    written,
)
from napari_usflow.io.outputs.hdf5_file import new_hdf5, text
from napari_usflow.io.outputs.usflow_metadata import NAME, pack_notes
from napari_usflow.io.picmus.layout import (
    GROUP,
    IMAGE_CLASS_VERSION,
    IMAGE_FILE_VERSION,
    SIGNAL_FORMATS,
    TYPES,
)
from napari_usflow.jobs import Event
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["SUFFIXES", "check", "write"]

SUFFIXES = (".hdf5", ".h5")


def check(path: Path, image: UltrasoundImage) -> None:
    """Refuse display grey, which is no envelope, and pixels without a place in mm."""
    if image.values == "display":
        raise ValueError(
            f"{path}: a PICMUS image holds an envelope and this image is display grey; "
            "write .ome.tif or .zea.hdf5"
        )
    if not has_pixel_size(image):
        raise ValueError(
            f"{path}: a PICMUS image needs rows and columns in mm, which this image "
            "does not have; state its pixel size, or write .ome.tif"
        )


def write(
    path: Path, image: UltrasoundImage, options: Options
) -> Generator[Event, None, None]:
    """Write one image a frame."""
    frames, axial, lateral = (int(size) for size in image.data.shape)
    waves = image.metadata.get("plane_waves", 1)
    counts = np.broadcast_to(np.atleast_1d(np.asarray(waves, np.float32)), (frames,))
    z_mm, x_mm = image.grid.axes_mm()  # type: ignore[union-attr]
    with new_hdf5(path) as (file, check_disk):
        file.attrs["version"] = text(IMAGE_FILE_VERSION)
        group = file.create_group(GROUP)
        _describe(group, image, path)
        group["scan/x_axis"] = np.asarray(1e-3 * x_mm, np.float32)
        group["scan/z_axis"] = np.asarray(1e-3 * z_mm, np.float32)
        group["number_plane_waves"] = np.asarray(counts, np.float32)
        for side, f_number in (
            ("transmit", 0.0),
            ("receive", _number(image.metadata.get("f_number"))),
        ):
            stated = _number(image.metadata.get(f"{side}_f_number", f_number))
            group[f"{side}_f_number"] = np.array([stated], np.float32)
            window = image.metadata.get(f"{side}_apodization_window") or (
                image.metadata.get(f"{side}_apodization") or "none"
            )
            group[f"{side}_apodization_window"] = text(str(window))
        parts = [
            group.create_dataset(
                f"data/{part}",
                (frames, lateral, axial),
                np.float32,
                chunks=(1, lateral, axial),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
            )
            for part in ("real", "imag")
        ]
        peak = 0.0
        for index, frame in stored(image, options.token):
            amplitude = frame
            if image.values == "db":
                amplitude = np.power(10, frame.astype(np.float64) / 20)
            peak = max(peak, float(amplitude.max()))
            parts[0][index] = amplitude.T
            # An envelope has no imaginary part, but the file has.
            parts[1][index] = np.zeros((lateral, axial), np.float32)
            check_disk()
            yield written(index, image)
        reference = 1.0 if image.values == "db" else peak
        note = pack_notes(image, options.provenance, reference=reference)
        group[NAME] = text(note)


def _describe(group: h5py.Group, image: UltrasoundImage, path: Path) -> None:
    for name, members, value in (
        ("type", TYPES, TYPES["SR"]),
        ("signal_format", SIGNAL_FORMATS, SIGNAL_FORMATS["ENV"]),
    ):
        kind = h5py.enum_dtype(members, basetype="i4")
        group.attrs.create(name, [value], dtype=kind)
    now = datetime.now()
    stated = image.metadata
    for name, label in (
        ("name", stated.get("title") or stated.get("name") or path.stem),
        ("author", stated.get("author") or "none"),
        ("affiliation", stated.get("affiliation") or "none"),
        ("algorithm", stated.get("algorithm") or f"napari-usflow {__version__}"),
        ("creation_date", f"{now:%Y/%m/%d %H:%M:%S}"),
        ("version", IMAGE_CLASS_VERSION),
    ):
        # An attribute holds at most 64 KiB.
        group.attrs[name] = text(str(label)[:1000])


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
