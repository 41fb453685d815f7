"""Checks of a caller's arguments about an image."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.lazy import is_lazy
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.value_map import value_map
from napari_usflow.io.colour import colour_axis
from napari_usflow.prior import PRIOR_PIXEL_MM
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage, pixel_pair
from napari_usflow.ultrasound.value_rule import (
    UnknownValuesError,
    checked_range,
    checked_values,
    shown_stack,
    telling_frame,
    value_meaning,
)

__all__ = ["near_zero", "sigma_in_db", "stack_and_settings", "with_pixel_size"]

# float32 has 24 binary digits: here 17 of them are left for the range.
_FAR_RANGES = 100.0

_SIGMA_DB_LIMITS = next(
    (field.metadata["minimum"], field.metadata["maximum"])
    for field in fields(Settings)
    if field.name == "sigma_db"
)


def stack_and_settings(
    image: UltrasoundImage | npt.NDArray[Any],
    *,
    sigma: float | None,
    pixel_size_mm: float | tuple[float, float] | None,
    value_range: tuple[float, float] | None,
    dynamic_range_db: float,
    values: str | None = None,
    **settings: Any,
) -> tuple[UltrasoundImage, Settings]:
    """Understand what the public functions are given.

    Parameters
    ----------
    image : ndarray, shape (Z, X) or (T, Z, X), or UltrasoundImage
    sigma, pixel_size_mm, value_range, dynamic_range_db, values
        As of :func:`napari_usflow.denoise`.
    **settings
        Other fields of :class:`Settings`.

    Raises
    ------
    ValueError
        As :func:`napari_usflow.denoise` does.
    """
    if value_range is not None:
        value_range = checked_range(value_range)
    values = checked_values(values)
    if isinstance(image, UltrasoundImage):
        if values not in (None, image.values):
            raise ValueError(
                f"the image says that its values are {image.values}; leave "
                f"values={values!r} out"
            )
        if image.metadata.get("question"):
            raise UnknownValuesError(image.metadata["question"])
        stack = (
            image if pixel_size_mm is None else with_pixel_size(image, pixel_size_mm)
        )
    else:
        stack, value_range = _stack_of(image, pixel_size_mm, value_range, values)
    complete = Settings(
        dynamic_range_db=dynamic_range_db, value_range=value_range, **settings
    )
    span = value_map(stack, value_range, dynamic_range_db).dynamic_range_db
    if sigma is not None:
        complete = replace(complete, sigma_db=sigma_in_db(sigma, span))
    return stack, complete


def near_zero(
    stack: UltrasoundImage, settings: Settings
) -> tuple[UltrasoundImage, Settings, float]:
    """Move values far from zero to it, where float32 has the digits to hold them.

    Returns
    -------
    UltrasoundImage
        The stack, less its black; as it is where that is nearer or its values are of
        float32 themselves.
    Settings
        With the value range moved likewise.
    float
        What is to be added to the result in float64; 0 for nothing.
    """
    values = value_map(stack, settings.value_range, settings.dynamic_range_db)
    low, width = values.low, values.high - values.low
    wide = np.result_type(stack.data.dtype, np.float32).itemsize > 4
    is_array = isinstance(stack.data, np.ndarray) or is_lazy(stack.data)
    if (
        not (wide and is_array)
        or stack.values == "envelope"
        or abs(low) < _FAR_RANGES * width
    ):
        return stack, settings, 0.0
    data: Any = stack.data
    moved = stack.with_data(data - np.float64(low))
    return moved, replace(settings, value_range=(0.0, width)), low


def _stack_of(
    array: npt.NDArray[Any],
    pixel_size_mm: float | tuple[float, float] | None,
    value_range: tuple[float, float] | None,
    values: str | None,
) -> tuple[UltrasoundImage, tuple[float, float] | None]:
    """Wrap an array; return also the value range that goes with its values."""
    array = array if is_lazy(array) else np.asarray(array)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"the image must have shape (Z, X) or (T, Z, X), got {array.shape}"
        )
    if colour_axis(array) is not None:
        raise ValueError(
            f"an array of shape {array.shape} looks like a colour image; "
            "convert it to grey first"
        )
    data = array if array.ndim == 3 else array[np.newaxis]
    meaning = value_meaning(telling_frame(data), values=values, value_range=value_range)
    pixel = PRIOR_PIXEL_MM if pixel_size_mm is None else pixel_size_mm
    grid = PixelGrid((data.shape[1], data.shape[2]), pixel_pair(pixel), (0.0, 0.0))
    shown = shown_stack(data, meaning.signal)
    metadata = {"signal": meaning.signal} if meaning.signal else {}
    stack = UltrasoundImage(shown, meaning.values, grid, metadata=metadata)
    return stack, meaning.value_range


def with_pixel_size(image: UltrasoundImage, pixel_size_mm: Any) -> UltrasoundImage:
    """Set the pixel size that the file of an image does not state.

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
