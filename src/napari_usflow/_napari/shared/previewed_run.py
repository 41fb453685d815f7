"""Shared parts of the windows with a preview and a run into a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_usflow._napari.jobs.worker import HeldRun
from napari_usflow._napari.shared.run_bar import RunBar
from napari_usflow.errors import UsflowError

if TYPE_CHECKING:
    import napari

    from napari_usflow._napari.beamform.preview import AcquisitionPreview
    from napari_usflow._napari.beamform.run import AcquisitionRun
    from napari_usflow._napari.simulate.preview import SpecklePreview
    from napari_usflow._napari.simulate.run import SpeckleRun

__all__ = ["PreviewedRunWidget"]


class PreviewedRunWidget(QWidget):
    """A form, a preview that follows it while its ``live`` is ticked, and a run.

    A subclass makes the preview (:meth:`_follow_with`) and the runs (:meth:`_new_run`),
    whose result takes the preview's place.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Gets the preview and the result.
    form : QWidget
        With the check box ``live`` and the signal ``changed``.
    start, tooltip : str
        Of the button.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, form: Any, *, start: str, tooltip: str
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._run = HeldRun[Any]()
        self.form = form
        self.controls = RunBar(start=start, stop="Cancel", stopping="Cancelling …")
        self.controls.button.setToolTip(tooltip)
        layout = QVBoxLayout(self)
        layout.addWidget(self.form)
        layout.addWidget(self.controls)
        layout.addStretch(1)
        self.controls.button.clicked.connect(self._on_button)
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(self.cancel)

    def _follow_with(self, preview: AcquisitionPreview | SpecklePreview) -> None:
        """Show this preview from now on, while the form says so."""
        self.preview = preview
        self.form.changed.connect(preview.ask)
        self.form.live.toggled.connect(self._on_live)
        # Bound methods of this widget would be gone when the signal comes; and the
        # menu bar goes with the window, whoever holds on to this widget.
        for gone in (self.destroyed, self._viewer.window.main_menu.destroyed):
            gone.connect(self._run.abandon)
            gone.connect(preview.abandon)

    def _new_run(self) -> tuple[AcquisitionRun | SpeckleRun, str]:
        """Make the run of what is set, and say what is said while it is at work.

        Raises
        ------
        UsflowError or ValueError
            When it cannot be run; the text is shown.
        """
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether a run of this widget is at work."""
        return self._run.now is not None

    def run(self) -> None:
        """Start the run of what is set, into a new layer."""
        if self.running:
            return
        try:
            run, sentence = self._new_run()
            run.start()
        except (UsflowError, ValueError) as error:
            self.controls.say(str(error), bad=True)
            return
        self._run.now = run
        # The result takes its place.
        self.form.live.setChecked(False)
        self._show_running(True)
        self.controls.say(sentence)

    def cancel(self) -> None:
        """Stop the run; the button says what becomes of what is done."""
        if self._run.now is not None:
            self.controls.show_stopping()
            self._run.now.cancel()

    def changeEvent(self, event: QEvent | None) -> None:
        """Stop when the dock is closed: napari then takes the widget out of it."""
        moved = event is not None and event.type() == QEvent.Type.ParentChange
        closed = moved and self.parent() is None
        if closed:
            self.form.live.setChecked(False)
            if self.running:
                self._run.abandon()
                self._show_running(False)
        super().changeEvent(event)

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
