"""Regions to measure in: what they are for, and which pixels are theirs.

A region lies in millimetres, (axial, lateral), so that it means the same on images of
any grid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_usflow.io.picmus import Phantom
from napari_usflow.ultrasound.data import PixelGrid

__all__ = [
    "AREA_ROLES",
    "ROLES",
    "ROLE_COLORS",
    "Kind",
    "Pixels",
    "Region",
    "Role",
    "phantom_regions",
]

Role = Literal["target", "background", "speckle", "point", "wall"]
Kind = Literal["polygon", "ellipse", "line", "point", "mask"]

ROLES: tuple[Role, ...] = get_args(Role)
AREA_ROLES: tuple[Role, ...] = ("target", "background", "speckle")
"""Roles of regions whose pixels are measured together."""

ROLE_COLORS = {
    "target": "#ff6b6b",
    "background": "#4dabf7",
    "speckle": "#69db7c",
    "point": "#e599f7",
    "wall": "#ffa94d",
}
"""Colours of regions in windows, pages and figures."""


@dataclass(frozen=True)
class Pixels:
    """Pixels of a region: a window of the grid, and which pixels of it.

    Attributes
    ----------
    window : (slice, slice)
        Rows and columns.
    mask : ndarray, shape of the window, bool
    """

    window: tuple[slice, slice]
    mask: npt.NDArray[np.bool_]

    @property
    def count(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.mask))

    def of(self, frame: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the values of a frame in the region, those that are finite."""
        values = np.asarray(frame[self.window][self.mask], np.float64)
        return values[np.isfinite(values)]


