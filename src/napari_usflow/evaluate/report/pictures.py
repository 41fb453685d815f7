"""Frames of a project as pictures, and what is drawn on them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.project.marks import Mark
from napari_usflow.evaluate.project.model import Project, own_points
from napari_usflow.evaluate.regions import ROLE_COLORS, Region
from napari_usflow.evaluate.regrid import resampled
from napari_usflow.io.project.images import StoredImage
from napari_usflow.ultrasound.data import PixelGrid

__all__ = [
    "MARK_COLOR",
    "Outline",
    "frame_on",
    "limits_of",
    "outlines",
    "png",
    "shades",
]

Floats = npt.NDArray[np.float64]

MARK_COLOR = "#ffd166"
_USUAL = {"db": (-60.0, 0.0), "display": (0.0, 255.0)}
_LARGEST = 4096


@dataclass(frozen=True)
class Outline:
    """A shape on a picture.

    Attributes
    ----------
    kind : {"area", "line", "point"}
    points : ndarray, shape (N, 2)
        Pixels (row, column) of the picture, not rounded.
    color, label : str
    hole : ndarray, shape (M, 2), optional
        What is cut out of an area.
    """

    kind: str
    points: Floats
    color: str
    label: str
    hole: Floats | None = None


def frame_on(project: Project, image: StoredImage, like: StoredImage) -> Floats:
    """Return the frame of an image on the pixels of another image; NaN beside it."""
    frame = project.frame_values(image)
    matrix, offset = _between(like, image)
    assert isinstance(like.grid, PixelGrid) and isinstance(image.grid, PixelGrid)
    same = np.allclose(matrix, np.eye(2)) and np.allclose(offset, 0, atol=1e-3)
    if same and image.grid.shape == like.grid.shape:
        return np.asarray(frame, np.float64)
    return np.asarray(resampled(frame, matrix, offset, like.grid.shape), np.float64)


def _between(first: StoredImage, second: StoredImage) -> tuple[Floats, Floats]:
    """Return matrix and offset that turn pixels of one image into those of another."""
    steps, origins = [], []
    for image in (first, second):
        grid = image.grid
        assert isinstance(grid, PixelGrid)
        own = np.asarray(image.own)
        scale = np.diag(1 / np.asarray(grid.spacing_mm))
        # Position to pixel.
        steps.append(scale @ own[:, :2])
        origins.append(scale @ (own[:, 2] - np.asarray(grid.origin_mm)))
    back = np.linalg.inv(steps[0])
    matrix = steps[1] @ back
    return matrix, origins[1] - matrix @ origins[0]


def limits_of(image: StoredImage, frame: Floats) -> tuple[float, float]:
    """Return the values that are shown as black and white."""
    limits = image.look.get("contrast_limits") or image.value_range
    if limits is None and image.values in _USUAL:
        limits = _USUAL[image.values]
    if limits is None:
        known = frame[np.isfinite(frame)]
        limits = (float(known.min()), float(known.max())) if known.size else (0, 1)
    low, high = float(limits[0]), float(limits[1])
    return low, high if high > low else low + 1


def shades(frame: Floats, image: StoredImage) -> npt.NDArray[np.uint8]:
    """Return a frame in grey as its layer shows it: contrast limits and gamma."""
    low, high = limits_of(image, frame)
    share = np.clip((np.nan_to_num(frame, nan=low) - low) / (high - low), 0, 1)
    gamma = image.look.get("gamma", 1.0)
    if isinstance(gamma, int | float) and gamma > 0:
        share = share**gamma
    return np.asarray(np.rint(255 * share), np.uint8)


def png(grey: npt.NDArray[np.uint8], *, largest: int | None = _LARGEST) -> bytes:
    """Return a picture as a PNG, thinned where a side has more than so many pixels."""
    from PIL import Image

    picture = Image.fromarray(grey)
    if largest is not None:
        picture.thumbnail((largest, largest))
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def outlines(project: Project, image: StoredImage) -> list[Outline]:
    """Return the regions and marks of the frame as they lie on an image."""
    regions = [r for r in project.regions if r.counts_in(project.frame)]
    marks = [m for m in project.marks if m.frame in (None, project.frame)]
    shapes = [_of_region(region, image) for region in regions]
    shapes += [_of_mark(mark, image) for mark in marks if mark.kind != "frame"]
    return [shape for shape in shapes if len(shape.points)]


def _of_region(region: Region, image: StoredImage) -> Outline:
    color, name = ROLE_COLORS[region.role], region.name or region.role
    corners, hole = _corners(region.kind, region.points_mm), None
    if region.hole_mm is not None:
        hole = _pixels(_corners(region.kind, region.hole_mm), image)
    kind = region.kind if region.kind in ("line", "point") else "area"
    if region.kind == "mask":
        # Its own axes are those of the image that it was painted on.
        place = image.grid
        assert isinstance(place, PixelGrid)
        points = (corners - place.origin_mm) / np.asarray(place.spacing_mm)
        return Outline(kind, points, color, name)
    return Outline(kind, _pixels(corners, image), color, name, hole)


def _of_mark(mark: Mark, image: StoredImage) -> Outline:
    kind = mark.kind if mark.kind in ("line", "point") else "area"
    label = mark.text or mark.kind
    return Outline(kind, _pixels(mark.outline_mm(), image), MARK_COLOR, label)


def _corners(kind: str, points: Floats) -> Floats:
    if kind == "ellipse":
        return Mark("ellipse", points).outline_mm()
    if kind == "mask" and len(points) == 2:
        (z0, x0), (z1, x1) = points
        return np.array([[z0, x0], [z0, x1], [z1, x1], [z1, x0]])
    return points


def _pixels(points: Floats, image: StoredImage) -> Floats:
    grid = image.grid
    assert isinstance(grid, PixelGrid)
    moved = own_points(points, image) - grid.origin_mm
    return np.asarray(moved / np.asarray(grid.spacing_mm))
