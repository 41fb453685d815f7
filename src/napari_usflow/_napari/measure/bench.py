"""Current measurement: images, regions, and their numbers on the visible frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.compare.pair import is_comparable
from napari_usflow._napari.layers.content import LayerError
from napari_usflow._napari.layers.meaning import input_of, values_of
from napari_usflow._napari.layers.placement import affine_of, has_lengths
from napari_usflow._napari.layers.results import current_frame
from napari_usflow._napari.measure.layer_regions import LayerRegion, regions_on
from napari_usflow._napari.measure.lines import is_calipers, profile_line
from napari_usflow._napari.measure.measured_image import MeasuredImage
from napari_usflow._napari.measure.roles import can_hold_regions
from napari_usflow.evaluate.measure import Measurement, measure_frame
from napari_usflow.evaluate.profile import line_profile

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

__all__ = ["Bench"]

Floats = npt.NDArray[np.float64]


class Bench:
    """Images that are measured in the regions of layers.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Says which frame is seen.

    Attributes
    ----------
    images : list of MeasuredImage
        The one before first.
    drawn : list of napari.layers.Layer
        Whose regions count.
    problem : str
        Why the image before cannot be measured; empty where it can.
    range_db : float
        Decibels from black to white of display grey.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.images: list[MeasuredImage] = []
        self.drawn: list[Layer] = []
        self.problem = ""
        self.range_db = 60.0

    def choose_images(
        self, before: Image | None, after: Image | None, dynamic_range_db: float
    ) -> None:
        """Measure a layer and one after it, or all of its results.

        Without results of its own, all images that lie over it.
        """
        self.images, self.problem = [], ""
        self.range_db = dynamic_range_db
        if before is None:
            self.problem = "Open or choose an image layer first."
            return
        others = [
            layer for layer in self._viewer.layers if is_comparable(before, layer)
        ]
        if after is not None:
            others = [layer for layer in others if layer is after]
        else:
            own = [o for o in others if input_of(self._viewer, o) is before]
            others = own or others
        try:
            self.images = [
                MeasuredImage(layer, dynamic_range_db) for layer in (before, *others)
            ]
        except LayerError as error:
            self.problem = str(error)

    def choose_drawn(self, layer: Layer | None) -> None:
        """Count the regions of one layer, or of all that are visible."""
        self.drawn = [
            other
            for other in self._viewer.layers
            if can_hold_regions(other) and not is_calipers(other)
            if other is layer or (layer is None and other.visible)
        ]

    def forget(self, layer: Any = None) -> None:
        """Read the frames of a layer again, or of all, when they are next measured."""
        for image in self.images:
            if layer is None or image.layer is layer:
                image.forget()

    @property
    def names(self) -> list[str]:
        """Names of the images."""
        return [image.layer.name for image in self.images]

    @property
    def in_mm(self) -> bool:
        """Whether all sizes are in millimetres."""
        return all(image.in_mm for image in self.images)

    @property
    def in_decibels(self) -> bool:
        """Whether all levels are in decibels."""
        return all(image.in_decibels for image in self.images)

    @property
    def has_grey(self) -> bool:
        """Whether an image holds display grey, whose dynamic range counts."""
        return any(values_of(image.layer)[0] == "display" for image in self.images)

    def frames(self) -> list[int]:
        """Return the visible frame of each image."""
        return [current_frame(self._viewer, image.layer) for image in self.images]

    def regions(self) -> list[list[LayerRegion]]:
        """Return the regions as they lie on each image."""
        return [regions_on(image, self.drawn, self._viewer) for image in self.images]

    def measure(self) -> tuple[list[LayerRegion], list[list[Measurement]]]:
        """Measure the visible frame.

        Returns
        -------
        regions : list of LayerRegion
            On the image before.
        measured : list of lists of Measurement
            Of each image.
        """
        on_each = self.regions()
        measured = []
        for image, regions, frame in zip(
            self.images, on_each, self.frames(), strict=True
        ):
            rows = measure_frame(
                image.frame_db(frame),
                image.grid,
                [placed.region for placed in regions],
                frame=frame,
            )
            # Images may count their frames from different times.
            measured.append([replace(row, frame=self.frames()[0]) for row in rows])
        return (on_each[0] if on_each else []), measured

    def profiles(self) -> list[tuple[str, Floats, Floats]]:
        """Return the profile of each image along the line that is chosen."""
        line = profile_line(self._viewer)
        if line is None:
            return []
        layer, points = line
        curves = []
        for image, frame in zip(self.images, self.frames(), strict=True):
            lengths = image.in_mm and has_lengths(layer)
            matrix, offset = affine_of(layer, lengths=lengths)
            own = image.own(points[:, -2:] @ matrix.T + offset)
            distance, values = line_profile(image.frame_db(frame), image.grid, own)
            curves.append((image.layer.name, distance, values))
        return curves

    def features(
        self, regions: Sequence[LayerRegion], measured: Sequence[Sequence[Measurement]]
    ) -> None:
        """Write the numbers into the features of the layers that they are of."""
        for layer in self.drawn:
            columns: dict[str, dict[int, float]] = {}
            for name, rows in zip(self.names, measured, strict=True):
                by_region = {row.region: row for row in rows}
                for placed in regions:
                    row = by_region.get(placed.region.name)
                    if placed.layer is layer and row is not None:
                        for quantity, value in row.known().items():
                            column = columns.setdefault(f"{quantity} [{name}]", {})
                            column[placed.number] = value
            if columns:
                _write(layer, columns)


def _write(layer: Layer, columns: dict[str, dict[int, float]]) -> None:
    features = layer.features.copy()
    numbers = (
        features["index"] if type(layer).__name__ == "Labels" else range(len(features))
    )
    for name, values in columns.items():
        features[name] = [values.get(int(number), np.nan) for number in numbers]
    layer.features = features
