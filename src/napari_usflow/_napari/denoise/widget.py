"""The Denoise widget: choose a layer and a method, run, watch, cancel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_usflow._napari.denoise.calibration import Calibration
from napari_usflow._napari.denoise.finished_run import FinishedRun
from napari_usflow._napari.denoise.form import DenoiseForm
from napari_usflow._napari.denoise.live import LiveDenoiser
from napari_usflow._napari.denoise.run import LayerRun, Request
from napari_usflow._napari.denoise.sector_search import (
    SectorSearch,
    with_drawn_sector,
)
from napari_usflow._napari.denoise.uncertainty_run import TITLES, UncertaintyRun
from napari_usflow._napari.jobs.worker import HeldRun
from napari_usflow._napari.layers.appearance import prepare_view
from napari_usflow._napari.layers.content import LayerContent, LayerError, inspect_layer
from napari_usflow._napari.settings import associate_files
from napari_usflow._napari.shared.form_parts import row
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.errors import UsflowError

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_usflow.denoising.array_types import UncertaintyKind

__all__ = ["DenoiseWidget"]

_BAR_STEPS = 1000
_SETTLED_MS = 150


class DenoiseWidget(QWidget):
    """Denoises an image layer into a new one.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its layers are offered, and it gets the result.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        associate_files()
        self._viewer = viewer
        self._run = HeldRun[Any]()
        self._live = HeldRun[LiveDenoiser]()
        self._finished: FinishedRun | None = None
        self._calibration: Calibration | None = None
        self.form = self._make_form(viewer)
        self._build()
        self.form.input_changed.connect(self._inspect)
        self.form.blend_changed.connect(self._on_blend)
        self.form.calibrate_asked.connect(self._calibrate)
        # A bound method of this widget would be gone when the signal comes.
        self.destroyed.connect(self._run.abandon)
        self.destroyed.connect(self._live.abandon)
        self.destroyed.connect(self.form.layer_combo.let_go)
        self._inspect()

    def _make_form(self, viewer: napari.viewer.Viewer) -> DenoiseForm:
        return DenoiseForm(viewer)

    def _build(self) -> None:
        self.run_button = QPushButton("Denoise")
        self.run_button.setToolTip(
            "Denoise every frame into a new layer, the visible frame first.\n"
            "While it runs, this button (or Escape) cancels and keeps what is done."
        )
        self.run_button.clicked.connect(
            lambda: self.cancel() if self.running else self.run()
        )
        self.preview_button = QPushButton("Only this frame")
        self.preview_button.setToolTip(
            "Denoise the visible frame, to try settings before a whole stack"
        )
        self.preview_button.clicked.connect(lambda: self.run(only_current=True))
        self.live_button = QPushButton("Live")
        self.live_button.setCheckable(True)
        self.live_button.setToolTip(
            "Denoise the current frame while you scroll or play, with the "
            "current settings;\n"
            "frames that come too fast are dropped.\n"
            "Network, real time stands in for Network, best quality."
        )
        self.live_button.toggled.connect(self._on_live)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(_SETTLED_MS)
        self._settled.timeout.connect(self._renew_live)
        self.form.request_changed.connect(self._settled.start)
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(self.cancel)
        self.compare_button = QPushButton("Compare")
        self.compare_button.setToolTip(
            "Compare the result with its input: curtain, flicker, difference,\n"
            "side by side"
        )
        self.compare_button.clicked.connect(self._compare)
        self.bar = QProgressBar()
        self.bar.setRange(0, _BAR_STEPS)
        self.bar.setTextVisible(False)
        self.progress_label = QLabel()
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )
        self.form.sector_panel.find_button.clicked.connect(self.find_sector)
        layout = QVBoxLayout(self)
        layout.addWidget(self.form)
        for widget in (
            self.run_button,
            row(self.preview_button, self.live_button),
            self.bar,
            self.progress_label,
            self.status,
            self.compare_button,
        ):
            layout.addWidget(widget)
        layout.addStretch(1)
        self.compare_button.hide()
        self.bar.hide()
        self.progress_label.hide()

    @property
    def running(self) -> bool:
        """Whether a run of this widget is at work."""
        return self._run.now is not None

    def run(self, *, only_current: bool = False) -> None:
        """Start denoising the chosen layer.

        Parameters
        ----------
        only_current : bool
            The visible frame only.
        """
        layer = self.form.layer_combo.layer()
        if self.running:
            return
        if layer is None:
            self._say("Open or choose an image layer first.", bad=True)
            return
        # Scale, units or data may have been changed since it was chosen.
        content = self._inspect()
        try:
            request = replace(self.form.request(), only_current=only_current)
            request = with_drawn_sector(self._viewer, layer, request)
        except ValueError as error:
            self._say(str(error), bad=True)
            return
        on_end = partial(self._offer_compare, layer, self._on_end)
        if request.uncertainty:
            kinds = method_class(request.method).uncertainties
            further = partial(self._find_uncertainty, layer, request, kinds)
            on_end = partial(self._offer_compare, layer, further)
        try:
            run = LayerRun(
                self._viewer,
                layer,
                request,
                content,
                on_progress=self._on_progress,
                on_note=self._say,
                on_end=on_end,
            )
            run.start()
        except (UsflowError, ValueError) as error:
            self._say(str(error), bad=True)
            return
        self._run.now = run
        self._finished = None
        self._show_running(True)
        self._say(
            "Denoising; frames that are not finished show the input."
            if layer.ndim > 2
            else "Denoising …"
        )

    def cancel(self) -> None:
        """Stop the run and keep the finished frames."""
        if self._run.now is not None:
            self.run_button.setText("Cancelling …")
            self.run_button.setEnabled(False)
            self._run.now.cancel()

    def changeEvent(self, event: QEvent | None) -> None:
        """Stop when the dock is closed: napari then takes the widget out of it."""
        moved = event is not None and event.type() == QEvent.Type.ParentChange
        closed = moved and self.parent() is None
        if closed and self.running:
            self._run.abandon()
            self._show_running(False)
        if closed:
            self._live.abandon()
            self.live_button.setChecked(False)
        super().changeEvent(event)

    def find_sector(self) -> None:
        """Look for the sector of the chosen layer and draw its outline."""
        layer = self.form.layer_combo.layer()
        if self.running or layer is None:
            return
        try:
            run = SectorSearch(self._viewer, layer, self.form.values(), self._on_end)
            run.start()
        except (UsflowError, ValueError) as error:
            self._say(str(error), bad=True)
            return
        self._run.now = run
        self._show_running(True)
        self._say("Looking for the sector …")

    def _inspect(self) -> LayerContent | None:
        """Describe the chosen layer, and show fields only for what it lacks."""
        layer = self.form.layer_combo.layer()
        content: LayerContent | None = None
        if layer is None:
            text = "No image layer is open."
        else:
            try:
                content = inspect_layer(layer, values=self.form.values())
                prepare_view(self._viewer, layer, content)
                text = content.describe()
            except LayerError as error:
                text = str(error)
        self.form.show_content(text, content)
        if not self.running:
            self.preview_button.setVisible(content is not None and content.shape[0] > 1)
            free = layer is not None and self._live.now is None
            self.run_button.setEnabled(free)
            self.preview_button.setEnabled(free)
            self.live_button.setEnabled(bool(content or self._live.now))
            self.form.sector_panel.enable(content is not None)
        return content

    def _show_running(self, running: bool) -> None:
        self.run_button.setText("Cancel" if running else "Denoise")
        self.run_button.setEnabled(True)
        self.preview_button.setEnabled(not running)
        self.live_button.setEnabled(not running)
        self.form.setEnabled(not running)
        self.compare_button.setVisible(not running and self._finished is not None)
        self.bar.setVisible(running)
        self.progress_label.setVisible(running)
        self.bar.setValue(0)
        self.progress_label.clear()

    def _on_progress(self, share: float, text: str) -> None:
        self._show_estimate()
        self.bar.setValue(round(share * _BAR_STEPS))
        self.progress_label.setText(text)

    def _show_estimate(self) -> None:
        if (level_db := getattr(self._run.now, "noise_db", None)) is not None:
            self.form.show_estimate(level_db)

    def _on_live(self, on: bool) -> None:
        """Begin to follow the slider, or end it."""
        live, self._live.now = self._live.now, None
        if live is not None:
            live.stop()
            self._say("")
        layer = self.form.layer_combo.layer()
        if on and layer is not None:
            try:
                live = LiveDenoiser(
                    self._viewer,
                    layer,
                    self.form.request(),
                    on_text=self._say,
                    on_problem=self._end_live,
                    on_gone=self._end_live,
                )
            except (UsflowError, ValueError) as error:
                self._end_live(str(error))
            else:
                self._live.now = live
                live.start()
                self._say("Live: loading the method for the first frame …")
        self._inspect()

    def _renew_live(self) -> None:
        """Follow with other settings, or another layer."""
        live = self._live.now
        if live is None:
            return
        if live.input is not self.form.layer_combo.layer():
            self._on_live(True)
        else:
            live.renew(self.form.request())

    def _end_live(self, problem: str = "") -> None:
        self._live.now = None
        self.live_button.setChecked(False)
        self._inspect()
        self._say(problem, bad=bool(problem))

    def _offer_compare(
        self,
        layer: Image,
        further: Callable[[str, Exception | None], None],
        sentence: str,
        error: Exception | None,
    ) -> None:
        """Remember input and result once they are there, and go on."""
        run = self._run.now
        result = None if run is None else run.result
        if run is not None and result is not None:
            self._finished = FinishedRun(self._viewer, layer, result, run)
        further(sentence, error)

    def _on_blend(self) -> None:
        """Let the finished result follow Strength and Mix back."""
        if self.running or self._finished is None:
            return
        text = self._finished.follow(*self.form.share())
        if text:
            self._say(text)

    def _calibrate(self) -> None:
        """Have the user draw a line of known length over the chosen layer."""
        layer = self.form.layer_combo.layer()
        if layer is None or self.running:
            return
        if self._calibration is not None:
            self._calibration.stop()
        self._calibration = Calibration(self._viewer, layer, self._on_calibrated)
        self._say("Draw a line of known length over the picture, such as its ruler.")

    def _on_calibrated(self, sentence: str) -> None:
        self._calibration = None
        self._inspect()
        self._say(sentence)

    def _compare(self) -> None:
        """Open Compare on the input and the result of the last run."""
        if self._finished is None or not self._finished.compare():
            self._say("The input or the result was removed.", bad=True)

    def _find_uncertainty(
        self,
        layer: Image,
        request: Request,
        kinds: Sequence[UncertaintyKind],
        so_far: str,
        error: Exception | None,
    ) -> None:
        """Go on with what is left to find, once what was before is done to the end."""
        if not kinds or self._run.now is None or not self._run.now.complete:
            self._on_end(so_far, error)
            return
        kind, *left = kinds
        title = TITLES[kind].capitalize()
        try:
            run = UncertaintyRun(
                self._viewer,
                layer,
                request,
                kind,
                on_progress=self._on_progress,
                on_note=self._say,
                on_end=lambda sentence, error: self._find_uncertainty(
                    layer, request, left, f"{so_far}\n{title}: {sentence}", error
                ),
            )
            run.start()
        except (UsflowError, ValueError) as refusal:
            self._on_end(f"{so_far}\nNo {title.lower()}: {refusal}", refusal)
            return
        self._run.now = run
        self.run_button.setEnabled(True)

    def _on_end(self, sentence: str, error: Exception | None) -> None:
        self._show_estimate()
        self._run.now = None
        self._show_running(False)
        self._inspect()
        self._say(sentence, bad=error is not None)
        if error is not None:
            from napari.utils.notifications import show_error

            show_error(sentence)

    def _say(self, text: str, *, bad: bool = False) -> None:
        self.status.setText(text)
        self.status.setStyleSheet("color: #e05a4e" if bad else "")
