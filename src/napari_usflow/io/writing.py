"""Writing images: TIFF, PNG or NumPy, each whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.io.raster import RANGE_KEY, VALUES_KEY
from napari_usflow.ultrasound.bmode import log_compress
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = [
    "OUTPUT_SUFFIXES",
    "check_output",
    "in_decibels",
    "write_beside",
    "write_image",
]

OUTPUT_SUFFIXES = (".tif", ".tiff", ".png", ".npy")
"""TIFF: float32 values and pixel size. PNG: 8-bit, as shown. NumPy: float32 values."""


def check_output(path: Path, source: Path | None = None) -> None:
    """Refuse an output that cannot be written, before any work is done.

    Raises
    ------
    ValueError
        When its ending is unknown, its folder is missing, or it is the input.
    """
    if path.suffix.lower() not in OUTPUT_SUFFIXES:
        raise ValueError(
            f"{path}: cannot write {path.suffix or 'a name without an ending'}; "
            f"choose one of {', '.join(OUTPUT_SUFFIXES)}"
        )
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a file name")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")
    both_exist = source is not None and source.exists() and path.exists()
    if source is not None and both_exist and path.samefile(source):
        raise ValueError(f"{path} is the input; give another name for the result")


def write_image(
    path: Path,
    image: UltrasoundImage,
    *,
    dynamic_range_db: float = 60.0,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write an image as TIFF, PNG or NumPy, by the ending of the name.

    TIFF and NumPy hold float32: decibels for ``db`` and ``envelope``
    (:func:`in_decibels`), grey as it is for ``display``. PNG holds what a screen
    shows: black and white are the image's ``metadata["value_range"]``, else
    ``-dynamic_range_db`` and 0 dB, or 0 and 255 for ``display``. A TIFF notes that
    range for ``display``, whose numbers mean nothing without it.

    Raises
    ------
    ValueError
        When a PNG is to hold more than one frame.
    """
    check_output(path)
    image = in_decibels(image)
    frames = np.asarray(image.data[:], dtype=np.float32)
    suffix = path.suffix.lower()
    if suffix == ".png" and len(frames) > 1:
        raise ValueError(
            f"{path}: a PNG holds one frame and there are {len(frames)}; "
            "choose one with --frame, or write .tif"
        )
    with write_beside(path) as beside:
        if suffix == ".npy":
            with beside.open("wb") as file:
                np.save(file, frames[0] if len(frames) == 1 else frames)
        elif suffix == ".png":
            _write_png(beside, _shown(frames[0], image, dynamic_range_db), image)
        else:
            _write_tiff(beside, frames, image, provenance or {})


def in_decibels(image: UltrasoundImage) -> UltrasoundImage:
    """Log-compress an envelope; other images are given back as they are.

    0 dB is the maximum of the whole stack, so that frames over time keep their
    relative brightness; of each frame where the frames are different compoundings,
    whose sums are not comparable.
    """
    if image.values != "envelope":
        return image
    envelope = np.asarray(image.data[:], dtype=np.float32)
    if image.frame_axis == "t":
        return image.with_data(log_compress(envelope), values="db")
    return image.with_data(np.stack([log_compress(e) for e in envelope]), values="db")


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Give a new file in the same folder, renamed to ``path`` if all went well."""
    handle, name = tempfile.mkstemp(
        prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        # mkstemp's files are private; a result is an ordinary file.
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _write_tiff(
    path: Path,
    frames: npt.NDArray[np.float32],
    image: UltrasoundImage,
    provenance: Mapping[str, Any],
) -> None:
    import tifffile

    metadata: dict[str, Any] = {
        "axes": "TYX" if len(frames) > 1 else "YX",
        VALUES_KEY: image.values,
        "Info": json.dumps(dict(provenance), default=str),
    }
    value_range = image.metadata.get("value_range")
    if value_range is not None and image.values == "display":
        # repr gives the shortest text that reads back as the same number.
        metadata[RANGE_KEY] = " ".join(repr(float(value)) for value in value_range)
    keywords: dict[str, Any] = {}
    if _has_pixel_size(image):
        axial, lateral = image.spacing_mm
        metadata["unit"] = "mm"
        keywords["resolution"] = (1 / lateral, 1 / axial)
    if image.frame_interval_s:
        metadata["finterval"] = image.frame_interval_s
    tifffile.imwrite(
        path,
        frames if len(frames) > 1 else frames[0],
        imagej=True,
        metadata=metadata,
        **keywords,
    )


def _write_png(path: Path, grey: npt.NDArray[np.uint8], image: UltrasoundImage) -> None:
    from PIL import Image

    keywords = {}
    if _has_pixel_size(image):
        axial, lateral = image.spacing_mm
        keywords["dpi"] = (25.4 / lateral, 25.4 / axial)
    Image.fromarray(grey).save(path, format="PNG", **keywords)


def _shown(
    frame: npt.NDArray[np.float32], image: UltrasoundImage, dynamic_range_db: float
) -> npt.NDArray[np.uint8]:
    """Map a frame to the 256 greys of a screen."""
    usual = (0.0, 255.0) if image.values == "display" else (-dynamic_range_db, 0.0)
    low, high = image.metadata.get("value_range") or usual
    unit = np.clip((frame - low) / (high - low), 0.0, 1.0)
    return np.asarray(np.rint(255 * unit), dtype=np.uint8)


def _has_pixel_size(image: UltrasoundImage) -> bool:
    known = image.metadata.get("pixel_size_known") is not False
    return known and isinstance(image.grid, PixelGrid)
