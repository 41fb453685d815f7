"""The Train prior widget: choose MRI, train a prior or a network, watch it, use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QMessageBox, QTabWidget, QVBoxLayout, QWidget

from napari_usflow._napari.denoise.own_weights import (
    is_network,
    own_weights_registry,
    weights_label,
)
from napari_usflow._napari.jobs.worker import HeldRun
from napari_usflow._napari.shared.run_bar import RunBar
from napari_usflow._napari.train.checkpoint_list import CheckpointList
from napari_usflow._napari.train.form import TrainForm
from napari_usflow._napari.train.plots import TrainPlots
from napari_usflow._napari.train.previews import PreviewLayers
from napari_usflow._napari.train.run import (
    StepsTaken,
    TrainRequest,
    TrainRun,
    estimate_text,
    step_text,
)
from napari_usflow._napari.train.run_history import read_history, saved_points
from napari_usflow.errors import UsflowError
from napari_usflow.jobs import Event, Note, Progress
from napari_usflow.training.events import (
    CheckpointWritten,
    Estimated,
    Previewed,
    Validated,
)
from napari_usflow.training.run_config import kind_of_run

if TYPE_CHECKING:
    import napari

    from napari_usflow.training.run_folder import Checkpoint, RunFolder

__all__ = ["TrainWidget"]


class TrainWidget(QWidget):
    """Trains a prior or a network on MRI, from files or from layers.

    Closing it, or the window, saves the run; its folder goes on with it later.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its layers are offered as data, and it gets the pictures of the run.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._run = HeldRun[TrainRun]()
        self._folder: RunFolder | None = None
        self._previews: PreviewLayers | None = None
        self.form = TrainForm(viewer)
        self.plots = TrainPlots()
        self.checkpoints = CheckpointList()
        self.controls = RunBar()
        self.tabs = QTabWidget()
        for name, page in (
            ("Settings", self.form),
            ("Curves", self.plots),
            ("Checkpoints", self.checkpoints),
        ):
            self.tabs.addTab(page, name)
        layout = QVBoxLayout(self)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.controls)
        self.form.run_changed.connect(self._show_run)
        # What was wrong may be mended by it.
        self.form.files.changed.connect(lambda: self.controls.say(""))
        self.controls.button.clicked.connect(self._on_button)
        self.checkpoints.resume_asked.connect(self.resume)
        self.checkpoints.use_asked.connect(self.use_in_denoise)
        viewer.events.theme.connect(self._take_colors)
        # A bound method of this widget would be gone when the signal comes.
        self.destroyed.connect(self._run.abandon)
        self.destroyed.connect(self.form.layers.let_go)
        # Somebody may hold on to this widget; the menu bar goes with the window.
        viewer.window.main_menu.destroyed.connect(self._run.abandon)
        self._take_colors()
        self._show_run()

    @property
    def running(self) -> bool:
        """Whether a run of this widget is at work."""
        return self._run.now is not None

    def start(self) -> None:
        """Start the run, or go on with that of the run folder."""
        self._begin(None)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint, after a question when that drops later ones."""
        newest = self.checkpoints.newest()
        if newest is not None and newest.step > checkpoint.step:
            answer = QMessageBox.question(
                self,
                "Resume from here",
                f"Go on from step {checkpoint.step}? The checkpoints after it, up to "
                f"step {newest.step}, are dropped.",
            )
            if answer != QMessageBox.StandardButton.Yes:
                return
        self._begin(checkpoint)

    def stop(self) -> None:
        """Save the run and end it."""
        if self._run.now is not None:
            self.controls.show_stopping()
            self._run.now.stop()

    def use_in_denoise(self, checkpoint: Checkpoint) -> None:
        """Choose a checkpoint in the Denoise widgets, open or to come."""
        try:
            weights = own_weights_registry().keep(checkpoint.weights)
        except OSError as error:
            self._fail(f"The checkpoint cannot be kept: {error}")
            return
        kind = "network" if is_network(weights) else "flow"
        self.controls.say(
            f"Denoise now uses “{weights_label(str(weights))}” for its {kind} methods."
        )

    def changeEvent(self, event: QEvent | None) -> None:
        """Save and stop when the dock is closed: napari takes the widget out of it."""
        moved = event is not None and event.type() == QEvent.Type.ParentChange
        closed = moved and self.parent() is None
        if closed and self.running:
            self._run.abandon()
            self._show_running(False)
        super().changeEvent(event)

    def _on_button(self) -> None:
        if self.running:
            self.stop()
        else:
            self.start()

    def _begin(self, checkpoint: Checkpoint | None) -> None:
        if self.running:
            return
        try:
            request = self.form.request(None if checkpoint is None else checkpoint.path)
            run = TrainRun(request, on_event=self._receive, on_end=self._on_end)
            run.start()
        except (UsflowError, ValueError) as error:
            self._fail(str(error))
            return
        self._run.now = run
        self.plots.of_network = request.config.kind == "network"
        self._show_curves_until(checkpoint)
        self._previews = self._previews_of(request)
        self.controls.say("")
        self._show_running(True)
        self.tabs.setCurrentWidget(self.plots)

    def _previews_of(self, request: TrainRequest) -> PreviewLayers:
        return PreviewLayers(self._viewer, request.out, request.config.patches.pixel_mm)

    def _show_curves_until(self, checkpoint: Checkpoint | None) -> None:
        """Show the past of the run that is gone on with, up to where it goes on."""
        start = checkpoint or self.checkpoints.newest()
        if self._folder is not None:
            until = 0 if start is None else start.step
            self.plots.show_history(read_history(self._folder), until=until)

    def _receive(self, event: Event) -> None:
        if isinstance(event, StepsTaken):
            last = event.steps[-1]
            self.plots.add_steps(event.steps)
            self.controls.show_progress(last.step / last.steps, step_text(last))
        elif isinstance(event, Progress):
            self.controls.show_progress(
                event.done / max(event.total, 1), event.label or "Reading"
            )
        elif isinstance(event, Note):
            self.controls.say(event.text)
        elif isinstance(event, Estimated):
            self.controls.say(estimate_text(event))
        elif isinstance(event, Validated):
            self.plots.add_validation(event)
        elif isinstance(event, Previewed) and self._previews is not None:
            if self._previews.show(event):
                self.controls.say(
                    "Pictures of the run are to the right of the other layers; Home "
                    "shows all."
                )
        elif isinstance(event, CheckpointWritten):
            self._list_checkpoints()

    def _on_end(self, sentence: str, error: Exception | None) -> None:
        self._run.now = self._previews = None
        self._show_running(False)
        self.plots.redraw()
        self._list_checkpoints()
        self.form.show_run()
        self._update_button()
        if error is None:
            self.controls.say(sentence)
        else:
            self._fail(sentence)

    def _show_run(self) -> None:
        """Show what the chosen run folder holds."""
        self._folder = self.form.folder()
        if self._folder is None:
            self.plots.clear()
            self.checkpoints.show_points([])
        else:
            self.plots.of_network = kind_of_run(self._folder.config) == "network"
            self.plots.show_history(read_history(self._folder))
            self._list_checkpoints()
        self._update_button()

    def _list_checkpoints(self) -> None:
        if self._folder is not None:
            points = saved_points(self._folder, self.plots.validations)
            self.checkpoints.show_points(points, of_network=self.plots.of_network)

    def _show_running(self, running: bool) -> None:
        self.form.setEnabled(not running)
        self.checkpoints.set_running(running)
        self.controls.show_running(running)
        self._update_button()

    def _update_button(self) -> None:
        if not self.running:
            resumes = self.checkpoints.newest() is not None
            self.controls.button.setText("Resume" if resumes else "Start")

    def _take_colors(self, event: object = None) -> None:
        from napari.utils.theme import get_theme

        theme = get_theme(self._viewer.theme)
        self.plots.set_colors(theme.background.as_hex(), theme.text.as_hex())

    def _fail(self, sentence: str) -> None:
        from napari.utils.notifications import show_error

        self.controls.say(sentence, bad=True)
        show_error(sentence)
