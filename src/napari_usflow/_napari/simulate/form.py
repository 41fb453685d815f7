"""The fields of the Simulate speckle widget."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_usflow._napari.layers.content import LayerError, spacing_mm
from napari_usflow._napari.shared.form_parts import (
    FormScroll,
    column,
    form_layout,
    pixel_size_box,
)
from napari_usflow._napari.shared.layer_combo import LayerCombo
from napari_usflow._napari.shared.parameter_form import ParameterForm, field_tooltip
from napari_usflow._napari.simulate.preview import is_speckle_preview
from napari_usflow._napari.simulate.run import (
    SpeckleRequest,
    describe_picture,
    speckle_request,
)
from napari_usflow.ultrasound.data import pixel_pair
from napari_usflow.ultrasound.simulate.speckle import SpeckleParams

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["SimulateForm"]

_HZ_PER_MHZ = 1e6


class SimulateForm(FormScroll):
    """Picture, pixel size and parameters; gives a :class:`SpeckleRequest`.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its image layers are offered.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.layer_combo = LayerCombo(viewer, without=is_speckle_preview)
        self.content_label = QLabel()
        self.content_label.setWordWrap(True)
        self.pixel_axial = pixel_size_box("axial")
        self.pixel_lateral = pixel_size_box("lateral")
        usual = pixel_pair(SpeckleParams().pixel_size_mm)
        for box, size in zip(
            (self.pixel_axial, self.pixel_lateral), usual, strict=True
        ):
            box.setMinimum(0.001)
            box.setValue(size)
            box.valueChanged.connect(self.changed)
        self.carrier = _megahertz_box()
        self.carrier.valueChanged.connect(self.changed)
        self.params_form = ParameterForm()
        self.params_form.show_fields_of(SpeckleParams, without=("f0_hz",))
        self.params_form.changed.connect(self.changed)
        self.live = QCheckBox("Live preview of the visible frame")
        self._lay_out()
        self._set_tooltips()
        self.layer_combo.currentIndexChanged.connect(self.show_content)
        self.layer_combo.currentIndexChanged.connect(self.changed)
        self.show_content()

    def picture(self) -> Image:
        """Return the chosen layer; LayerError when there is none."""
        layer = self.layer_combo.layer()
        if layer is None:
            raise LayerError("Open or choose an image layer first.")
        return layer

    def request(self) -> SpeckleRequest:
        """Return what is set, for the chosen layer as it is now.

        Raises
        ------
        LayerError, ValueError
            When it cannot be simulated.
        """
        values = self.params_form.values()
        values["f0_hz"] = self.carrier.value() * _HZ_PER_MHZ
        pixel = (self.pixel_axial.value(), self.pixel_lateral.value())
        return speckle_request(self.picture(), values, pixel)

    def show_content(self, *_: object) -> None:
        """Describe the chosen layer, and show fields only for what it lacks."""
        layer = self.layer_combo.layer()
        needs_size = False
        try:
            if layer is None:
                text = "No image layer is open."
            else:
                text = describe_picture(layer)
                needs_size = spacing_mm(layer) is None
        except LayerError as error:
            text = str(error)
        self.content_label.setText(text)
        self._pixel_row.setVisible(needs_size)
        if (label := self._top.labelForField(self._pixel_row)) is not None:
            label.setVisible(needs_size)

    def _lay_out(self) -> None:
        self._pixel_row = column(self.pixel_axial, self.pixel_lateral)
        self._top = form_layout()
        for label, field in (
            ("Picture", self.layer_combo),
            ("", self.content_label),
            ("Pixel size", self._pixel_row),
            ("Carrier", self.carrier),
        ):
            self._top.addRow(label, field)
        top, content = QWidget(), QWidget()
        top.setLayout(self._top)
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (top, self.params_form, self.live):
            layout.addWidget(widget)
        self.set_content(content)

    def _set_tooltips(self) -> None:
        self.layer_combo.setToolTip(
            "Tissue without speckle, such as MRI, as any grey image or stack; its "
            "contrast limits become black and white"
        )
        self.pixel_axial.setToolTip("Pixel size in depth: the layer has no lengths")
        self.pixel_lateral.setToolTip("Pixel size across: the layer has no lengths")
        self.carrier.setToolTip(field_tooltip(SpeckleParams, "f0_hz"))
        self.live.setToolTip(
            "Simulate the visible frame in a layer that follows the settings, the "
            "slider and the contrast limits of the picture"
        )


def _megahertz_box() -> QDoubleSpinBox:
    field = next(f for f in fields(SpeckleParams) if f.name == "f0_hz")
    box = QDoubleSpinBox()
    box.setDecimals(2)
    box.setRange(
        field.metadata["minimum"] / _HZ_PER_MHZ, field.metadata["maximum"] / _HZ_PER_MHZ
    )
    box.setSingleStep(0.5)
    box.setValue(SpeckleParams().f0_hz / _HZ_PER_MHZ)
    box.setSuffix(" MHz")
    return box
