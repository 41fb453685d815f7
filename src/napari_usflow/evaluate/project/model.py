"""Data model of a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.measure import Measurement, decibels, measure_frame
from napari_usflow.evaluate.project.marks import Mark
from napari_usflow.evaluate.regions import Region
from napari_usflow.io.project.images import StoredImage
from napari_usflow.ultrasound.data import PixelGrid

__all__ = ["Drawn", "Project", "own_points", "own_region"]


@dataclass(frozen=True)
class Drawn:
    """A layer that is drawn on, as a window shows it.

    Attributes
    ----------
    kind : {"shapes", "points", "labels"}
    attributes : dict
        Keyword arguments of the layer, as values that JSON can hold.
    data : ndarray or list
        Labels, or the coordinates of each shape or point.
    """

    kind: str
    attributes: Mapping[str, Any]
    data: Any


@dataclass(frozen=True)
class Project:
    """Images before and after, what is drawn on them, and what was measured.

    Attributes
    ----------
    images : sequence of StoredImage
        From the bottom to the top.
    compared : sequence of int
        The image before, and those after it, by their numbers.
    regions : sequence of Region
        In mm, or in pixels where the images are.
    marks : sequence of Mark
    numbers : sequence of sequences of Measurement
        Of each compared image, as they were shown.
    frame : int
        The frame that was looked at.
    dynamic_range_db : float
        Decibels from black to white of display grey.
    drawn : sequence of Drawn
        The layers of regions and marks, for a window.
    view : dict
        Camera and sliders, for a window.
    versions : dict
        Of the programs that wrote it.
    saved : str
        When, ISO 8601.
    problems : sequence of str
        What could not be read.
    """

    images: Sequence[StoredImage] = ()
    compared: Sequence[int] = ()
    regions: Sequence[Region] = ()
    marks: Sequence[Mark] = ()
    numbers: Sequence[Sequence[Measurement]] = ()
    frame: int = 0
    dynamic_range_db: float = 60.0
    drawn: Sequence[Drawn] = ()
    view: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    saved: str = ""
    problems: Sequence[str] = ()

    def compared_images(self) -> list[StoredImage]:
        """Return the image before and those after it, as far as they can be read."""
        images = [self.images[n] for n in self.compared if 0 <= n < len(self.images)]
        return [image for image in images if image.data is not None and image.grid]

    def frame_of(self, image: StoredImage) -> int:
        """Return the frame of an image that was looked at."""
        return min(max(self.frame, 0), image.frames - 1)

    def frame_values(self, image: StoredImage) -> npt.NDArray[Any]:
        """Read that frame in the image's own values."""
        assert image.data is not None
        data = image.data
        if len(data.shape) == 3:
            return np.asarray(data[self.frame_of(image)])
        return np.asarray(data)

    def measured(self) -> list[list[Measurement]]:
        """Measure the compared images anew, on the frame that was looked at."""
        rows = []
        for image in self.compared_images():
            grid = image.grid
            assert isinstance(grid, PixelGrid)
            frame = self.frame_values(image)
            if image.values is not None:
                frame = decibels(
                    frame, image.values, image.value_range, self.dynamic_range_db
                )
            regions = [own_region(region, image) for region in self.regions]
            rows.append(measure_frame(frame, grid, regions, frame=self.frame))
        return rows


def own_region(region: Region, image: StoredImage) -> Region:
    """Return a region along an image's own axes."""
    if region.kind == "mask":
        return region
    hole = region.hole_mm
    return replace(
        region,
        points_mm=own_points(region.points_mm, image),
        hole_mm=None if hole is None else own_points(hole, image),
    )


def own_points(
    points: npt.NDArray[np.float64], image: StoredImage
) -> npt.NDArray[np.float64]:
    """Turn positions of regions and marks into positions along an image's own axes."""
    matrix = np.asarray(image.own)
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])
