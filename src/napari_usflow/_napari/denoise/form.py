"""The fields of the Denoise widget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_usflow._napari.denoise.method_notes import expected_text, method_note
from napari_usflow._napari.denoise.run import Request, needs_millimetres
from napari_usflow._napari.denoise.sector_search import SectorPanel
from napari_usflow._napari.denoise.tooltips import set_texts_of_many, set_tooltips
from napari_usflow._napari.settings import preferences
from napari_usflow._napari.shared.choices import DeviceCombo, NetworkCombo, WeightsCombo
from napari_usflow._napari.shared.form_parts import (
    FormScroll,
    align_labels,
    column,
    combo,
    form_layout,
    heading,
    pixel_size_box,
    row,
    shrinkable,
)
from napari_usflow._napari.shared.layer_combo import LayerCombo
from napari_usflow._napari.shared.parameter_form import (
    ParameterForm,
    field_editor,
)
from napari_usflow.denoising.algorithms import method_class, methods
from napari_usflow.denoising.algorithms.network import NetworkDenoiser
from napari_usflow.denoising.settings import Settings
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_usflow._napari.layers.content import LayerContent
    from napari_usflow.ultrasound.value_rule import StatedValues

__all__ = ["DenoiseForm"]

_VALUES: tuple[tuple[str, StatedValues | None], ...] = (
    ("Automatic", None),
    ("Decibels", "db"),
    ("Display grey", "display"),
    ("Linear envelope", "envelope"),
    ("Beamformed RF", "rf"),
)
_OWN_CONTROLS = ("sigma_db", "strength", "dynamic_range_db", "mix_back", "value_range")
_SPECKLE_DB = round(SPECKLE_DB, 2)
_STRONGEST = 200  # per cent


class DenoiseForm(FormScroll):
    """Layer, method, strength and the rest; gives a :class:`Request`.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its image layers are offered.
    offered : sequence of str, optional
        The methods to choose from; all by default.
    parameters_open : bool
        Show the method's parameters outside of "Advanced".
    """

    input_changed = Signal()
    method_changed = Signal()
    request_changed = Signal()
    blend_changed = Signal()
    """Strength or Mix back is another: a finished result follows at once."""
    calibrate_asked = Signal()
    """The pixel size is to be measured on the picture."""

    def __init__(
        self,
        viewer: ViewerModel,
        *,
        offered: Sequence[str] | None = None,
        parameters_open: bool = False,
    ) -> None:
        super().__init__()
        self._parameters_open = parameters_open
        self._forms: dict[QWidget, QFormLayout] = {}
        self._shape: tuple[int, int, int] | None = None
        preferred = preferences()
        self.layer_combo = LayerCombo(viewer)
        self.layer_combo.currentIndexChanged.connect(self.input_changed)
        self.content_label = QLabel()
        self.content_label.setWordWrap(True)
        self.values_combo = combo(_VALUES)
        self.values_combo.currentIndexChanged.connect(self.input_changed)
        self.pixel_axial = pixel_size_box("axial")
        self.pixel_lateral = pixel_size_box("lateral")
        self.calibrate_button = QPushButton("Calibrate by a line …")
        self.calibrate_button.clicked.connect(self.calibrate_asked)
        self.dynamic_range = field_editor(Settings, "dynamic_range_db")
        self.method_combo = combo(
            [
                (method_class(name).title, name)
                for name in (methods() if offered is None else offered)
            ]
        )
        self.method_note = QLabel()
        self.method_note.setWordWrap(True)
        preferred_index = self.method_combo.findData(preferred.method)
        self.method_combo.setCurrentIndex(max(preferred_index, 0))
        self.preset_combo = shrinkable(QComboBox())
        self.preset_combo.setPlaceholderText("Changed")
        self.preset_combo.activated.connect(
            lambda: self.method_form.set_values(self.preset_combo.currentData())
        )
        self.strength = QSlider(Qt.Orientation.Horizontal)
        self.strength.setRange(0, _STRONGEST)
        self.strength.setTickPosition(QSlider.TickPosition.TicksBelow)
        self.strength.setTickInterval(_STRONGEST // 2)
        self.strength_label = QLabel()
        self.strength.valueChanged.connect(
            lambda percent: self.strength_label.setText(f"{percent / 100:.2f}")
        )
        self.strength.setValue(100)
        self.automatic_noise = QCheckBox("Estimate")
        self.automatic_noise.setChecked(True)
        self.noise: Any = field_editor(
            Settings, "sigma_db", default=round(SPECKLE_DB, 2)
        )
        self.noise.setMinimum(0)
        self.noise.setSpecialValueText("by the run")
        self.automatic_noise.toggled.connect(self._on_automatic_noise)
        self._on_automatic_noise(True)
        self.mix_back = QSlider(Qt.Orientation.Horizontal)
        self.mix_back.setRange(0, 100)
        self.mix_back_label = QLabel("0 %")
        self.mix_back.valueChanged.connect(
            lambda percent: self.mix_back_label.setText(f"{percent} %")
        )
        self.prior_combo = WeightsCombo(preferred.prior)
        self.network_combo = NetworkCombo()
        self.device_combo = DeviceCombo(preferred.device)
        self.link_contrast = QCheckBox("Link contrast of input and result")
        self.link_contrast.setChecked(True)
        self.uncertainty = QCheckBox("Uncertainty in dB, as further layers")
        self.sector_panel = SectorPanel()
        self.method_form = ParameterForm()
        self.method_form.changed.connect(self._show_preset)
        self.settings_form = ParameterForm()
        self.settings_form.show_fields_of(Settings, without=_OWN_CONTROLS)
        self._has_lengths = True
        self._lay_out()
        set_tooltips(self)
        self.method_combo.currentIndexChanged.connect(self._on_method)
        self._on_method()
        for signal in (
            self.method_changed,
            self.method_form.changed,
            self.uncertainty.toggled,
        ):
            signal.connect(self._ask_for_lengths)
        for signal in (self.strength.valueChanged, self.mix_back.valueChanged):
            signal.connect(self.blend_changed)
        self.input_changed.connect(self._forget_estimate)
        for signal in (
            self.input_changed,
            self.method_changed,
            self.method_form.changed,
            self.settings_form.changed,
            self.strength.valueChanged,
            self.automatic_noise.toggled,
            self.noise.valueChanged,
            self.mix_back.valueChanged,
            self.dynamic_range.valueChanged,
            self.pixel_axial.valueChanged,
            self.pixel_lateral.valueChanged,
            self.prior_combo.currentIndexChanged,
            self.network_combo.currentIndexChanged,
            self.device_combo.currentIndexChanged,
        ):
            signal.connect(self.request_changed)

    def values(self) -> StatedValues | None:
        """Return what the user says the layer's numbers are; None for automatic."""
        stated: StatedValues | None = self.values_combo.currentData()
        return stated

    def request(self) -> Request:
        """Return what is set."""
        weights = self._weights_combo()
        pixel = (self.pixel_axial.value(), self.pixel_lateral.value())
        is_given = not self._pixel_row.isHidden() and min(pixel) > 0
        settings = replace(
            Settings(),
            sigma_db=None if self.automatic_noise.isChecked() else self.noise.value(),
            dynamic_range_db=self.dynamic_range.value(),
            strength=self.strength.value() / 100,
            mix_back=self.mix_back.value() / 100,
            **self.settings_form.values(),
        )
        return Request(
            method=self.method(),
            params=self.method_form.values(),
            settings=settings,
            weights="" if weights is None else weights.weights(),
            device=self.device_combo.currentText(),
            pixel_size_mm=pixel if is_given else None,
            values=self.values(),
            link_contrast=self.link_contrast.isChecked(),
            uncertainty=bool(method_class(self.method()).uncertainties)
            and self.uncertainty.isChecked(),
            sector="auto" if self.sector_panel.on_lines.isChecked() else None,
            mask_outside=self.sector_panel.mask_outside.isChecked(),
        )

    def show_content(self, text: str, content: LayerContent | None) -> None:
        """Show what the layer is, and the fields that it leaves open.

        Parameters
        ----------
        text : str
            The line below the layer.
        content : LayerContent, optional
            None when the layer cannot be denoised as it is.
        """
        self.content_label.setText(text)
        self._has_lengths = content is None or content.spacing_mm is not None
        self._shape = None if content is None else content.shape
        self._ask_for_lengths()
        self._show_note()
        self._show_row(self.calibrate_button, not self._has_lengths)
        self._show_row(
            self.dynamic_range, content is not None and content.values == "display"
        )
        # What cannot be told is asked for, before anything can be denoised.
        if content is None and self.layer_combo.layer() is not None:
            self._advanced.expand(animate=False)

    def hide_layer(self) -> None:
        """Leave out what is of one layer: the settings go for many."""
        for field in (self.layer_combo, self.content_label, self.calibrate_button):
            self._show_row(field, False)
        self.sector_panel.find_button.hide()
        set_texts_of_many(self)
        self.uncertainty.setChecked(False)
        self.uncertainty.hide()

    def show_estimate(self, level_db: float) -> None:
        """Show an estimated noise level in its box."""
        if self.automatic_noise.isChecked():
            self._set_noise(level_db)

    def share(self) -> tuple[float, float]:
        """Return Strength and Mix back, each as a share."""
        return self.strength.value() / 100, self.mix_back.value() / 100

    def _lay_out(self) -> None:
        self._pixel_row = column(self.pixel_axial, self.pixel_lateral)
        top, method = (
            self._rows(
                ("Layer", self.layer_combo),
                ("", self.content_label),
                ("Method", self.method_combo),
                ("", self.method_note),
                ("Strength", row(self.strength, self.strength_label)),
                ("Pixel size", self._pixel_row),
            ),
            self._rows(
                ("Preset", self.preset_combo),
                ("Weights", self.prior_combo),
                ("Weights", self.network_combo),
                ("Device", self.device_combo),
            ),
        )
        entered = self._rows(
            ("Values", self.values_combo),
            ("Dynamic range", self.dynamic_range),
            ("", self.calibrate_button),
            ("Noise level", row(self.automatic_noise, self.noise)),
        )
        result = self._rows(("Mix back", row(self.mix_back, self.mix_back_label)))
        self._advanced = advanced = QCollapsible("Advanced")
        groups: tuple[tuple[str, tuple[QWidget, ...]], ...] = (
            ("Input", (entered,)),
            ("Method", (method, self.method_form)),
            (
                "Result",
                (result, self.settings_form, self.link_contrast, self.uncertainty),
            ),
        )
        if self._parameters_open:
            groups = tuple(group for group in groups if group[0] != "Method")
        for title, widgets in groups:
            advanced.addWidget(heading(title))
            for widget in widgets:
                advanced.addWidget(widget)
        self._top = (top, method, self.method_form) if self._parameters_open else (top,)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (*self._top, self.sector_panel, advanced):
            layout.addWidget(widget)
        self.set_content(content)

    def _rows(self, *rows: tuple[str, QWidget]) -> QWidget:
        box = QWidget()
        form = form_layout(box)
        for label, field in rows:
            form.addRow(label, field)
            self._forms[field] = form
        return box

    def align(self) -> None:
        """Line up the fields; those under "Advanced" have an indent of their own."""
        align_labels(*self._top)
        align_labels(self._advanced)

    def method(self) -> str:
        """Return the name of the chosen method."""
        return str(self.method_combo.currentData())

    def _weights_combo(self) -> WeightsCombo | None:
        """Return the choice of what the method computes with, if it is learned."""
        method = method_class(self.method())
        if issubclass(method, NetworkDenoiser):
            return self.network_combo
        return self.prior_combo if method.uses_prior else None

    def _on_method(self) -> None:
        method = method_class(self.method())
        self._show_note()
        self.method_form.show_fields_of(method.Params)
        self.align()
        self.preset_combo.clear()
        for name, preset in {"default": method.Params(), **method.presets}.items():
            self.preset_combo.addItem(name.capitalize(), preset)
        self._show_row(self.preset_combo, bool(method.presets))
        for weights in (self.prior_combo, self.network_combo):
            self._show_row(weights, weights is self._weights_combo())
        self._show_row(self.device_combo, not method.baseline)
        self.uncertainty.setVisible(bool(method.uncertainties))
        self._show_preset()
        self.method_changed.emit()

    def _show_note(self) -> None:
        """Say what the method does, and how long it takes for this layer."""
        method = self.method()
        expected = "" if self._shape is None else expected_text(method, self._shape)
        text = " ".join(filter(None, (method_note(method), expected)))
        self.method_note.setText(text)
        self._show_row(self.method_note, bool(text))

    def _on_automatic_noise(self, automatic: bool) -> None:
        self.noise.setEnabled(not automatic)
        if automatic:
            self._forget_estimate()
        elif self.noise.value() == 0:
            self.noise.setValue(_SPECKLE_DB)

    def _forget_estimate(self) -> None:
        if self.automatic_noise.isChecked():
            self._set_noise(0.0)

    def _set_noise(self, level_db: float) -> None:
        self.noise.blockSignals(True)
        self.noise.setValue(level_db)
        self.noise.blockSignals(False)

    def _ask_for_lengths(self) -> None:
        """Show the pixel size field where the layer has none and a length counts."""
        missing = not self._has_lengths and needs_millimetres(self.request())
        self._show_row(self._pixel_row, missing)

    def _show_preset(self) -> None:
        """Name the preset that the parameters are, if they are one."""
        values = self.method_form.values()
        presets = [
            self.preset_combo.itemData(i) for i in range(self.preset_combo.count())
        ]
        matches = [i for i, preset in enumerate(presets) if vars(preset) == values]
        self.preset_combo.setCurrentIndex(matches[0] if matches else -1)

    def _show_row(self, field: QWidget, visible: bool) -> None:
        field.setVisible(visible)
        label = self._forms[field].labelForField(field)
        if label is not None:
            label.setVisible(visible)
