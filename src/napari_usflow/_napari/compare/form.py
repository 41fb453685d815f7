"""The fields of the Compare widget."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_usflow._napari.compare.picture import Divider
from napari_usflow._napari.shared.form_parts import FormScroll, form_layout, row
from napari_usflow._napari.shared.layer_combo import LayerCombo

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow._napari.compare.pair import Pair
    from napari_usflow._napari.layers.placement import Placement

__all__ = ["CompareForm"]

_VIEWS = (
    ("curtain", "Curtain", "Before on one side of a line, after on the other"),
    ("flicker", "Flicker", "Before and after alternate in the same place"),
    (
        "side",
        "Side by side",
        "After on a second canvas; cameras and sliders are linked",
    ),
    ("difference", "Difference", "Before minus after: what was removed"),
    ("ratio", "Ratio in dB", "Amplitude before / after, in dB"),
    ("off", "Off", "No comparison"),
)
_COLUMNS = 3
_STEPS = 1000
_NO_PAIR = "None"


class CompareForm(FormScroll):
    """The pair, how it is looked at, and one line of text.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its image layers are offered.
    """

    pair_changed = Signal()
    mode_changed = Signal(str)
    divider_changed = Signal(object)
    period_changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._placement: Placement | None = None
        self._divider = Divider((0.0, 0.0))
        self._range_asked = False
        self.before = LayerCombo(viewer, none=_NO_PAIR)
        self.after = LayerCombo(viewer, none=_NO_PAIR)
        self.previous_button = _arrow(
            Qt.ArrowType.LeftArrow, "Previous result (Page Up)"
        )
        self.next_button = _arrow(Qt.ArrowType.RightArrow, "Next result (Page Down)")
        self.link = QCheckBox("Same contrast and colours")
        self.link.setChecked(True)
        self.link.setToolTip(
            "Use contrast limits, gamma and colormap of the layer before for "
            "both, and\n"
            "change them together. Off: each side has its own."
        )
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )
        self._build()
        for combo in (self.before, self.after):
            combo.currentIndexChanged.connect(self.pair_changed)

    def mode(self) -> str:
        """Return the view that is on; ``off`` for none."""
        return self._names[self._views.checkedId()]

    def _check(self, mode: str) -> None:
        button = self._views.button(self._names.index(mode))
        assert button is not None
        button.setChecked(True)

    def set_mode(self, mode: str) -> None:
        """Switch to a view."""
        if mode != self.mode():
            self._check(mode)
            self._on_view()

    def choose(self, before: Image | None, after: Image | None) -> None:
        """Choose a pair without telling anyone."""
        for combo, layer in ((self.before, before), (self.after, after)):
            combo.blockSignals(True)
            combo.choose(layer)
            combo.blockSignals(False)

    def say(self, text: str, *, bad: bool = False) -> None:
        """Show a sentence; red when something went wrong."""
        self.status.setText(text)
        self.status.setStyleSheet("color: #e05a4e" if bad else "")

    def period_s(self) -> float:
        """Return the time a side is shown; 0 for as long as the key is not pressed."""
        return self.period.value() if self.by_timer.isChecked() else 0.0

    def show_pair(self, pair: Pair, divider: Divider) -> None:
        """Take over where the picture is, and what its values want to know."""
        self._placement = pair.placement
        self._range_asked = pair.values("before")[0] == "display"
        self._show_options()
        self.show_divider(divider)

    def show_divider(self, divider: Divider) -> None:
        """Show where the line is."""
        self._divider = divider
        low, high = self._span(divider)
        across = float(np.dot(divider.point, divider.normal))
        for control in (self.place, self.angle):
            control.blockSignals(True)
        self.angle.setValue(divider.angle_deg % 360)
        self.place.setValue(round((across - low) / (high - low) * _STEPS))
        for control in (self.place, self.angle):
            control.blockSignals(False)

    def _build(self) -> None:
        self._names = [name for name, _, _ in _VIEWS]
        self._views = QButtonGroup(self)
        grid = QGridLayout()
        grid.setSpacing(3)
        for i, (_, text, tip) in enumerate(_VIEWS):
            button = QPushButton(text)
            button.setCheckable(True)
            button.setToolTip(tip)
            self._views.addButton(button, i)
            grid.addWidget(button, i // _COLUMNS, i % _COLUMNS)
        self._check("off")
        self._views.buttonClicked.connect(self._on_view)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        pair = form_layout()
        pair.addRow("Before", self.before)
        after = row(self.after, self.previous_button, self.next_button)
        pair.addRow("After", after)
        layout.addLayout(pair)
        layout.addLayout(grid)
        self._curtain_box, self._flicker_box = self._curtain(), self._flicker()
        self._ratio_box = self._ratio()
        self._hint = QLabel()
        self._hint.setWordWrap(True)
        self.play = QPushButton("▶ Real time")
        self.play.setCheckable(True)
        self.play.setToolTip("Play the clip at its own pace, or stop")
        self.time = QCheckBox("Time")
        self.time.setToolTip("Write the time of the frame on the canvas, in seconds")
        self.clip_row = row(self.play, self.time)
        self.suggest = QPushButton("Suggest regions")
        self.suggest.setToolTip(
            "Open Measure and draw a homogeneous speckle region and the darkest one\n"
            "beside it: numbers before and after, without drawing"
        )
        boxes = (self._curtain_box, self._flicker_box, self._ratio_box, self._hint)
        last = (self.link, self.clip_row, self.suggest, self.status)
        for box in (*boxes, *last):
            layout.addWidget(box)
        self.set_content(content)
        self._show_options()

    def _curtain(self) -> QWidget:
        self.place = QSlider(Qt.Orientation.Horizontal)
        self.place.setRange(0, _STEPS)
        self.place.setToolTip("Where the line is; or drag the line on the canvas")
        self.place.valueChanged.connect(self._on_place)
        self.angle = QDoubleSpinBox()
        self.angle.setRange(0, 360)
        self.angle.setWrapping(True)
        self.angle.setDecimals(0)
        self.angle.setSingleStep(5)
        self.angle.setSuffix("°")
        self.angle.setToolTip(
            "Tilt of the line: 0° upright, before on its left; 90° level, before above "
            "it.\nOr drag the line with Shift"
        )
        self.angle.valueChanged.connect(self._on_angle)
        upright, level = QPushButton("Vertical"), QPushButton("Horizontal")
        upright.clicked.connect(lambda: self.angle.setValue(0))
        level.clicked.connect(lambda: self.angle.setValue(90))
        box = QWidget()
        form = form_layout(box)
        form.addRow("Line", self.place)
        form.addRow("Tilt", row(self.angle, upright, level))
        return box

    def _flicker(self) -> QWidget:
        self.by_timer = QCheckBox("Every")
        self.by_timer.setChecked(True)
        self.by_timer.toggled.connect(self.period_changed)
        self.period = QDoubleSpinBox()
        self.period.setRange(0.1, 5.0)
        self.period.setSingleStep(0.1)
        self.period.setValue(0.5)
        self.period.setSuffix(" s")
        self.period.valueChanged.connect(self.period_changed)
        box = row(self.by_timer, self.period)
        box.setToolTip("Or press K on the canvas to swap the sides")
        return box

    def _ratio(self) -> QWidget:
        self.dynamic_range = QDoubleSpinBox()
        self.dynamic_range.setRange(10, 150)
        self.dynamic_range.setDecimals(0)
        self.dynamic_range.setValue(60)
        self.dynamic_range.setSuffix(" dB")
        self.dynamic_range.setToolTip(
            "Decibels from black to white of the grey picture, as set on the scanner"
        )
        return row(QLabel("Dynamic range"), self.dynamic_range)

    def _on_view(self, button: object = None) -> None:
        self._show_options()
        self.mode_changed.emit(self.mode())

    def _show_options(self) -> None:
        mode = self.mode()
        self._curtain_box.setVisible(mode == "curtain")
        self._flicker_box.setVisible(mode == "flicker")
        self._ratio_box.setVisible(mode == "ratio" and self._range_asked)
        hints = {
            "curtain": "Drag the line on the canvas; with Shift it turns.",
            "flicker": "K swaps the sides.",
            "difference": "Orange: brighter before. Blue: brighter after.",
            "ratio": "Orange: brighter before. Blue: brighter after.",
        }
        self._hint.setText(hints.get(mode, ""))
        self._hint.setVisible(mode in hints)

    def _span(self, divider: Divider) -> tuple[float, float]:
        """Return how far across the line the picture begins and ends."""
        if self._placement is None:
            return 0.0, 1.0
        across = self._placement.corners() @ divider.normal
        return float(across.min()), float(across.max())

    def _on_place(self, value: int) -> None:
        divider = self._divider
        low, high = self._span(divider)
        across = low + (high - low) * value / _STEPS
        step = across - float(np.dot(divider.point, divider.normal))
        z, x = np.asarray(divider.point) + step * divider.normal
        self._send(replace(divider, point=(float(z), float(x))))

    def _on_angle(self, angle: float) -> None:
        self._send(replace(self._divider, angle_deg=angle))
        self.show_divider(self._divider)

    def _send(self, divider: Divider) -> None:
        self._divider = divider
        self.divider_changed.emit(divider)


def _arrow(direction: Qt.ArrowType, tip: str) -> QToolButton:
    button = QToolButton()
    button.setArrowType(direction)
    button.setToolTip(tip)
    return button
