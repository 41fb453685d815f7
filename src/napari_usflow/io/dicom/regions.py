"""Where the 2-D pictures lie in a DICOM ultrasound frame, and how large a pixel is.

The size of a pixel stands in the Sequence of Ultrasound Regions (0018,6011), in cm
for each box of the frame (DICOM PS3.3, C.8.5.5). What scanners make of it:

- a first region that covers everything and has no units;
- negative deltas, where the physical axis runs the other way;
- boxes that end one pixel past the frame;
- frames that were reduced, or cut off, after the regions were written;
- several pictures side by side, and colour boxes inside one of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Region", "find_regions"]

_TWO_D = 1
_CENTIMETRES = 3
_TISSUE, _COLOUR_FLOW = 1, 2
_MM_PER_CM = 10.0
# Some count to the last pixel, some past it, some round.
_SLACK_PX = 1.5
_LARGEST_MM = 10.0
_SMALLEST_MM = 1e-4
_SCREENS = (
    (640, 480), (720, 480), (720, 540), (720, 576), (768, 576), (800, 600),
    (960, 720), (1024, 768), (1280, 720), (1280, 800), (1280, 960), (1280, 1024),
    (1440, 1080), (1600, 1200), (1920, 1080), (1920, 1200),
)  # fmt: skip


@dataclass(frozen=True)
class Region:
    """One 2-D picture within a frame.

    Attributes
    ----------
    box : (int, int, int, int)
        Rows from, to (exclusive), columns from, to (exclusive).
    spacing_mm : (float, float), optional
        Pixel size (axial, lateral); None when the file does not say.
    origin_mm : (float, float)
        Centre of the first pixel (axial, lateral).
    is_stated_tissue : bool
        Whether the file says that it is tissue, and names no colour flow in it.
    """

    box: tuple[int, int, int, int]
    spacing_mm: tuple[float, float] | None
    origin_mm: tuple[float, float] = (0.0, 0.0)
    is_stated_tissue: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pixels (axial, lateral)."""
        top, bottom, left, right = self.box
        return bottom - top, right - left


def find_regions(
    items: Sequence[Mapping[str, Any]], rows: int, columns: int
) -> tuple[list[Region], list[str]]:
    """Find the calibrated 2-D pictures of a frame.

    Parameters
    ----------
    items : sequence of mapping
        The items of the Sequence of Ultrasound Regions, by keyword.
    rows, columns : int
        Of the frame.

    Returns
    -------
    list of Region
        From left to right as on the screen, where they stay relative to the first;
        the whole frame, of unknown pixel size, when there is none.
    list of str
        What had to be assumed.
    """
    notes: list[str] = []
    usable = [item for item in items if _is_picture(item)]
    # A colour box lies in the picture of tissue; alone it is the picture.
    tissue = [i for i in usable if _number(i, "RegionDataType") != _COLOUR_FLOW]
    calibrated: list[tuple[Mapping[str, Any], Region]] = []
    for item in tissue or usable:
        region = _region(item, rows, columns, notes)
        if region is not None and _number(item, "RegionDataType") == _TISSUE:
            flows = [i for i in usable if _number(i, "RegionDataType") == _COLOUR_FLOW]
            region = replace(region, is_stated_tissue=not flows)
        if region is not None and not any(_overlap(region, r) for _, r in calibrated):
            calibrated.append((item, region))
    if not calibrated:
        if items:
            notes.append("no region of the frame is a 2-D picture with a size in cm")
        notes.append("the whole frame is kept, with the text that may be burnt in")
        return [Region((0, rows, 0, columns), None)], list(dict.fromkeys(notes))
    calibrated.sort(key=lambda pair: (pair[1].box[2], pair[1].box[0]))
    regions = [region for _, region in calibrated]
    first = regions[0]
    return [first, *(_beside(first, r) for r in regions[1:])], list(
        dict.fromkeys(notes)
    )


def _is_picture(item: Mapping[str, Any]) -> bool:
    sizes = [_number(item, f"PhysicalDelta{axis}") for axis in "XY"]
    return (
        _number(item, "RegionSpatialFormat") == _TWO_D
        and _number(item, "PhysicalUnitsXDirection") == _CENTIMETRES
        and _number(item, "PhysicalUnitsYDirection") == _CENTIMETRES
        and all(_SMALLEST_MM <= abs(s) * _MM_PER_CM <= _LARGEST_MM for s in sizes)
    )


def _number(item: Mapping[str, Any], name: str) -> float:
    """Return a number of an item; NaN when it is missing or none."""
    try:
        return float(item[name])
    except (KeyError, TypeError, ValueError):
        return math.nan


