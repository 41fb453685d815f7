"""The Annotate widget: marks of several readers, drawn by napari's own tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_usflow._napari.annotate.export import export_clip
from napari_usflow._napari.annotate.form import KEYS, AnnotateForm
from napari_usflow._napari.annotate.mark_layers import (
    LayerMark,
    complete,
    layer_marks,
    mark_layer,
    set_defaults,
    show_whole,
    upper_left,
    write_feature,
)
from napari_usflow._napari.layers.results import current_frame
from napari_usflow._napari.layers.views import MARKS, is_marks
from napari_usflow._napari.shared.event_watch import EventWatch
from napari_usflow._napari.shared.viewer_keys import ViewerKeys
from napari_usflow.errors import UsflowError
from napari_usflow.evaluate.project.mark_files import SUFFIXES, write_marks

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Layer

__all__ = ["AnnotateWidget"]

_UPDATE_MS = 40
_EVENTS = ("data", "set_data", "features")
_FILTERS = "CSV (*.csv);;GeoJSON (*.geojson);;COCO, a folder of pictures (*)"


class AnnotateWidget(QWidget):
    """Lists the marks of the viewer, and lets napari's own tools draw them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its images are marked.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._layers = EventWatch(self._on_layers)
        self._changes = EventWatch(self._on_change)
        self.form = AnnotateForm(viewer)
        self.marks: list[LayerMark] = []
        self._names: dict[Layer, str] = {}
        self._at: int | None = None
        self._due = QTimer(self)
        self._due.setSingleShot(True)
        self._due.setInterval(_UPDATE_MS)
        self._due.timeout.connect(self.update_list)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.form)
        form = self.form
        form.tool_chosen.connect(self.draw)
        form.chosen.connect(self.go_to)
        form.next.clicked.connect(lambda: self.step(1))
        form.previous.clicked.connect(lambda: self.step(-1))
        form.tick.clicked.connect(self.tick)
        form.rename.clicked.connect(self.rename)
        form.export.clicked.connect(self._ask_export)
        for field in (form.text, form.reader):
            field.textChanged.connect(self._prepare)
        events = viewer.layers.events
        self._layers.watch([events.inserted, events.removed, events.renamed])
        self._keys = ViewerKeys(
            viewer,
            {
                KEYS["next"]: lambda: self.step(1),
                KEYS["previous"]: lambda: self.step(-1),
                KEYS["tick"]: self.tick,
            },
        )
        # Bound methods of this widget would be gone when the signal comes.
        for gone in (self.destroyed, viewer.window.main_menu.destroyed):
            for let_go in (
                self._layers.stop,
                self._changes.stop,
                self._keys.release,
                form.image.let_go,
            ):
                gone.connect(let_go)
        self._follow_names()
        self._follow()
        self.update_list()

    def draw(self, tool: str) -> None:
        """Take up one of napari's tools, on the layer of the marks."""
        image = self.form.image.layer()
        if image is None:
            self.form.say("Open or choose an image first.", bad=True)
            return
        if image.ndim > 3:
            self.form.say(
                f"Layer {image.name} has {image.ndim} axes; choose an image or a clip.",
                bad=True,
            )
            return
        layer = mark_layer(self._viewer, image, points=tool in ("point", "frame"))
        self._prepare()
        self._viewer.layers.selection.active = layer
        if tool == "frame":
            self._mark_frame(layer, image)
        else:
            layer.mode = "add" if tool == "point" else tool
        self.form.say(
            "" if self.form.reader.text() else "Enter your name as the reader."
        )

    def update_list(self) -> None:
        """Read the marks of all layers again, and list them by frame."""
        self._due.stop()
        selected = self._chosen()
        marks = [
            mark
            for layer in self._viewer.layers
            if is_marks(layer)
            for mark in layer_marks(layer)
        ]
        self.marks = sorted(
            marks, key=lambda m: -1 if m.mark.frame is None else m.mark.frame
        )
        self._at = None
        if selected is not None:
            same = [
                place
                for place, mark in enumerate(self.marks)
                if mark.layer is selected.layer and mark.number == selected.number
            ]
            self._at = same[0] if same else None
        self.form.show_marks([mark.mark for mark in self.marks], self._at)

    def go_to(self, place: int) -> None:
        """Show the frame of a mark of the list, and select it."""
        self._at = place
        placed = self.marks[place]
        layer = placed.layer
        if placed.mark.frame is not None:
            axis = self._viewer.dims.ndim - layer.ndim
            corner = np.atleast_2d(np.asarray(layer.data[placed.number], float))[0]
            time = float(layer.data_to_world(corner)[0])
            self._viewer.dims.set_point(axis, time)
        self._viewer.layers.selection.active = layer
        layer.mode = "select"
        layer.selected_data = {placed.number}
        show_whole(self._viewer, placed)
        self.form.show_marks([mark.mark for mark in self.marks], place)

    def step(self, by: int) -> None:
        """Go to the next mark of the list, or to the one before."""
        self.update_list()
        if self.marks:
            first = 0 if by > 0 else len(self.marks) - 1
            at = first if self._at is None else (self._at + by) % len(self.marks)
            self.go_to(at)

    def tick(self) -> None:
        """Tick the chosen mark off, or take its tick away."""
        placed = self._chosen()
        if placed is None:
            self.form.say("Choose a mark in the list first.")
            return
        write_feature(placed.layer, [placed.number], {"done": not placed.mark.done})
        self.update_list()

    def rename(self) -> None:
        """Write the text on the selected marks of this reader."""
        reader, others = self.form.reader.text(), set[str]()
        for layer in self._viewer.layers:
            if not is_marks(layer):
                continue
            marks = layer_marks(layer)
            selected = [marks[n] for n in layer.selected_data if n < len(marks)]
            own = [m.number for m in selected if m.mark.reader in ("", reader)]
            others |= {m.mark.reader for m in selected} - {"", reader}
            if own:
                write_feature(layer, own, {"text": self.form.text.text()})
        self.update_list()
        if others:
            names = ", ".join(sorted(others))
            self.form.say(f"Marks of {names} were not changed.", bad=True)

    def export(self, path: Path) -> None:
        """Write the marks: CSV or GeoJSON by the ending, else a COCO folder."""
        self.update_list()
        marks = [placed.mark for placed in self.marks]
        image = self.form.image.layer()
        try:
            if path.suffix.lower() in SUFFIXES:
                write_marks(path, marks)
            elif image is None:
                self.form.say("Open or choose an image first.", bad=True)
                return
            else:
                path = export_clip(path, marks, image)
        except (OSError, ValueError, UsflowError) as error:
            self.form.say(str(error), bad=True)
            return
        self.form.say(f"{len(marks)} marks written to {path}.")

    def stop(self) -> None:
        """Follow nothing any more."""
        self._due.stop()
        self._layers.stop()
        self._changes.stop()
        self._keys.release()
        self._names = {}

    def changeEvent(self, event: QEvent | None) -> None:
        """Stop when the dock is closed: napari then takes the widget out of it."""
        moved = event is not None and event.type() == QEvent.Type.ParentChange
        if moved and self.parent() is None:
            self.stop()
        super().changeEvent(event)

    def _ask_export(self) -> None:
        name, kind = QFileDialog.getSaveFileName(
            self, "Export marks", "marks.csv", _FILTERS
        )
        if name:
            path = Path(name)
            if kind.startswith("GeoJSON") and not path.suffix:
                path = path.with_suffix(".geojson")
            if kind.startswith("COCO"):
                path = path.with_suffix("")
            self.export(path)

    def _mark_frame(self, layer: Layer, image: Image) -> None:
        place = list(upper_left(image))
        if layer.ndim == 3:
            place.insert(0, current_frame(self._viewer, image))
        layer.add([place])
        write_feature(layer, [len(layer.data) - 1], {"frame_mark": True})
        self.update_list()

    def _prepare(self, _: object = None) -> None:
        """Have the next marks carry text and reader."""
        noted = {"text": self.form.text.text(), "reader": self.form.reader.text()}
        for layer in self._viewer.layers:
            if is_marks(layer):
                set_defaults(layer, noted)

    def _chosen(self) -> LayerMark | None:
        if self._at is None or self._at >= len(self.marks):
            return None
        return self.marks[self._at]

    def _follow(self) -> None:
        self._changes.watch(
            layer.events[name]
            for layer in self._viewer.layers
            if is_marks(layer)
            for name in _EVENTS
        )

    def _follow_names(self) -> None:
        """Keep the marks of an image that gets another name."""
        names = {
            layer: layer.name
            for layer in self._viewer.layers
            if type(layer).__name__ == "Image"
        }
        for image, before in self._names.items():
            if names.get(image, before) != before:
                for layer in self._viewer.layers:
                    if layer.metadata.get(MARKS) == before:
                        layer.metadata[MARKS] = names[image]
        self._names = names

    def _on_layers(self, event: Any) -> None:
        self._follow_names()
        self._follow()
        self._due.start()

    def _on_change(self, event: Any) -> None:
        layer = event.source
        if event.type in ("data", "set_data") and len(layer.features) == len(
            layer.data
        ):
            complete(layer)
        if not self._due.isActive():
            self._due.start()
