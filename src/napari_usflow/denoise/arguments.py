"""What a caller says about an image, checked before it is believed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from napari_usflow.denoise.pipeline import Settings
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage, pixel_pair

__all__ = ["sigma_in_db", "with_pixel_size"]

_SIGMA_DB_LIMITS = next(
    (field.metadata["minimum"], field.metadata["maximum"])
    for field in fields(Settings)
    if field.name == "sigma_db"
)


def with_pixel_size(image: UltrasoundImage, pixel_size_mm: Any) -> UltrasoundImage:
    """Give an image the pixel size that its file does not state.

    Raises
    ------
    ValueError
        When the image knows its pixel size: another one would falsify every length
        in it.
    """
    pair = pixel_pair(pixel_size_mm)
    if image.metadata.get("pixel_size_known") is not False:
        name = image.metadata.get("source") or image.metadata.get("name") or "the image"
        known = (
            "{:g} x {:g} mm".format(*image.grid.spacing_mm)
            if isinstance(image.grid, PixelGrid)
            else "a sector's"
        )
        raise ValueError(
            f"{name} states its pixel size, {known} (axial, lateral); "
            "leave the pixel size out"
        )
    grid = PixelGrid(image.grid.shape, pair, (0.0, 0.0))
    metadata = {**image.metadata, "pixel_size_known": True}
    return replace(image, grid=grid, metadata=metadata)


def sigma_in_db(sigma: float, dynamic_range_db: float) -> float:
    """Turn a noise level, a fraction of the dynamic range, into decibels.

    Raises
    ------
    ValueError
        When it is no number, or out of the limits of ``Settings.sigma_db``.
    """
    low, high = (limit / dynamic_range_db for limit in _SIGMA_DB_LIMITS)
    if isinstance(sigma, bool) or not isinstance(sigma, int | float | np.number):
        raise ValueError(f"sigma is {sigma!r}; it must be a number")
    if not low <= sigma <= high:
        raise ValueError(
            f"sigma is {sigma:g}; as a fraction of the dynamic range of "
            f"{dynamic_range_db:g} dB it must lie in [{low:.2g}, {high:.2g}]"
        )
    return float(np.clip(sigma * dynamic_range_db, *_SIGMA_DB_LIMITS))
