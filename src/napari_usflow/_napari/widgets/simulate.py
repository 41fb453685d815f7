"""The Simulate speckle widget: a picture of tissue in, a B-mode image out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_usflow._napari.speckle_preview import SpecklePreview
from napari_usflow._napari.speckle_run import SpeckleRequest, SpeckleRun
from napari_usflow._napari.widgets.run_bar import RunBar
from napari_usflow._napari.widgets.simulate_form import SimulateForm
from napari_usflow._napari.worker import HeldRun
from napari_usflow.errors import UsflowError
from napari_usflow.jobs import FrameDone

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

__all__ = ["SimulateWidget"]


class SimulateWidget(QWidget):
    """Simulates the B-mode images of an image layer into a new layer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its layers are offered, and it gets the result.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._run = HeldRun[SpeckleRun]()
        self.form = SimulateForm(viewer)
        self.controls = RunBar(start="Simulate", stop="Cancel", stopping="Cancelling …")
        self.controls.button.setToolTip(
            "Simulate every frame into a new layer, the visible frame first.\n"
            "While it runs, this button (or Escape) cancels and keeps what is done."
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self.form)
        layout.addWidget(self.controls)
        layout.addStretch(1)
        self.preview = SpecklePreview(
            viewer,
            self._wanted,
            on_done=self._on_preview,
            on_problem=self._on_preview_problem,
            on_gone=lambda: self.form.live.setChecked(False),
        )
        self.form.live.toggled.connect(self._on_live)
        self.form.changed.connect(self.preview.ask)
        self.controls.button.clicked.connect(self._on_button)
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(self.cancel)
        # Bound methods of this widget would be gone when the signal comes; and the
        # menu bar goes with the window, whoever holds on to this widget.
        for gone in (self.destroyed, viewer.window.main_menu.destroyed):
            gone.connect(self._run.abandon)
            gone.connect(self.preview.abandon)
        self.destroyed.connect(self.form.layer_combo.let_go)

    @property
    def running(self) -> bool:
        """Whether a run of this widget is at work."""
        return self._run.now is not None

    def run(self) -> None:
        """Start simulating all frames of the chosen layer."""
        if self.running:
            return
        try:
            layer, request = self._wanted()
            run = SpeckleRun(
                self._viewer,
                layer,
                request,
                on_progress=self.controls.show_progress,
                on_note=self.controls.say,
                on_end=self._on_end,
            )
            run.start()
        except (UsflowError, ValueError) as error:
            self.controls.say(str(error), bad=True)
            return
        self._run.now = run
        # The result takes its place.
        self.form.live.setChecked(False)
        self._show_running(True)
        self.controls.say(
            "Simulating; frames that are not finished show the picture."
            if layer.ndim > 2
            else "Simulating …"
        )

    def cancel(self) -> None:
        """Stop the run and keep the finished frames."""
        if self._run.now is not None:
            self.controls.show_stopping()
            self._run.now.cancel()

    def changeEvent(self, event: QEvent) -> None:
        """Stop when the dock is closed: napari then takes the widget out of it."""
        closed = event.type() == QEvent.Type.ParentChange and self.parent() is None
        if closed:
            self.form.live.setChecked(False)
            if self.running:
                self._run.abandon()
                self._show_running(False)
        super().changeEvent(event)

    def _wanted(self) -> tuple[Image, SpeckleRequest]:
        """Give what is set now; the layer may have been changed since it was chosen."""
        self.form.show_content()
        return self.form.picture(), self.form.request()

    def _on_button(self) -> None:
        if self.running:
            self.cancel()
        else:
            self.run()

    def _on_live(self, on: bool) -> None:
        if on:
            self.preview.show()
        else:
            self.preview.hide()
            self.controls.say("")

    def _on_preview(self, done: FrameDone) -> None:
        self.controls.say(
            f"Preview of frame {done.index}: simulated in {done.info['seconds']:.2g} s."
            if self.form.picture().ndim > 2
            else f"Preview: simulated in {done.info['seconds']:.2g} s."
        )

    def _on_preview_problem(self, sentence: str) -> None:
        self.controls.say(sentence, bad=True)

    def _show_running(self, running: bool) -> None:
        self.form.setEnabled(not running)
        self.controls.show_running(running)

    def _on_end(self, sentence: str, error: Exception | None) -> None:
        self._run.now = None
        self._show_running(False)
        self.controls.say(sentence, bad=error is not None)
        if error is not None:
            from napari.utils.notifications import show_error

            show_error(sentence)