@dataclass(frozen=True)
class Region:
    """A region with its role.

    Attributes
    ----------
    role : {"target", "background", "speckle", "point", "wall"}
        What it is for.
    kind : {"polygon", "ellipse", "line", "point", "mask"}
        Its shape.
    points_mm : ndarray, shape (N, 2)
        (axial, lateral): the corners of a polygon, four corners of the (turned) box
        around an ellipse, the points of a line, or the point.
    name : str
        For the table.
    hole_mm : ndarray, shape (M, 2), optional
        What is cut out of a polygon or an ellipse, a shape of the same kind.
    frame : int, optional
        The only frame that it counts for; every frame without.
    mask, grid : ndarray of bool and PixelGrid, optional
        The pixels of a ``mask``, and where they are.
    """

    role: Role
    kind: Kind
    points_mm: npt.NDArray[np.float64]
    name: str = ""
    hole_mm: npt.NDArray[np.float64] | None = None
    frame: int | None = None
    mask: npt.NDArray[np.bool_] | None = field(default=None, compare=False)
    grid: PixelGrid | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(
                f"a region has the role {self.role!r}; expected one of "
                f"{', '.join(ROLES)}"
            )
        points = np.asarray(self.points_mm, np.float64).reshape(-1, 2)
        object.__setattr__(self, "points_mm", points)
        least = {"polygon": 3, "ellipse": 4, "line": 2, "point": 1, "mask": 0}
        if self.kind not in least:
            raise ValueError(f"a region has the kind {self.kind!r}")
        if len(points) < least[self.kind] or not np.isfinite(points).all():
            raise ValueError(
                f"region {self.name!r}: a {self.kind} needs at least "
                f"{least[self.kind]} points with finite positions in mm"
            )

    @property
    def center_mm(self) -> npt.NDArray[np.float64]:
        """Mean of its points (axial, lateral)."""
        return np.asarray(self.points_mm.mean(axis=0))

    def counts_in(self, frame: int) -> bool:
        """Return whether it counts for a frame."""
        return self.frame is None or self.frame == frame

    def pixels(self, grid: PixelGrid) -> Pixels:
        """Return the pixels of a grid whose centres lie in the region.

        None of a line or a point.
        """
        if self.kind in ("line", "point") or len(self.points_mm) == 0:
            return Pixels((slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool))
        window = _window(self.points_mm, grid)
        axes = [axis[part] for axis, part in zip(grid.axes_mm(), window, strict=True)]
        if self.kind == "mask":
            return Pixels(window, self._masked(*axes))
        mask = _inside(self.kind, self.points_mm, *axes)
        if self.hole_mm is not None:
            mask &= ~_inside(self.kind, self.hole_mm, *axes)
        return Pixels(window, mask)

    def _masked(
        self, z_mm: npt.NDArray[np.float64], x_mm: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        """Look its own pixel up for each pixel of another grid."""
        assert self.mask is not None and self.grid is not None
        inside, indices = [], []
        for axis, values in enumerate((z_mm, x_mm)):
            step = (values - self.grid.origin_mm[axis]) / self.grid.spacing_mm[axis]
            index = np.rint(step).astype(int)
            inside.append((index >= 0) & (index < self.grid.shape[axis]))
            indices.append(np.clip(index, 0, self.grid.shape[axis] - 1))
        mask = self.mask[np.ix_(*indices)] & np.outer(*inside)
        return np.asarray(mask, bool)


def _window(points: npt.NDArray[np.float64], grid: PixelGrid) -> tuple[slice, slice]:
    """Return the rows and columns that a shape may touch; empty outside of the grid."""
    parts = []
    for axis in (0, 1):
        steps = (points[:, axis] - grid.origin_mm[axis]) / grid.spacing_mm[axis]
        size = grid.shape[axis]
        first = int(np.clip(np.floor(steps.min()), 0, size))
        last = int(np.clip(np.ceil(steps.max()) + 1, 0, size))
        parts.append(slice(first, max(first, last)))
    return parts[0], parts[1]


def _inside(
    kind: Kind,
    points: npt.NDArray[np.float64],
    z_mm: npt.NDArray[np.float64],
    x_mm: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    if kind == "ellipse":
        return _in_ellipse(points, z_mm, x_mm)
    return _in_polygon(points, z_mm, x_mm)


def _in_ellipse(
    corners: npt.NDArray[np.float64],
    z_mm: npt.NDArray[np.float64],
    x_mm: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    center = corners[:4].mean(axis=0)
    halves = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    matrix = np.stack(halves, axis=1)
    if abs(np.linalg.det(matrix)) < 1e-12:
        return np.zeros((z_mm.size, x_mm.size), bool)
    inverse = np.linalg.inv(matrix)
    z, x = z_mm[:, None] - center[0], x_mm[None, :] - center[1]
    first = inverse[0, 0] * z + inverse[0, 1] * x
    second = inverse[1, 0] * z + inverse[1, 1] * x
    # Rounding must not lose the pixels on the edge.
    return np.asarray(first**2 + second**2 <= 1 + 1e-9)


def _in_polygon(
    points: npt.NDArray[np.float64],
    z_mm: npt.NDArray[np.float64],
    x_mm: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    """Cast a ray along each row and count the edges that it crosses (even-odd rule)."""
    inside = np.zeros((z_mm.size, x_mm.size), bool)
    following = np.roll(points, -1, axis=0)
    for (z0, x0), (z1, x1) in zip(points, following, strict=True):
        crossed = (z0 <= z_mm) != (z1 <= z_mm)
        if crossed.any():
            at = x0 + (z_mm[crossed] - z0) / (z1 - z0) * (x1 - x0)
            inside[crossed] ^= x_mm[None, :] < at[:, None]
    return inside


def phantom_regions(phantom: Phantom) -> list[Region]:
    """Return the regions of a PICMUS phantom, as the challenge takes them.

    A cyst is a target of r - p and a ring around it from r + p to
    1.2 sqrt((r - p)^2 + (r + p)^2), p being 1.1 lateral resolutions.
    """
    regions: list[Region] = []
    margin = 1.1 * phantom.lateral_resolution_mm
    for number, cyst in enumerate(phantom.cysts, 1):
        inner, outer = cyst.diameter_mm / 2 - margin, cyst.diameter_mm / 2 + margin
        if inner <= 0:
            continue
        ring = _box(cyst.center_mm, 1.2 * float(np.hypot(inner, outer)))
        regions.append(
            Region("target", "ellipse", _box(cyst.center_mm, inner), f"cyst {number}")
        )
        # What lies on the limit belongs to the ring.
        hole = _box(cyst.center_mm, outer * (1 - 1e-6))
        regions.append(
            Region("background", "ellipse", ring, f"around cyst {number}", hole)
        )
    for number, roi in enumerate(phantom.speckle_regions, 1):
        box = _box(roi.center_mm, roi.half_size_mm)
        regions.append(Region("speckle", "polygon", box, f"speckle {number}"))
    for number, point in enumerate(phantom.points_mm, 1):
        regions.append(Region("point", "point", point, f"point {number}"))
    return regions


def _box(
    center: tuple[float, float], half: float | tuple[float, float]
) -> npt.NDArray[np.float64]:
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], float)
    return np.asarray(np.asarray(center) + corners * np.asarray(half))
