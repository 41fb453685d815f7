"""Small parts that the forms of the widgets are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QWidget,
)

__all__ = ["FormScroll", "align_labels", "combo", "pixel_size_box", "row"]


class FormScroll(QScrollArea):
    """Takes the height that its fields need, and scrolls them where there is less."""

    def set_content(self, content: QWidget) -> None:
        """Show the fields."""
        content.installEventFilter(self)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def sizeHint(self) -> QSize:
        """Return the height of all fields; with less, they scroll."""
        content = self.widget()
        if content is None:
            return super().sizeHint()
        hint = content.sizeHint()
        # Some text is wrapped: its height depends on the width.
        viewport = self.viewport()
        width = self.width() if viewport is None else viewport.width()
        height = content.heightForWidth(width)
        frame = 2 * self.frameWidth()
        return QSize(hint.width() + frame, max(hint.height(), height) + frame)

    def minimumSizeHint(self) -> QSize:
        """Leave room for the width of the fields, which are not scrolled sideways."""
        hint, content = super().minimumSizeHint(), self.widget()
        bar = self.verticalScrollBar()
        if content is not None and bar is not None:
            width = content.minimumSizeHint().width() + bar.sizeHint().width()
            hint.setWidth(width)
        return hint

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Update the size hint: with another width the text wraps elsewhere."""
        super().resizeEvent(event)
        self.updateGeometry()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the fields as rows come and go and "Advanced" is unfolded."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


def combo(entries: Iterable[tuple[str, Any]]) -> QComboBox:
    """Make a choice among texts that stand for data."""
    box = QComboBox()
    for text, data in entries:
        box.addItem(text, data)
    return box


def pixel_size_box() -> QDoubleSpinBox:
    """Make a box for a length, empty at first: no default would be right."""
    box = QDoubleSpinBox()
    box.setDecimals(4)
    box.setRange(0.0, 100.0)
    box.setSpecialValueText("?")
    box.setSuffix(" mm")
    box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    return box


def row(*widgets: QWidget) -> QWidget:
    """Lay out widgets in a row; labels take no more room than they need."""
    box = QWidget()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget, 0 if isinstance(widget, QLabel) else 1)
    return box


def align_labels(*forms: QWidget | None) -> None:
    """Return the labels of several forms one width, so that their fields line up."""
    labels: list[QLabel] = []
    for form in forms:
        for layout in [] if form is None else form.findChildren(QFormLayout):
            for i in range(layout.rowCount()):
                item = layout.itemAt(i, QFormLayout.ItemRole.LabelRole)
                label = None if item is None else item.widget()
                if isinstance(label, QLabel):
                    labels.append(label)
    width = max((label.sizeHint().width() for label in labels), default=0)
    for label in labels:
        label.setMinimumWidth(width)
