"""The fields of the Measure widget: what is measured, where, and with which tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_usflow._napari.measure.lines import is_calipers
from napari_usflow._napari.measure.number_table import role_icon
from napari_usflow._napari.shared.form_parts import form_layout, row, shrinkable
from napari_usflow._napari.shared.layer_combo import LayerCombo
from napari_usflow.evaluate.regions import ROLE_COLORS, ROLES

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ALL_DRAWN", "ALL_RESULTS", "ROLE_KEYS", "MeasureForm"]

ALL_RESULTS, ALL_DRAWN = "All results", "All drawn regions"

ROLE_KEYS = {
    "target": "Shift-T",
    "background": "Shift-B",
    "speckle": "Shift-S",
    "point": "Shift-O",
    "wall": "Shift-W",
}
"""Keys of the viewer while the widget is open; napari has none of them."""

_ROLE_HELP = {
    "target": "Object of contrast, CNR and gCNR: a cyst, a lumen, a lesion",
    "background": "Tissue beside the target, at the same depth",
    "speckle": "Homogeneous tissue: speckle SNR and number of looks",
    "point": "A bright point: its width along depth and across the beam",
    "wall": "A line, or a box, across an edge: its 10 to 90 % width",
}


class MeasureForm(QWidget):
    """Layers, roles and tools.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its layers are offered.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.before = LayerCombo(viewer, none="None")
        self.after = LayerCombo(viewer, none=ALL_RESULTS)
        self.after.setToolTip(
            "Result to measure, or all results that cover the image before"
        )
        self.drawn = LayerCombo(
            viewer,
            kinds=("Shapes", "Labels", "Points"),
            without=is_calipers,
            none=ALL_DRAWN,
        )
        self.drawn.setToolTip("Layers whose regions are measured: those with a role")
        self.role = shrinkable(QComboBox())
        for number, role in enumerate(ROLES):
            self.role.addItem(role_icon(role), role.capitalize(), role)
            tip = Qt.ItemDataRole.ToolTipRole
            self.role.setItemData(number, _ROLE_HELP[role], tip)
        self.role.setToolTip(
            "Role of the selected and of new regions:\n"
            + "\n".join(
                f"{role} ({ROLE_KEYS[role].replace('-', '+')}): {text}"
                for role, text in _ROLE_HELP.items()
            )
        )
        self.legend = QLabel(
            "<small>"
            + " ".join(
                f'<span style="color:{color}">■</span>&nbsp;{role}'
                for role, color in ROLE_COLORS.items()
            )
            + "</small>"
        )
        self.legend.setWordWrap(True)
        self.dynamic_range = QDoubleSpinBox()
        self.dynamic_range.setRange(10, 150)
        self.dynamic_range.setDecimals(0)
        self.dynamic_range.setValue(60)
        self.dynamic_range.setSuffix(" dB")
        self.dynamic_range.setToolTip(
            "Decibels from black to white of a grey picture, as set on the scanner"
        )
        self.suggest = _button(
            "Suggest",
            "Draw a homogeneous speckle region and the darkest region beside it,\n"
            "so that a first look needs no drawing",
        )
        self.region = _button("Region", "Draw regions with the role above")
        self.point = _button("Point", "Click on bright points to measure their width")
        self.line = _button(
            "Line",
            "Draw lines: their length, and the profile of both images along them",
        )
        self.report = _button(
            "Report",
            "Write a page with pictures, numbers, marks and methods, and open it in\n"
            "the browser",
        )
        self._form = form_layout()
        for label, field in (
            ("Before", self.before),
            ("After", self.after),
            ("Dynamic range", self.dynamic_range),
            ("Regions", self.drawn),
            ("Role", self.role),
        ):
            self._form.addRow(label, field)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addWidget(self.legend)
        tools = (self.suggest, self.region, self.point, self.line, self.report)
        layout.addWidget(row(*tools))

    def show_dynamic_range(self, asked: bool) -> None:
        """Ask for the dynamic range only where a layer holds display grey."""
        label = self._form.labelForField(self.dynamic_range)
        for widget in (self.dynamic_range, label):
            if widget is not None:
                widget.setVisible(asked)

    def show_role(self, role: str) -> None:
        """Show the role of what is selected, without telling anyone."""
        self.role.blockSignals(True)
        self.role.setCurrentIndex(self.role.findData(role))
        self.role.blockSignals(False)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
