"""Capture of a viewer's content as a project."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow._napari.annotate.mark_layers import marks_in
from napari_usflow._napari.compare.widget import suggested_pair
from napari_usflow._napari.layers.content import LayerError, usflow_metadata
from napari_usflow._napari.layers.meaning import input_of, values_of
from napari_usflow._napari.layers.results import versions
from napari_usflow._napari.layers.views import is_view
from napari_usflow._napari.measure.bench import Bench
from napari_usflow._napari.measure.measured_image import MeasuredImage
from napari_usflow._napari.project.layer_state import drawn_state, image_look
from napari_usflow.evaluate.project.model import Drawn, Project
from napari_usflow.evaluate.regions import Region
from napari_usflow.io.project.images import IN_PLACE, Matrix, StoredImage

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow._napari.measure.layer_regions import LayerRegion

__all__ = ["project_of"]

_DRAWN = ("Shapes", "Points", "Labels")
_SECONDS = {"second": 1.0, "millisecond": 1e-3, "microsecond": 1e-6}


def project_of(viewer: ViewerModel, bench: Bench | None = None) -> Project:
    """Take up the layers of a viewer, their regions, numbers and marks.

    Nothing of the images is read but the frame that is seen.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    bench : Bench, optional
        What is measured; by default the pair that Compare would suggest, in all that
        is drawn and visible.
    """
    if bench is None:
        bench = Bench(viewer)
        before, after = suggested_pair(viewer)
        bench.choose_images(before or after, None, bench.range_db)
        bench.choose_drawn(None)
    layers = [layer for layer in viewer.layers if not is_view(layer)]
    images = [layer for layer in layers if type(layer).__name__ == "Image"]
    regions, numbers = bench.measure()
    compared = [images.index(image.layer) for image in bench.images]
    return Project(
        [_image(viewer, layer, images, bench.range_db) for layer in images],
        compared,
        _regions(bench, regions),
        marks_in(viewer),
        numbers,
        bench.frames()[0] if bench.images else 0,
        bench.range_db,
        [
            Drawn(type(layer).__name__.lower(), *drawn_state(layer))
            for layer in layers
            if type(layer).__name__ in _DRAWN
        ],
        _view(viewer),
        versions(),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _image(
    viewer: ViewerModel, layer: Image, images: list[Image], range_db: float
) -> StoredImage:
    before = input_of(viewer, layer)
    data = layer.data[0] if layer.multiscale else layer.data
    plain = StoredImage(
        layer.name,
        data,
        result_of=images.index(before) if before in images else None,
        provenance=usflow_metadata(layer),
        look=image_look(layer),
    )
    try:
        measured = MeasuredImage(layer, range_db)
    except LayerError:  # in colour, or of four axes
        return plain
    values, low_high = values_of(layer)
    timed = layer.ndim == 3
    return StoredImage(
        plain.name,
        data,
        values,
        low_high,
        measured.grid,
        measured.in_mm,
        _own(measured),
        layer.axis_labels[0] if timed else "t",
        _interval_s(layer) if timed else None,
        plain.result_of,
        plain.provenance,
        plain.look,
    )


def _own(image: MeasuredImage) -> Matrix:
    origin, first, second = image.own([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    if np.allclose([origin, first, second], [[0, 0], [1, 0], [0, 1]], atol=1e-9):
        return IN_PLACE
    rows = np.stack([first - origin, second - origin, origin], axis=1).tolist()
    return tuple(rows[0]), tuple(rows[1])


def _interval_s(layer: Image) -> float | None:
    unit = _SECONDS.get(str(layer.units[0]))
    return None if unit is None else float(layer.scale[0]) * unit


def _regions(bench: Bench, regions: list[LayerRegion]) -> list[Region]:
    """Return the regions in the world; painted ones stay on the image before."""
    from dataclasses import replace

    placed = []
    for measured in regions:
        region = measured.region
        if region.kind != "mask":
            points = bench.images[0].world(region.points_mm)
            region = replace(region, points_mm=points)
        placed.append(region)
    return placed


def _view(viewer: ViewerModel) -> Mapping[str, Any]:
    camera = getattr(viewer, "scene", viewer).camera
    return {
        "center": [float(value) for value in camera.center],
        "zoom": float(camera.zoom),
        "point": [float(value) for value in viewer.dims.point],
    }
