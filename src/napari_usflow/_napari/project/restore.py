"""A project as layers, in the place, look and view that it was saved in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_usflow._napari.layers.content import LayerData
from napari_usflow._napari.project.layer_state import drawn_layer, image_layer
from napari_usflow.evaluate.project.model import Drawn, Project
from napari_usflow.evaluate.project.store import read_project
from napari_usflow.io.guards.file_checks import FilePath

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["project_layers"]


def project_layers(path: FilePath) -> list[LayerData]:
    """Return the layers of a project; what cannot be opened is told as a warning.

    Raises
    ------
    FileFormatError
        When nothing of it can be opened.
    """
    from napari.utils.notifications import show_warning

    project = read_project(path)
    problems = list(project.problems)
    viewer = _viewer()
    project = _renamed(project, viewer)
    layers: list[LayerData] = [
        image_layer(image, image.provenance)
        for image in project.images
        if image.data is not None
    ]
    for drawn in project.drawn:
        try:
            layers.append(drawn_layer(drawn).as_layer_data_tuple())
        except Exception as error:  # noqa: BLE001 - napari raises what it likes
            name = drawn.attributes.get("name", drawn.kind)
            problems.append(f"Layer {name!r} is left out: {error}.")
    for problem in problems:
        show_warning(problem)
    if viewer is not None and layers:
        _look_when_shown(viewer, layers[-1][1]["name"], project.view)
    return layers


def _viewer() -> ViewerModel | None:
    if "napari.viewer" not in sys.modules:
        return None
    from napari.viewer import current_viewer

    return current_viewer()


def _renamed(project: Project, viewer: ViewerModel | None) -> Project:
    """Give layers new names where the viewer has them already.

    napari would do it too, but results are known by the name of their input.
    """
    taken = set() if viewer is None else {layer.name for layer in viewer.layers}
    names: dict[str, str] = {}
    stored = [image.name for image in project.images]
    stored += [str(drawn.attributes.get("name", "")) for drawn in project.drawn]
    for name in stored:
        new, number = name, 1
        while new in taken:
            new, number = f"{name} [{number}]", number + 1
        names[name] = new
        taken.add(new)
    images = [
        replace(
            image,
            name=names[image.name],
            provenance=_with_source(image.provenance, names),
        )
        for image in project.images
    ]
    drawn = [
        Drawn(
            layer.kind,
            {
                **layer.attributes,
                "name": names[str(layer.attributes.get("name", ""))],
            },
            layer.data,
        )
        for layer in project.drawn
    ]
    return replace(project, images=images, drawn=drawn)


def _with_source(
    provenance: Mapping[str, Any], names: Mapping[str, str]
) -> Mapping[str, Any]:
    source = str(provenance.get("source_layer"))
    if source not in names:
        return provenance
    return {**provenance, "source_layer": names[source]}


def _look_when_shown(viewer: ViewerModel, last: str, view: Mapping[str, Any]) -> None:
    """Take camera and sliders up once the last layer is there."""
    inserted = viewer.layers.events.inserted

    def on_inserted(event: Any) -> None:
        if event.value.name != last:
            return
        inserted.disconnect(on_inserted)
        camera = getattr(viewer, "scene", viewer).camera
        point, center, zoom = (view.get(n) for n in ("point", "center", "zoom"))
        if isinstance(point, list) and len(point) == viewer.dims.ndim:
            viewer.dims.set_point(range(len(point)), point)
        if isinstance(center, list) and len(center) == 3 and zoom:
            camera.center, camera.zoom = tuple(center), float(zoom)

    # After napari's own callback, which resets the view.
    inserted.connect(on_inserted, position="last")
