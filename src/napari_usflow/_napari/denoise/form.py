"""The fields of the Denoise widget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_usflow._napari.denoise.run import Request, needs_millimetres
from napari_usflow._napari.denoise.sector_search import SectorPanel
from napari_usflow._napari.settings import preferences
from napari_usflow._napari.shared.choices import DeviceCombo, NetworkCombo, WeightsCombo
from napari_usflow._napari.shared.form_parts import (
    FormScroll,
    combo,
    pixel_size_box,
    row,
)
from napari_usflow._napari.shared.layer_combo import LayerCombo
from napari_usflow._napari.shared.parameter_form import (
    ParameterForm,
    field_editor,
    field_tooltip,
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
_STRONGEST = 200  # per cent
_HELP = {field.name: field.metadata.get("help", "") for field in fields(Settings)}


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

    def __init__(
        self,
        viewer: ViewerModel,
        *,
        offered: Sequence[str] | None = None,
        parameters_open: bool = False,
    ) -> None:
        super().__init__()
        self._parameters_open = parameters_open
        preferred = preferences()
        self.layer_combo = LayerCombo(viewer)
        self.layer_combo.currentIndexChanged.connect(self.input_changed)
        self.content_label = QLabel()
        self.content_label.setWordWrap(True)
        self.values_combo = combo(_VALUES)
        self.values_combo.currentIndexChanged.connect(self.input_changed)
        self.pixel_axial = pixel_size_box()
        self.pixel_lateral = pixel_size_box()
        self.dynamic_range = field_editor(Settings, "dynamic_range_db")
        self.method_combo = combo(
            [
                (method_class(name).title, name)
                for name in (methods() if offered is None else offered)
            ]
        )
        self.preset_combo = QComboBox()
        self.preset_combo.setPlaceholderText("Own")
        self.preset_combo.activated.connect(self._on_preset)
        self.strength = QSlider(Qt.Orientation.Horizontal)
        self.strength.setRange(0, _STRONGEST)
        self.strength.setTickPosition(QSlider.TickPosition.TicksBelow)
        self.strength.setTickInterval(_STRONGEST // 2)
        self.strength_label = QLabel()
        self.strength.valueChanged.connect(
            lambda percent: self.strength_label.setText(f"{percent / 100:.2f}")
        )
        self.strength.setValue(100)
        self.automatic_noise = QCheckBox("estimated")
        self.automatic_noise.setChecked(True)
        self.noise = field_editor(Settings, "sigma_db", default=round(SPECKLE_DB, 2))
        self.noise.hide()
        self.automatic_noise.toggled.connect(self.noise.setHidden)
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
        self.uncertainty = QCheckBox("Uncertainty")
        self.sector_panel = SectorPanel()
        self.method_form = ParameterForm()
        self.method_form.changed.connect(self._show_preset)
        self.settings_form = ParameterForm()
        self.settings_form.show_fields_of(Settings, without=_OWN_CONTROLS)
        self._has_lengths = True
        self._lay_out()
        self._set_tooltips()
        self.method_combo.currentIndexChanged.connect(self._on_method)
        self._on_method()
        for signal in (
            self.method_changed,
            self.method_form.changed,
            self.uncertainty.toggled,
        ):
            signal.connect(self._ask_for_lengths)
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
        chosen: StatedValues | None = self.values_combo.currentData()
        return chosen

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
        self._ask_for_lengths()
        self._show_row(
            self.dynamic_range, content is not None and content.values == "display"
        )

    def _lay_out(self) -> None:
        self._pixel_row = row(self.pixel_axial, QLabel("×"), self.pixel_lateral)
        noise_row = row(self.automatic_noise, self.noise)
        mix_row = row(self.mix_back, self.mix_back_label)
        advanced = QCollapsible("Advanced")
        if not self._parameters_open:
            advanced.addWidget(self.method_form)
        advanced.addWidget(self.settings_form)
        self._form = QFormLayout()
        for label, field in (
            ("Layer", self.layer_combo),
            ("", self.content_label),
            ("Method", self.method_combo),
            ("Strength", row(self.strength, self.strength_label)),
            ("Preset", self.preset_combo),
            ("Values", self.values_combo),
            ("Pixel size", self._pixel_row),
            ("Dynamic range", self.dynamic_range),
            ("Noise level", noise_row),
            ("Mix back", mix_row),
            ("Weights", self.prior_combo),
            ("Weights", self.network_combo),
            ("Device", self.device_combo),
        ):
            self._form.addRow(label, field)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        if self._parameters_open:
            layout.addWidget(self.method_form)
        layout.addWidget(self.sector_panel)
        layout.addWidget(self.link_contrast)
        layout.addWidget(self.uncertainty)
        layout.addWidget(advanced)
        self.set_content(content)

    def _set_tooltips(self) -> None:
        for widget, text in (
            (self.layer_combo, "The image layer to denoise; it is not changed"),
            (self.values_combo, "What the layer's numbers are, where they do not tell"),
            (self.pixel_axial, "Pixel size in depth, in mm: the layer has no lengths"),
            (self.pixel_lateral, "Pixel size across, in mm: the layer has no lengths"),
            (self.method_combo, "How the speckle is suppressed"),
            (self.preset_combo, "Fills in parameters that have a name"),
            (
                self.strength,
                _HELP["strength"],
            ),
            (
                self.automatic_noise,
                "Measure the noise in the middle frame; the level is told at the end",
            ),
            (self.mix_back, field_tooltip(Settings, "mix_back")),
            (self.prior_combo, "The prior: what anatomy without speckle looks like"),
            (
                self.network_combo,
                "The network that denoises; by default the shipped one for the noise",
            ),
            (self.device_combo, "Where to compute; auto takes the fastest device"),
            (
                self.link_contrast,
                "Changing the contrast of one layer then changes the other's",
            ),
            (
                self.uncertainty,
                (
                    "Also find how sure the method is of each pixel, in dB (takes "
                    "long):\nthe flow's standard deviation; of a network how much it "
                    "moves when the\nimage is turned, and how far the flow is from it"
                ),
            ),
        ):
            widget.setToolTip(text)

    def method(self) -> str:
        """Return the name of the chosen method."""
        return str(self.method_combo.currentData())

    def _weights_combo(self) -> WeightsCombo | None:
        """Return the choice of what the method computes with, if it is learned."""
        chosen = method_class(self.method())
        if issubclass(chosen, NetworkDenoiser):
            return self.network_combo
        return self.prior_combo if chosen.uses_prior else None

    def _on_method(self) -> None:
        chosen = method_class(self.method())
        self.method_form.show_fields_of(chosen.Params)
        self.preset_combo.clear()
        for name, preset in {"default": chosen.Params(), **chosen.presets}.items():
            self.preset_combo.addItem(name.capitalize(), preset)
        self._show_row(self.preset_combo, bool(chosen.presets))
        for weights in (self.prior_combo, self.network_combo):
            self._show_row(weights, weights is self._weights_combo())
        self._show_row(self.device_combo, not chosen.baseline)
        self.uncertainty.setVisible(bool(chosen.uncertainties))
        self.method_changed.emit()

    def _ask_for_lengths(self) -> None:
        """Show the pixel size field where the layer has none and a length counts."""
        missing = not self._has_lengths and needs_millimetres(self.request())
        self._show_row(self._pixel_row, missing)

    def _on_preset(self) -> None:
        self.method_form.set_values(self.preset_combo.currentData())

    def _show_preset(self) -> None:
        """Name the preset that the parameters are; "Own" when they are none."""
        values = self.method_form.values()
        presets = [
            self.preset_combo.itemData(i) for i in range(self.preset_combo.count())
        ]
        matches = [i for i, preset in enumerate(presets) if vars(preset) == values]
        self.preset_combo.setCurrentIndex(matches[0] if matches else -1)

    def _show_row(self, field: QWidget, visible: bool) -> None:
        field.setVisible(visible)
        label = self._form.labelForField(field)
        if label is not None:
            label.setVisible(visible)
