"""The Measure widget: regions, numbers, profiles and calipers, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLabel, QPushButton, QTabWidget, QVBoxLayout, QWidget

from napari_usflow._napari.compare.widget import suggested_pair
from napari_usflow._napari.jobs.worker import HeldRun
from napari_usflow._napari.layers.placement import affine_of, has_lengths
from napari_usflow._napari.layers.views import is_view
from napari_usflow._napari.measure.bench import Bench
from napari_usflow._napari.measure.clip_panel import ClipPanel
from napari_usflow._napari.measure.clip_run import ClipRun
from napari_usflow._napari.measure.drawing import DrawingTools
from napari_usflow._napari.measure.form import MeasureForm
from napari_usflow._napari.measure.layer_regions import LayerRegion
from napari_usflow._napari.measure.lines import (
    is_calipers,
    write_lengths,
)
from napari_usflow._napari.measure.number_table import NumberTable
from napari_usflow._napari.measure.plots import CurvePlot
from napari_usflow._napari.measure.roles import (
    color_by_role,
    roles_of,
    set_roles,
)
from napari_usflow._napari.project.widget import open_report
from napari_usflow._napari.shared.event_watch import EventWatch
from napari_usflow._napari.shared.form_parts import row
from napari_usflow.errors import JobError, UsflowError
from napari_usflow.evaluate.measure import Measurement
from napari_usflow.evaluate.measure_table import comparison_lines, comparison_table
from napari_usflow.evaluate.suggest import suggested_regions

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

__all__ = ["MeasureWidget"]

_UPDATE_MS = 40
_DRAWN_EVENTS = ("data", "set_data", "features", "visible", "highlight")
_IMAGE_EVENTS = ("data", "set_data", "scale", "translate", "rotate", "affine", "units")
_PIXEL_HINT = (
    "Sizes are in pixels; for mm calibrate the layer by a line "
    "(Denoise, under Advanced). "
)
_DRAW_HINT = "Suggest draws two regions; or draw your own and give each a role."


class MeasureWidget(QWidget):
    """Measures image layers in regions, and along lines, as they are drawn.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its layers are measured.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._run = HeldRun[ClipRun]()
        self._clip_sentence = ""
        self._layers = EventWatch(self._on_layers)
        self._changes = EventWatch(self._on_change)
        self.bench = Bench(viewer)
        self.form = MeasureForm(viewer)
        self.tools = DrawingTools(viewer, self.form, self.bench)
        self.regions: list[LayerRegion] = []
        self.measured: list[list[Measurement]] = []
        self._due = QTimer(self)
        self._due.setSingleShot(True)
        self._due.setInterval(_UPDATE_MS)
        self._due.timeout.connect(self.update_numbers)
        self.tools.changed.connect(self._due.start)
        self._build()
        self._connect()
        before, after = suggested_pair(viewer)
        self._take_colors()
        self.take_pair(before or after, None)

    def take_pair(self, before: Image | None, after: Image | None) -> None:
        """Measure a layer and one after it; without one, all of its results."""
        for combo, layer in ((self.form.before, before), (self.form.after, after)):
            combo.blockSignals(True)
            combo.choose(layer)
            combo.blockSignals(False)
        self._on_choice()

    def update_numbers(self) -> None:
        """Measure the visible frame and show what is found."""
        self._due.stop()
        bench = self.bench
        self.regions, self.measured = bench.measure()
        lines = comparison_lines(self.measured) if self.measured else []
        self.table.show_lines(
            bench.names, lines, in_mm=bench.in_mm, in_db=bench.in_decibels
        )
        if self.tabs.currentWidget() is self.profile:
            self._show_profile()
        if self.tabs.currentWidget() is self.clip:
            self.clip.mark(bench.frames()[0] if bench.images else None)
        self._say_state(bool(lines))

    def suggest(self) -> None:
        """Draw a homogeneous speckle region and the darkest region beside it."""
        if not self.bench.images:
            self._say(self.bench.problem, bad=True)
            return
        image, frame = self.bench.images[0], self.bench.frames()[0]
        try:
            regions = suggested_regions(
                image.frame_db(frame), image.grid, has_lengths=image.in_mm
            )
        except ValueError as error:
            self._say(f"Nothing is suggested: {error}.", bad=True)
            return
        layer = self.tools.regions_layer(image.layer)
        lengths = image.in_mm and has_lengths(layer)
        matrix, offset = affine_of(layer, lengths=lengths)
        back = np.linalg.inv(matrix).T
        corners = [(image.world(r.points_mm) - offset) @ back for r in regions]
        first = len(layer.data)
        layer.add_rectangles(corners)
        roles = {first + n: region.role for n, region in enumerate(regions)}
        set_roles(layer, roles)
        layer.mode = "select"
        self.update_numbers()

    def copy(self, *, markdown: bool) -> str:
        """Copy the table, and return its text."""
        text = ""
        if self.measured:
            text = comparison_table(self.bench.names, self.measured, markdown=markdown)
            if (clipboard := QGuiApplication.clipboard()) is not None:
                clipboard.setText(text)
        return text

    def into_features(self) -> None:
        """Write the numbers into the features of the layers that they are of."""
        if self.measured:
            self.bench.features(self.regions, self.measured)

    def report(self) -> None:
        """Write a report on these images and regions, and open it in the browser."""
        try:
            open_report(self._viewer, self._say, bench=self.bench)
        except (OSError, ValueError, UsflowError) as error:
            self._say(str(error), bad=True)

    def measure_clip(self) -> None:
        """Measure every frame in the regions as they are; or stop doing so."""
        if self._run.now is not None:
            self._run.now.cancel()
            return
        regions = [
            [r.region for r in layer_regions] for layer_regions in self.bench.regions()
        ]
        if not self.bench.images or not regions[0]:
            self._say(self.bench.problem or _DRAW_HINT, bad=True)
            return
        self.clip.begin(self.bench.names, self.bench.images[0].frames)
        run = ClipRun(
            self.bench.images,
            regions,
            on_frame=self.clip.take,
            on_end=self._on_clip_end,
        )
        try:
            run.start()
        except JobError as error:
            self._say(str(error), bad=True)
            return
        self._run.now = run
        self.clip.show_running(True)

    def stop(self) -> None:
        """Follow nothing any more."""
        self._due.stop()
        self._run.abandon()
        self._layers.stop()
        self._changes.stop()
        self.tools.stop()

    def changeEvent(self, event: QEvent | None) -> None:
        """Stop when the dock is closed: napari then takes the widget out of it."""
        moved = event is not None and event.type() == QEvent.Type.ParentChange
        if moved and self.parent() is None:
            self.stop()
        super().changeEvent(event)

    def _build(self) -> None:
        self.table = NumberTable()
        self.profile = CurvePlot("mm", "dB")
        self.clip = ClipPanel()
        csv, markdown = QPushButton("Copy CSV"), QPushButton("Copy Markdown")
        features = QPushButton("Into features")
        features.setToolTip(
            "Write the numbers into the layer's features; napari shows them under\n"
            "Layers > Metadata > Features table"
        )
        csv.clicked.connect(lambda: self.copy(markdown=False))
        markdown.clicked.connect(lambda: self.copy(markdown=True))
        features.clicked.connect(self.into_features)
        numbers = QWidget()
        inside = QVBoxLayout(numbers)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self.table)
        inside.addWidget(row(csv, markdown, features))
        self.tabs = QTabWidget()
        self.tabs.addTab(numbers, "Numbers")
        self.tabs.addTab(self.profile, "Profile")
        self.tabs.addTab(self.clip, "Over the clip")
        self.status = QLabel()
        self.status.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(self.form)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.status)

    def _connect(self) -> None:
        viewer, form = self._viewer, self.form
        for combo in (form.before, form.after, form.drawn):
            combo.currentIndexChanged.connect(self._on_choice)
        form.dynamic_range.valueChanged.connect(self._on_choice)
        form.suggest.clicked.connect(self.suggest)
        form.line.clicked.connect(lambda: self.tabs.setCurrentWidget(self.profile))
        form.report.clicked.connect(self.report)
        self.tabs.currentChanged.connect(self._due.start)
        self.clip.button.clicked.connect(self.measure_clip)
        layers = viewer.layers
        self._layers.watch(
            [
                layers.events.inserted,
                layers.events.removed,
                layers.events.reordered,
                layers.events.renamed,
                layers.selection.events.active,
                viewer.dims.events.current_step,
                viewer.events.theme,
            ]
        )
        for gone in (self.destroyed, viewer.window.main_menu.destroyed):
            for let_go in (
                self._run.abandon,
                self._layers.stop,
                self._changes.stop,
                self.tools.stop,
                form.before.let_go,
                form.after.let_go,
                form.drawn.let_go,
            ):
                gone.connect(let_go)

    def _on_choice(self, _: object = None) -> None:
        """Take up the layers that are chosen, and follow them."""
        form, bench = self.form, self.bench
        bench.choose_images(
            form.before.layer(), form.after.layer(), form.dynamic_range.value()
        )
        bench.choose_drawn(form.drawn.layer())
        form.show_dynamic_range(bench.has_grey)
        shapes = [
            other
            for other in self._viewer.layers
            if type(other).__name__ == "Shapes" and not is_view(other)
        ]
        watched = [
            image.layer.events[n] for image in bench.images for n in _IMAGE_EVENTS
        ]
        for layer in {*bench.drawn, *shapes}:
            watched += [layer.events[n] for n in _DRAWN_EVENTS if n in layer.events]
        self._changes.watch(watched)
        self._due.start()

    def _on_layers(self, event: Any) -> None:
        if event.type == "theme":
            self._take_colors()
        elif event.type == "current_step":
            if not self._due.isActive():
                self._due.start()
        elif event.type == "active":
            self.tools.show_role()
            self._due.start()
        else:
            self._on_choice()

    def _on_change(self, event: Any) -> None:
        """Measure anew, at most every few milliseconds while something is dragged."""
        layer = event.source
        if event.type == "visible" or event.type in _IMAGE_EVENTS[2:]:
            self._on_choice()
            return
        if event.type == "highlight":
            self.tools.show_role()
            if self.tabs.currentWidget() is not self.profile:
                return
        if type(layer).__name__ == "Image":
            self.bench.forget(layer)
        elif is_calipers(layer) and event.type in ("data", "set_data"):
            write_lengths(layer)
        elif event.type == "data" and layer in self.bench.drawn:
            color_by_role(layer)
        if not self._due.isActive():
            self._due.start()

    def _show_profile(self) -> None:
        curves = self.bench.profiles()
        self.profile.set_labels(
            "Distance (mm)" if self.bench.in_mm else "Distance (px)",
            "dB" if self.bench.in_decibels else "Value",
        )
        self.profile.show_curves(curves)
        if not curves:
            self._say("Draw a line (Line) to see the profile of each image along it.")

    def _on_clip_end(self, sentence: str, error: Exception | None) -> None:
        self._run.now = None
        self.clip.show_running(False)
        self.clip.redraw()
        self._clip_sentence = "" if error else sentence
        self._say(sentence, bad=error is not None)

    def _say_state(self, measured: bool) -> None:
        """Show why there are no numbers, or a caution about those there are."""
        if self.bench.problem:
            # An empty window is no mistake.
            self._say(self.bench.problem, bad=self.form.before.layer() is not None)
            return
        without = sum(
            len(layer.data) - len(roles_of(layer))
            for layer in self.bench.drawn
            if type(layer).__name__ == "Shapes"
        )
        text = "" if self.bench.in_mm else _PIXEL_HINT
        if without:
            text += f"{without} shapes have no role: select them and choose one. "
        empty = [
            rows.region for rows in (self.measured or [[]])[0] if rows.area_mm2 == 0
        ]
        if empty:
            text += f"Outside of the image: {', '.join(empty)}. "
        text = text or self._clip_sentence
        self._say(text if measured else f"{_DRAW_HINT} {text}".rstrip())

    def _take_colors(self) -> None:
        from napari.utils.theme import get_theme

        theme = get_theme(self._viewer.theme)
        for plot in (self.profile, self.clip.plot):
            plot.set_colors(theme.background.as_hex(), theme.text.as_hex())

    def _say(self, text: str, *, bad: bool = False) -> None:
        self.status.setText(text)
        self.status.setStyleSheet("color: #e05a4e" if bad else "")
