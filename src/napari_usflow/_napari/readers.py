"""Opening ultrasound files in napari, told by what is in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.beamform.layers import layers_of
from napari_usflow._napari.beamform.on_demand import OnDemandStack, follow_when_shown
from napari_usflow._napari.jobs.modal_wait import wait_for
from napari_usflow._napari.layers.colour_doppler import in_colour
from napari_usflow._napari.layers.content import LayerData
from napari_usflow._napari.layers.saved import as_it_was_saved
from napari_usflow._napari.layers.sectors import link_when_shown
from napari_usflow._napari.layers.shape_files import is_shape_file, read_shapes
from napari_usflow._napari.palette import ask_for_files
from napari_usflow._napari.project.restore import project_layers
from napari_usflow._napari.settings import PLUGIN, Preferences, preferences
from napari_usflow.errors import Cancelled, FileFormatError, UsflowError
from napari_usflow.io import detect, image_events, open_file
from napari_usflow.io.formats import is_left_to_others
from napari_usflow.io.guards.file_checks import SourceFile, source_file
from napari_usflow.io.opened import Opened
from napari_usflow.io.picmus import Phantom
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.ultrasound.data import UltrasoundImage

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["get_reader", "open_files", "read_layers"]

# Kinds that the manifest does not claim, and those that a drop leaves to others.
_NOT_CLAIMED = ("dicom-folder", "nifti-volume")
_READ_WHEN_ASKED = ("nifti-volume",)

PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def get_reader(
    path: PathOrPaths = (),
) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return the reader of a file, or None when it is not one of ours.

    Without a file, as napari's command palette calls it, the user is asked for one.

    Many programs write ``*.h5``; the file is opened, looked at and closed again.
    Pictures are left to napari, which shows more kinds of them, all but the TIFFs
    that say what their numbers are, as those do that are written here. For a TIFF or a
    Zarr group of another program, napari's own reader is returned: endings are all
    that napari chooses a reader by.
    """
    paths = _paths(path)
    if not paths:
        if not isinstance(path, list):
            _open_what_is_chosen()
        return None
    if all(map(is_shape_file, paths)):
        return lambda path: [read_shapes(p) for p in _paths(path)]
    files = {p: SourceFile(p) for p in paths}
    if any(map(is_left_to_others, files.values())):
        return _napari_reader(path) if all(map(_is_shared, paths)) else None

    def read(path: PathOrPaths) -> list[LayerData]:
        return read_layers([files.get(p, p) for p in _paths(path)])

    return read


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read the layers of one file or of several.

    An image file gives one layer whose frames are its plane-wave counts, raw data one
    beamformed image, a phantom its cysts and points. Of a stack of raw data the first
    frame is beamformed at once and each other one in a thread when it is looked at.
    Frames with colour Doppler are shown in colour.

    Raises
    ------
    FileFormatError
        When a file is damaged, or holds nothing that can be shown.
    """
    paths = [path] if isinstance(path, str | os.PathLike) else path
    return [layer for p in paths for layer in _read_one(source_file(p))]


def open_files(viewer: ViewerModel, paths: Sequence[str | os.PathLike[str]]) -> None:
    """Open files in a viewer, ours by this plugin and the others by napari.

    Left to itself, :meth:`napari.Viewer.open` tries napari's own reader only.
    """
    for path in paths:
        asked_for = read_layers if detect(path) in _READ_WHEN_ASKED else None
        reader = get_reader(path) or asked_for
        if reader is None:
            viewer.open(path, plugin="napari")
        elif detect(path) in _NOT_CLAIMED:
            # The manifest must not claim volumes and folders: for every one of them,
            # napari would ask which reader to take.
            for data, kwargs, kind in reader(path):
                getattr(viewer, f"add_{kind}")(data, **kwargs)
        else:
            viewer.open(path, plugin=PLUGIN)


def _paths(path: PathOrPaths) -> list[Path]:
    if isinstance(path, str | os.PathLike):
        return [Path(path)]
    return [Path(p) for p in path]


def _open_what_is_chosen() -> None:
    from napari import current_viewer
    from napari.utils.notifications import show_error

    viewer = current_viewer()
    paths = [] if viewer is None else ask_for_files()
    try:
        if viewer is not None:
            open_files(viewer, paths)
    except (UsflowError, ValueError, OSError) as error:
        show_error(str(error))


def _is_shared(path: Path) -> bool:
    """Tell whether an ending is claimed here and written by other programs as well."""
    name = path.name.lower()
    return path.exists() and name.endswith((".tif", ".tiff", ".zarr"))


def _napari_reader(
    path: PathOrPaths,
) -> Callable[[PathOrPaths], list[LayerData]] | None:
    try:
        builtins: Any = import_module("napari_builtins.io")
    except ImportError:
        return None
    reader: Callable[[PathOrPaths], list[LayerData]] | None
    reader = builtins.napari_get_reader([str(p) for p in _paths(path)])
    return reader


def _read_one(file: SourceFile) -> list[LayerData]:
    if detect(file) == "usflow-project":
        return project_layers(file)
    preferred = preferences()
    token = CancelToken()
    events = _opening(file, preferred, token)
    try:
        opened, images = wait_for(events, f"Opening {file.path.name}", token=token)
    except Cancelled as error:
        # napari wants layers or a reason.
        raise Cancelled(f"opening {file.path.name} was cancelled") from error
    if isinstance(opened.phantom, Phantom):
        return _phantom_layers(file.path, opened.phantom)
    is_raw = opened.channel_data is not None
    range_db = preferred.beamform.dynamic_range_db if is_raw else None
    layers = [
        layer
        for image in images
        for layer in _followed(layers_of(image, dynamic_range_db=range_db))
    ]
    if opened.colours:
        layers = in_colour(layers, opened.colours)
    layers = list(map(as_it_was_saved, layers))
    for data, kwargs, _ in layers:
        if kwargs["axis_labels"][0] == "plane_waves":
            _start_at_last_frame(data)
    return layers


def _opening(
    file: SourceFile, preferred: Preferences, token: CancelToken
) -> Generator[Event, None, tuple[Opened, list[UltrasoundImage]]]:
    """Open a file once, and beamform raw data as the preferences say."""
    with file.kept_open():
        opened = open_file(file)
        if opened.phantom is not None:
            return opened, []
        images = yield from image_events(
            opened,
            preferred.beamform,
            on_demand=True,
            undecided=True,
            device=preferred.device,
            token=token,
        )
        return opened, images


def _followed(layers: list[LayerData]) -> list[LayerData]:
    """Have things done to layers once napari has made them."""
    if len(layers) > 1:
        link_when_shown(layers)  # a sector: its picture and its lines
    for data, _, _ in layers:
        if isinstance(data, OnDemandStack):
            follow_when_shown(data)
    return layers


def _start_at_last_frame(data: Any) -> None:
    """Have the slider at the most plane waves when the layer appears.

    napari puts it in the middle. The layer is only made after the reader is done, so
    the next one to appear in the current viewer is looked at, and it alone.
    """
    if "napari.viewer" not in sys.modules:
        return
    from napari.viewer import current_viewer

    viewer = current_viewer()
    if viewer is None:
        return
    inserted = viewer.layers.events.inserted

    def on_inserted(event: Any) -> None:
        inserted.disconnect(on_inserted)
        layer = event.value
        if layer.data is data:
            axis = viewer.dims.ndim - layer.ndim
            viewer.dims.set_current_step(axis, data.shape[0] - 1)

    # After napari's own callback, which centres the slider.
    inserted.connect(on_inserted, position="last")


def _phantom_layers(path: Path, phantom: Phantom) -> list[LayerData]:
    """Show the targets of a phantom: discs, regions of speckle and points, in mm."""
    place = {"units": ("mm", "mm"), "axis_labels": ("z", "x")}
    note = {"usflow": {"source": str(path), "name": phantom.name}}
    ellipses = [
        _box(cyst.center_mm, (cyst.diameter_mm / 2, cyst.diameter_mm / 2))
        for cyst in phantom.cysts
    ]
    boxes = [_box(roi.center_mm, roi.half_size_mm) for roi in phantom.speckle_regions]
    layers: list[LayerData] = []
    if ellipses or boxes:
        kinds = ["cyst"] * len(ellipses) + ["speckle"] * len(boxes)
        shapes = {
            "name": f"{path.stem} regions",
            "shape_type": ["ellipse"] * len(ellipses) + ["rectangle"] * len(boxes),
            "edge_color": ["cyan"] * len(ellipses) + ["orange"] * len(boxes),
            "edge_width": 0.2,
            "face_color": "transparent",
            "features": {"kind": kinds},
            "metadata": note,
            **place,
        }
        layers.append((ellipses + boxes, shapes, "shapes"))
    if len(phantom.points_mm):
        points = {
            "name": f"{path.stem} points",
            "size": 1.0,
            "symbol": "ring",
            "face_color": "cyan",
            "metadata": note,
            **place,
        }
        layers.append((phantom.points_mm, points, "points"))
    if not layers:
        raise FileFormatError(f"{path} is a phantom without cysts, regions or points")
    return layers


def _box(
    center: tuple[float, float], half_size: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Corners of a rectangle, the way napari also wants an ellipse."""
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], float)
    shifted: npt.NDArray[np.float64] = np.asarray(center) + corners * half_size
    return shifted
