"""Numbers of an image in regions: one implementation for windows, scripts and commands.

Every number is taken on decibels, the envelope or the intensity as
:mod:`~napari_usflow.evaluate.metrics` defines it; display grey is turned into decibels
by its dynamic range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.quantities import quantities
from napari_usflow.evaluate.quantities.contract import Place
from napari_usflow.evaluate.regions import AREA_ROLES, Pixels, Region
from napari_usflow.ultrasound.bmode import SILENCE_DB
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage, Values

__all__ = [
    "Measurement",
    "decibels",
    "measure",
    "measure_frame",
]

Frame = npt.NDArray[Any]


@dataclass(frozen=True)
class Measurement:
    """Numbers of one region in one frame; NaN where a number is not defined.

    Attributes
    ----------
    region, role : str
        Which region it is.
    frame : int
        Which frame.
    against : str
        Name of the region that contrasts are taken against; empty without.
    numbers : mapping of str to float
        Those that are defined, by name; each of
        :func:`~napari_usflow.evaluate.quantities.quantities` is an attribute, too:
        ``area_mm2``, ``mean_db``, ``contrast_db``, ``cnr``, ``gcnr``, ``speckle_snr``,
        ``enl``, ``fwhm_axial_mm``, ``fwhm_lateral_mm``, ``edge_mm``.
    """

    region: str
    role: str
    frame: int = 0
    against: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __getattr__(self, name: str) -> float:
        if name not in {quantity.name for quantity in quantities()}:
            raise AttributeError(f"there is no number {name!r} of a region")
        return self.numbers.get(name, float("nan"))

    def known(self) -> dict[str, float]:
        """Return the numbers that are defined, by name."""
        return dict(self.numbers)


def measure(
    image: UltrasoundImage | Frame,
    regions: Sequence[Region],
    *,
    frame: int | None = 0,
    pixel_size_mm: float | tuple[float, float] | None = None,
    values: str | None = None,
    value_range: tuple[float, float] | None = None,
    dynamic_range_db: float = 60.0,
) -> list[Measurement]:
    """Measure an image in regions.

    Parameters
    ----------
    image : UltrasoundImage or ndarray, shape (Z, X) or (T, Z, X)
        Of a plain array the first pixel lies at (0, 0) mm.
    regions : sequence of Region
        In mm, (axial, lateral).
    frame : int, optional
        Which frame, negative from the last; None for all of them.
    pixel_size_mm : float or (float, float), optional
        Of a plain array, or of an image that does not know it.
    values : {"db", "envelope", "display", "rf"}, optional
        What the numbers of a plain array are, where they do not tell.
    value_range : (float, float), optional
        The values that are black and white, where they are not the usual ones.
    dynamic_range_db : float
        Decibels from black to white of display grey.

    Returns
    -------
    list of Measurement
        One a region and frame.

    Raises
    ------
    ValueError
        When the image is a sector, does not know its pixel size, or has no such frame.

    Examples
    --------
    The mean level of a square of 2 by 2 mm in flat speckle-free grey:

    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> corners = np.array([[1.0, 1.0], [1.0, 3.0], [3.0, 3.0], [3.0, 1.0]])
    >>> square = usf.Region("speckle", "polygon", corners, name="square")
    >>> (numbers,) = usf.measure(
    ...     np.full((40, 40), -20.0), [square], pixel_size_mm=0.1
    ... )
    >>> numbers.region, round(numbers.mean_db, 1), round(numbers.area_mm2, 1)
    ('square', -20.0, 4.0)
    """
    from napari_usflow.denoising.arguments import stack_and_settings

    plain = not isinstance(image, UltrasoundImage)
    if plain and pixel_size_mm is None:
        raise ValueError("say how large the pixels of an array are: pixel_size_mm")
    stack, settings = stack_and_settings(
        image,
        sigma=None,
        pixel_size_mm=pixel_size_mm,
        values=values,
        value_range=value_range,
        dynamic_range_db=dynamic_range_db,
    )
    if not isinstance(stack.grid, PixelGrid):
        raise ValueError("a sector is measured on its picture; scan-convert it first")
    if stack.metadata.get("pixel_size_known") is False:
        raise ValueError("the image does not know its pixel size; pass pixel_size_mm")
    low_high = settings.value_range or stack.metadata.get("value_range")
    count = int(stack.data.shape[0])
    if frame is not None and not -count <= frame < count:
        raise ValueError(f"the image has {count} frames, but no frame {frame}")
    indices = range(count) if frame is None else [range(count)[frame]]
    rows: list[Measurement] = []
    for index in indices:
        frame_db = decibels(
            np.asarray(stack.data[index]), stack.values, low_high, dynamic_range_db
        )
        rows += measure_frame(frame_db, stack.grid, regions, frame=index)
    return rows


def decibels(
    frame: Frame,
    values: Values,
    value_range: tuple[float, float] | None = None,
    dynamic_range_db: float = 60.0,
) -> Frame:
    """Turn a frame into decibels without clipping.

    An envelope is 20 log10 of itself, zeros 120 dB below the maximum; of display grey
    white is 0 dB and black the dynamic range below it.
    """
    if values == "db":
        return np.asarray(frame)
    if values == "envelope":
        peak = float(np.nanmax(frame, initial=0.0)) or 1.0
        floor = peak * 10 ** (SILENCE_DB / 20)
        return np.asarray(20 * np.log10(np.maximum(frame, floor)))
    low, high = value_range or (0.0, 255.0)
    grey = np.asarray(frame, np.float32)
    return np.asarray((grey - high) * np.float32(dynamic_range_db / (high - low)))


def measure_frame(
    frame_db: Frame, grid: PixelGrid, regions: Sequence[Region], *, frame: int = 0
) -> list[Measurement]:
    """Measure one frame.

    Parameters
    ----------
    frame_db : ndarray, shape (Z, X), dB
        NaN and infinite pixels do not count.
    grid : PixelGrid
        Where its pixels are.
    regions : sequence of Region
        Those of another frame are left out.
    frame : int
        Its number.
    """
    counting = [region for region in regions if region.counts_in(frame)]
    pixels = {
        id(region): region.pixels(grid)
        for region in counting
        if region.role in AREA_ROLES
    }
    return [
        _measured(frame_db, grid, region, counting, pixels, frame)
        for region in counting
    ]


def _measured(
    frame_db: Frame,
    grid: PixelGrid,
    region: Region,
    regions: Sequence[Region],
    pixels: dict[int, Pixels],
    frame: int,
) -> Measurement:
    other = _against(region, regions, pixels)
    outside = None if other is None else pixels[id(other)]
    place = Place(frame_db, grid, region, pixels.get(id(region)), outside)
    against = ""
    if other is not None and place.inside_db.size:
        against = other.name or other.role
    numbers = {quantity.name: quantity.of(place) for quantity in quantities()}
    numbers = {n: value for n, value in numbers.items() if not np.isnan(value)}
    name = region.name or region.role
    return Measurement(name, region.role, frame, against, numbers)


def _against(
    region: Region, regions: Sequence[Region], pixels: dict[int, Pixels]
) -> Region | None:
    """Return the nearest background of a target; a speckle region stands in for one."""
    if region.role != "target":
        return None
    for role in ("background", "speckle"):
        there = [r for r in regions if r.role == role and pixels[id(r)].count]
        if there:
            gaps = [np.hypot(*(r.center_mm - region.center_mm)) for r in there]
            return there[int(np.argmin(gaps))]
    return None
