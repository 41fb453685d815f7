"""The Baselines widget: the classical methods, each with its best setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_usflow._napari.denoise.form import DenoiseForm
from napari_usflow._napari.denoise.score_plot import ScorePlot
from napari_usflow._napari.denoise.tune_run import TuneRun, tuned_setting
from napari_usflow._napari.denoise.widget import DenoiseWidget
from napari_usflow._napari.shared.form_parts import form_layout
from napari_usflow._napari.shared.layer_combo import LayerCombo
from napari_usflow.denoising.algorithms import method_class, methods
from napari_usflow.errors import UsflowError

if TYPE_CHECKING:
    import napari

    from napari_usflow.evaluate.tune import Tuning

__all__ = ["BaselinesWidget"]

_NO_REFERENCE = "None, by the residual"


class BaselinesWidget(DenoiseWidget):
    """Denoises with a classical method, and finds its best setting.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its layers are offered, and it gets the result.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.reference_combo = LayerCombo(viewer, none=_NO_REFERENCE)
        self.reference_combo.setToolTip(
            "The same picture without speckle: the setting with the highest PSNR to it "
            "is the best (a constant offset does not count).\nWithout one, the setting "
            "whose residual is whitest and as strong as the noise level"
        )
        self.tune_button = QPushButton("Tune on this frame")
        self.tune_button.setToolTip(
            "Try every setting of a grid on the visible frame, and fill in the best.\n"
            "Cancelling keeps the best of those that were tried."
        )
        self.tune_button.clicked.connect(self.tune)
        self.plot = ScorePlot()
        self.plot.hide()
        self._add_tuning()
        self.form.method_changed.connect(self._on_choice)
        self.form.layer_combo.currentIndexChanged.connect(self._on_choice)
        viewer.events.theme.connect(self._take_colors)
        self.destroyed.connect(self.reference_combo.let_go)
        self._take_colors()
        self._on_choice()

    def tune(self) -> None:
        """Start a grid search on the visible frame of the chosen layer."""
        layer = self.form.layer_combo.layer()
        if self.running:
            return
        if layer is None:
            self._say("Open or choose an image layer first.", bad=True)
            return
        self._inspect()
        try:
            run = TuneRun(
                self._viewer,
                layer,
                self.form.request(),
                reference=self.reference_combo.layer(),
                on_tuning=self._on_tuning,
                on_progress=self._on_progress,
                on_note=self._say,
                on_end=self._on_tuned,
            )
            run.start()
        except (UsflowError, ValueError) as error:
            self._say(str(error), bad=True)
            return
        self._run.now = run
        self.plot.clear()
        self.plot.hide()
        self._show_running(True)
        self._say("Trying settings …")

    def _make_form(self, viewer: napari.viewer.Viewer) -> DenoiseForm:
        offered = [name for name in methods() if method_class(name).baseline]
        return DenoiseForm(viewer, offered=offered, parameters_open=True)

    def _add_tuning(self) -> None:
        """Insert the search between the form and the run button."""
        box = QWidget()
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        reference = form_layout()
        reference.addRow("Reference", self.reference_combo)
        layout.addLayout(reference)
        layout.addWidget(self.tune_button)
        layout.addWidget(self.plot)
        whole = self.layout()
        assert isinstance(whole, QVBoxLayout)
        whole.insertWidget(whole.indexOf(self.form) + 1, box)

    def _on_choice(self) -> None:
        """Take up the setting that was found for this layer and method."""
        method, layer = self.form.method(), self.form.layer_combo.layer()
        self._enable_tune(self.running)
        setting = None if layer is None else tuned_setting(layer, method)
        if setting is not None:
            self._fill_in(setting)
            self._say("These parameters were tuned on this layer.")

    def _enable_tune(self, running: bool) -> None:
        tuned = bool(method_class(self.form.method()).grid)
        layer = self.form.layer_combo.layer()
        self.tune_button.setEnabled(tuned and not running and layer is not None)

    def _fill_in(self, setting: dict[str, Any]) -> None:
        params = method_class(self.form.method()).Params(
            **{**self.form.method_form.values(), **setting}
        )
        self.form.method_form.set_values(params)

    def _show_running(self, running: bool) -> None:
        super()._show_running(running)
        self.reference_combo.setEnabled(not running)
        self._enable_tune(running)

    def _on_tuning(self, tuning: Tuning, label: str) -> None:
        self.plot.show_tuning(tuning, label)
        self.plot.show()

    def _on_tuned(self, sentence: str, error: Exception | None) -> None:
        layer = self.form.layer_combo.layer()
        if error is None and layer is not None:
            self._on_choice()
        self._on_end(sentence, error)

    def _take_colors(self, event: object = None) -> None:
        from napari.utils.theme import get_theme

        theme = get_theme(self._viewer.theme)
        self.plot.set_colors(theme.background.as_hex(), theme.text.as_hex())