def _region(
    item: Mapping[str, Any], rows: int, columns: int, notes: list[str]
) -> Region | None:
    edges = [
        _number(item, f"RegionLocation{name}")
        for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")
    ]
    if not all(map(math.isfinite, edges)):
        return None
    left, top, right, bottom = edges
    across, down = right < columns + _SLACK_PX, bottom < rows + _SLACK_PX
    factor = 1.0
    if not (across and down):
        screen = _screen_before(rows, columns, right, bottom)
        if screen is not None:
            factor = screen[0] / columns
            notes.append(
                f"the region ends at ({right:g}, {bottom:g}) in a frame of {columns} x "
                f"{rows}: the frame was taken to be reduced from {screen[0]} x "
                f"{screen[1]}, and its pixels to be {factor:g} times as large"
            )
        elif across or down:
            notes.append(
                f"the region ends at ({right:g}, {bottom:g}) in a frame of {columns} x "
                f"{rows}: the frame was taken to be cut off"
            )
        else:
            notes.append(
                f"the region ends at ({right:g}, {bottom:g}), outside the frame of "
                f"{columns} x {rows}: the pixel size is not known"
            )
            return None
    # The last row and column belong to the region.
    box = (
        max(0, math.floor(top / factor)),
        min(rows, math.ceil((bottom + 1) / factor)),
        max(0, math.floor(left / factor)),
        min(columns, math.ceil((right + 1) / factor)),
    )
    if box[1] - box[0] < 2 or box[3] - box[2] < 2:
        return None
    deltas = [_number(item, f"PhysicalDelta{axis}") for axis in "YX"]
    axial, lateral = (abs(delta) * _MM_PER_CM * factor for delta in deltas)
    in_frame = _is_in_frame(item)
    if in_frame:
        notes.append(
            "the reference pixel was taken to count from the corner of the frame, not "
            "of the region"
        )
    return Region(box, (axial, lateral), _origin_mm(item, in_frame))


def _screen_before(
    rows: int, columns: int, right: float, bottom: float
) -> tuple[int, int] | None:
    """Return the smallest usual screen of this shape in which a region has room."""
    for width, height in sorted(_SCREENS):
        same_shape = abs(width * rows - height * columns) <= 0.01 * width * rows
        has_room = right < width + _SLACK_PX and bottom < height + _SLACK_PX
        # One that is hardly larger is no reduction.
        if width > 1.05 * columns and same_shape and has_room:
            return width, height
    return None


def _is_in_frame(item: Mapping[str, Any]) -> bool:
    """Return whether the reference pixel counts from the frame, as some scanners do.

    By DICOM it counts from the region. It does not where it is then outside of the
    region, or deep in it, and is at the region's corner or above its middle otherwise.
    """
    left, top, right, bottom, x, y = (
        _number(item, name)
        for name in (
            *(f"RegionLocation{edge}" for edge in ("MinX0", "MinY0", "MaxX1", "MaxY1")),
            "ReferencePixelX0",
            "ReferencePixelY0",
        )
    )
    if not (math.isfinite(x) and math.isfinite(y)) or max(left, top) < 1:
        return False
    width, height = right - left + 1, bottom - top + 1
    inside_frame = left <= x <= right and top <= y <= bottom
    if not inside_frame:
        return False
    if x >= width or y >= height:
        return True
    at_corner = abs(x - left) <= 1 and abs(y - top) <= 1
    return at_corner or (y > height / 2 and y - top < height / 4)


def _origin_mm(item: Mapping[str, Any], in_frame: bool) -> tuple[float, float]:
    """Return the place of the first pixel, by the region's reference pixel."""
    axial, lateral = (_first_mm(item, axis, in_frame) for axis in "YX")
    return axial, lateral


def _first_mm(item: Mapping[str, Any], axis: str, in_frame: bool) -> float:
    delta = _number(item, f"PhysicalDelta{axis}")
    reference = _number(item, f"ReferencePixel{axis}0")
    value = _number(item, f"ReferencePixelPhysicalValue{axis}")
    if not math.isfinite(reference):
        return 0.0
    if in_frame:
        reference -= _number(item, f"RegionLocationMin{axis}0")
    value = value if math.isfinite(value) else 0.0
    # Layers run down and to the right; where the physical axis does not, it is
    # mirrored. A pixel of a reduced frame is larger, and lies at the same place.
    along = value - reference * delta
    return math.copysign(1.0, delta) * along * _MM_PER_CM + 0.0


def _overlap(one: Region, other: Region) -> bool:
    """Return whether two boxes share more than half of the smaller."""
    height, width = (
        min(one.box[i + 1], other.box[i + 1]) - max(one.box[i], other.box[i])
        for i in (0, 2)
    )
    smaller = min(math.prod(one.shape), math.prod(other.shape))
    return min(height, width) > 0 and 2 * height * width > smaller


def _beside(first: Region, region: Region) -> Region:
    """Put a further picture where the screen has it, relative to the first.

    By their own reference pixels two pictures would lie one on the other.
    """
    steps = first.spacing_mm or (0.0, 0.0)
    axial, lateral = (
        first.origin_mm[i] + (region.box[2 * i] - first.box[2 * i]) * step
        for i, step in enumerate(steps)
    )
    return replace(region, origin_mm=(axial, lateral))
