"""Sectors in napari: the lines as they were beamformed, and the picture made of them.

A sector opens as two layers with one contrast: its scan-converted picture, in place and
in mm, and beside it the lines, unrolled, radius down and angle across. The speckle of a
sector is removed on its lines, whichever of the two layers is chosen; what is shown of
the result is its picture.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow._napari.layers.content import (
    LayerContent,
    LayerData,
    grey_stack,
    layer_data,
    usflow_metadata,
)
from napari_usflow.jobs import Event, FrameDone
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.scan_convert import cartesian_grid, scan_convert

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["Sector", "link_when_shown", "sector_layers", "sector_of"]

_KEY = "usflow_sector"
_GAP_MM = 5.0


@dataclass(frozen=True)
class Sector:
    """The lines of a sector and the pixels that they are shown on.

    Attributes
    ----------
    image : UltrasoundImage
        On a polar grid.
    picture : PixelGrid
        Of the scan-converted picture.
    """

    image: UltrasoundImage
    picture: PixelGrid

    def shown(self) -> UltrasoundImage:
        """Return the scan-converted picture; lazy where the lines are."""
        return scan_convert(self.image, grid=self.picture)

    def stack_for(self, layer: Image) -> Any:
        """Return what a result shows while it is made: the picture of the input."""
        if _KEY in layer.metadata:
            return layer.data[0] if layer.multiscale else layer.data
        stack = self.shown().data
        return stack if layer.ndim == 3 else stack[0]

    def look_for(self, layer: Image) -> dict[str, Any]:
        """Return what of a result's place is not that of its input."""
        if _KEY in layer.metadata:
            return {}
        return {
            "scale": [*layer.scale[:-2], *self.picture.spacing_mm],
            "translate": [*layer.translate[:-2], *self.picture.origin_mm],
            "axis_labels": [*layer.axis_labels[:-2], "z", "x"],
        }

    def shown_events(
        self, events: Generator[Event, None, None]
    ) -> Generator[Event, None, None]:
        """Pass events on, with finished frames as pictures."""
        for event in events:
            if isinstance(event, FrameDone):
                lines = self.image.with_data(event.data[np.newaxis])
                picture = scan_convert(lines, grid=self.picture)
                event = replace(event, data=np.asarray(picture.data[0]))
            yield event


def sector_layers(image: UltrasoundImage) -> list[LayerData]:
    """Return the layers of a sector: its lines, and its picture, which is shown on top.

    Parameters
    ----------
    image : UltrasoundImage
        On a polar grid.
    """
    assert isinstance(image.grid, PolarGrid)
    sector = Sector(image, cartesian_grid(image.grid))
    data, kwargs, kind = layer_data(sector.shown())
    metadata = {**kwargs["metadata"], _KEY: sector}
    # The last layer added is the active one, and gives the viewer its axis labels.
    return [
        _line_layer(sector, kwargs),
        (data, {**kwargs, "metadata": metadata}, kind),
    ]


def _line_layer(sector: Sector, like: dict[str, Any]) -> LayerData:
    """Lay the lines to the right of the picture, samples as large as at mid depth."""
    image, grid = sector.image, sector.image.grid
    assert isinstance(grid, PolarGrid)
    data: Any = image.data if image.data.shape[0] > 1 else image.data[0]
    _, x_mm = sector.picture.axes_mm()
    first_mm = grid.apex_mm[0] + grid.radius_mm[0]
    noted = {
        **like["metadata"]["usflow"],
        "grid": {
            "radius_mm": grid.radius_mm,
            "angle_rad": grid.angle_rad,
            "apex_mm": grid.apex_mm,
        },
    }
    kwargs = {
        **like,
        "name": f"{like['name']} lines",
        "scale": [*like["scale"][:-2], *grid.mean_pixel_mm],
        "translate": [*like["translate"][:-2], first_mm, float(x_mm[-1]) + _GAP_MM],
        "axis_labels": [*like["axis_labels"][:-2], "r", "angle"],
        "metadata": {"usflow": noted},
    }
    return data, kwargs, "image"


def sector_of(layer: Image, content: LayerContent) -> Sector | None:
    """Return the sector that a layer shows, as picture or as lines; None for others.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    content : LayerContent
        What it holds.
    """
    metadata: dict[str, Any] = {"name": layer.name}
    if content.value_range is not None:
        metadata["value_range"] = content.value_range
    made_of = layer.metadata.get(_KEY)
    if isinstance(made_of, Sector) and made_of.picture.shape == content.shape[1:]:
        image = replace(made_of.image, values=content.values, metadata=metadata)
        return Sector(image, made_of.picture)
    noted = usflow_metadata(layer).get("grid")
    if not isinstance(noted, dict) or "radius_mm" not in noted:
        return None
    grid = PolarGrid(
        content.shape[1:],
        *(tuple(noted[name]) for name in ("radius_mm", "angle_rad", "apex_mm")),
    )
    axis = layer.axis_labels[0] if layer.ndim == 3 else "t"
    image = UltrasoundImage(grey_stack(layer), content.values, grid, axis)
    return Sector(replace(image, metadata=metadata), cartesian_grid(grid))


def link_when_shown(layers: list[LayerData]) -> None:
    """Have layers share contrast limits and gamma once they are in the viewer.

    The layers are only made after the reader is done, so the next ones to appear in
    the current viewer are looked at.
    """
    if "napari.viewer" not in sys.modules:
        return
    from napari.viewer import current_viewer

    viewer = current_viewer()
    if viewer is None:
        return
    awaited, shown = [data for data, _, _ in layers], []
    inserted = viewer.layers.events.inserted

    def on_inserted(event: Any) -> None:
        if any(event.value.data is data for data in awaited):
            shown.append(event.value)
        else:
            inserted.disconnect(on_inserted)
        if len(shown) == len(awaited):
            inserted.disconnect(on_inserted)
            viewer.layers.link_layers(shown, ("contrast_limits", "gamma"))

    inserted.connect(on_inserted, position="last")
