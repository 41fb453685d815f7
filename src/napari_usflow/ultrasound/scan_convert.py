"""Scan conversion: from the lines of a sector to the pixels of a picture.

A pixel (x, z) of the Cartesian image lies at the radius r and the angle a seen from
the sector's apex (x0, z0),

    r = sqrt((x - x0)^2 + (z - z0)^2),    a = atan2(x - x0, z - z0),

and takes its value from the four samples around it, bilinearly.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.bmode import SILENCE_DB
from napari_usflow.ultrasound.data import (
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
    pixel_pair,
)
from napari_usflow.ultrasound.lazy_frames import lazy_stack

__all__ = ["MAX_PIXELS", "OUTSIDE", "as_picture", "cartesian_grid", "scan_convert"]

OUTSIDE = {"db": SILENCE_DB, "envelope": 0.0, "display": 0.0}
"""Value of pixels outside of the sector, by kind of values: no echo."""

MAX_PIXELS = 2**24
"""Largest number of pixels of a frame."""

_EAGER_BYTES = 2**28
# Of a sample; a pixel this far beyond the edge is on it.
_EDGE = 1e-6


def scan_convert(
    image: UltrasoundImage,
    *,
    spacing_mm: float | tuple[float, float] | None = None,
    grid: PixelGrid | None = None,
) -> UltrasoundImage:
    """Scan convert: resample an image of a sector to a Cartesian grid.

    Parameters
    ----------
    image : UltrasoundImage
        On a :class:`~napari_usflow.ultrasound.data.PolarGrid`.
    spacing_mm : float or (float, float), optional
        Size of a pixel (axial, lateral); the sector's step in radius, both ways, when
        omitted.
    grid : PixelGrid, optional
        Pixels to be used instead of those of :func:`cartesian_grid`.

    Returns
    -------
    UltrasoundImage
        The same frames and values, float32. Pixels outside of the sector hold what
        :data:`OUTSIDE` says (-120 dB, or 0 of an envelope or of grey), never NaN;
        those on its edge belong to it. Lazy data stay lazy, a chunk a frame; so are
        pictures of a stack that would take more than 256 MiB.

    Raises
    ------
    ValueError
        If the image is not polar, the spacing not positive, both a spacing and a grid
        are given, or the picture would have more than :data:`MAX_PIXELS` pixels.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> sector = usf.PolarGrid((50, 31), (10.0, 1.0), (-0.45, 0.03))
    >>> lines = usf.UltrasoundImage(np.zeros((1, 50, 31)), "db", sector)
    >>> picture = usf.scan_convert(lines, spacing_mm=0.5)
    >>> picture.spacing_mm, float(picture.data.max()), float(picture.data[0, 0, 0])
    ((0.5, 0.5), 0.0, -120.0)
    """
    if not isinstance(image.grid, PolarGrid):
        raise ValueError(
            f"{image.metadata.get('name', 'the image')} is on a Cartesian grid "
            "already; scan conversion is for sectors"
        )
    if grid is not None and spacing_mm is not None:
        raise ValueError("give spacing_mm or grid, not both")
    if grid is None:
        grid = cartesian_grid(image.grid, spacing_mm)
    places, outside = _places(image.grid, grid)
    fill = OUTSIDE[image.values]

    def convert(stack: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        from scipy.ndimage import map_coordinates

        frames = np.empty((len(stack), *grid.shape), np.float32)
        for frame, output in zip(stack, frames, strict=True):
            source = np.asarray(frame, np.float32)
            map_coordinates(source, places, output=output, order=1, mode="nearest")
            output[outside] = fill
        return frames

    return replace(image, data=_by_frame(image.data, convert, grid), grid=grid)


def as_picture(image: UltrasoundImage) -> UltrasoundImage:
    """Scan-convert an image of a sector; give any other back as it is."""
    return scan_convert(image) if isinstance(image.grid, PolarGrid) else image


def cartesian_grid(
    sector: PolarGrid, spacing_mm: float | tuple[float, float] | None = None
) -> PixelGrid:
    """Return the smallest grid that covers a sector, with pixels in line with its apex.

    Parameters
    ----------
    sector : PolarGrid
        The sector.
    spacing_mm : float or (float, float), optional
        Size of a pixel (axial, lateral); the sector's step in radius when omitted.

    Returns
    -------
    PixelGrid
        The apex lies a whole number of pixels from every pixel centre.

    Raises
    ------
    ValueError
        As :func:`scan_convert`.
    """
    spacing = pixel_pair(sector.radius_mm[1] if spacing_mm is None else spacing_mm)
    radius, angle = sector.axes()
    # The outline is farthest out at a corner, or where it crosses an axis.
    turns = np.array([-np.pi, -np.pi / 2, 0, np.pi / 2, np.pi])
    turns = np.concatenate(
        [angle[[0, -1]], turns[(turns > angle[0]) & (turns < angle[-1])]]
    )
    outline = np.multiply.outer(radius[[0, -1]], (np.cos(turns), np.sin(turns)))
    first, last = [], []
    for axis, step in enumerate(spacing):
        along = outline[:, axis] / step
        first.append(int(np.floor(along.min() + _EDGE)))
        last.append(int(np.ceil(along.max() - _EDGE)))
    shape = (last[0] - first[0] + 1, last[1] - first[1] + 1)
    if shape[0] * shape[1] > MAX_PIXELS:
        raise ValueError(
            f"{shape[0]} x {shape[1]} pixels of {spacing[0]:g} x {spacing[1]:g} mm "
            f"are needed for the sector, at most {MAX_PIXELS:,} in all are made; "
            "give a larger spacing_mm"
        )
    origin = [
        apex + start * step
        for apex, start, step in zip(sector.apex_mm, first, spacing, strict=True)
    ]
    return PixelGrid(shape, spacing, (origin[0], origin[1]))


def _places(
    sector: PolarGrid, grid: PixelGrid
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Where the pixels lie in samples of the sector, and which are outside of it."""
    z, x = (
        axis - apex for axis, apex in zip(grid.axes_mm(), sector.apex_mm, strict=True)
    )
    radius, angle = np.hypot(z[:, None], x), np.arctan2(x, z[:, None])
    places = np.stack(
        [
            (values - first) / step
            for values, (first, step) in (
                (radius, sector.radius_mm),
                (angle, sector.angle_rad),
            )
        ]
    )
    last = np.array(sector.shape)[:, None, None] - 1
    outside = ((places < -_EDGE) | (places > last + _EDGE)).any(0)
    return places, np.asarray(outside)


def _by_frame(data: Any, convert: Any, grid: PixelGrid) -> Any:
    """Convert a stack; a lazy or large one a frame at a time, when it is looked at."""
    shape = (int(data.shape[0]), *grid.shape)
    if not hasattr(data, "dask"):
        if shape[0] == 1 or 4 * math.prod(shape) <= _EAGER_BYTES:
            return convert(data)
        return lazy_stack(lambda index: convert(data[index : index + 1])[0], shape)
    one_a_chunk = data.rechunk({0: 1, 1: -1, 2: -1})
    return one_a_chunk.map_blocks(
        convert,
        dtype=np.float32,
        chunks=(one_a_chunk.chunks[0], *((n,) for n in grid.shape)),
        meta=np.empty((0, 0, 0), np.float32),
    )
