"""Small parts that the forms of the widgets are made of."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, TypeVar

from qtpy.QtCore import QEvent, QObject, QPoint, QSize, QTimer
from qtpy.QtGui import QResizeEvent, QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

__all__ = [
    "FormScroll",
    "align_labels",
    "column",
    "combo",
    "form_layout",
    "heading",
    "pixel_size_box",
    "row",
    "shrinkable",
]

_SHORTEST_CHOICE = 8
_UNFOLDED_MS = 1000  # more than the animation takes
_SLACK = 4  # borders that styles draw around a scroll bar

ComboT = TypeVar("ComboT", bound=QComboBox)


class FormScroll(QScrollArea):
    """Takes the height that its fields need, and scrolls them where there is less."""

    def __init__(self) -> None:
        super().__init__()
        self._unfolding: QCollapsible | None = None
        self._unfolded = QTimer(self)
        self._unfolded.setSingleShot(True)
        self._unfolded.setInterval(_UNFOLDED_MS)
        self._unfolded.timeout.connect(self._end_unfolding)
        if (bar := self.verticalScrollBar()) is not None:
            bar.rangeChanged.connect(self._reveal)

    def set_content(self, content: QWidget) -> None:
        """Show the fields."""
        content.installEventFilter(self)
        self.setWidget(content)
        for part in content.findChildren(QCollapsible):
            part.toggleButton().clicked.connect(partial(self._on_unfold, part))
        self.setWidgetResizable(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.setFrameShape(QScrollArea.Shape.NoFrame)

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

    def showEvent(self, event: QShowEvent | None) -> None:
        """Line up the fields, now that napari's style says how wide labels are."""
        super().showEvent(event)
        self.align()

    def align(self) -> None:
        """Line up the fields."""
        align_labels(self.widget())

    def minimumSizeHint(self) -> QSize:
        """Return the width at which no label and no field is cut off."""
        hint, content = super().minimumSizeHint(), self.widget()
        bar = self.verticalScrollBar()
        if content is not None and bar is not None:
            needed = max(content.minimumSizeHint().width(), _needed_width(content))
            hint.setWidth(needed + bar.sizeHint().width() + _SLACK)
        return hint

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Update the size hint: with another width the text wraps elsewhere."""
        super().resizeEvent(event)
        self.updateGeometry()

    def _on_unfold(self, part: QCollapsible, unfolded: bool) -> None:
        self._unfolding = part if unfolded else None
        self._unfolded.start()

    def _end_unfolding(self) -> None:
        self._unfolding = None

    def _reveal(self, *_: int) -> None:
        """Scroll to what the user unfolds, as it grows: below may be no room."""
        bar, content = self.verticalScrollBar(), self.widget()
        if self._unfolding is not None and bar is not None and content is not None:
            bar.setValue(self._unfolding.mapTo(content, QPoint(0, 0)).y())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the fields as rows come and go and "Advanced" is unfolded."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


def form_layout(parent: QWidget | None = None) -> QFormLayout:
    """Create a form without margins."""
    layout = QFormLayout() if parent is None else QFormLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    return layout


def combo(entries: Iterable[tuple[str, Any]]) -> QComboBox:
    """Make a choice among texts that stand for data."""
    box = shrinkable(QComboBox())
    for text, data in entries:
        box.addItem(text, data)
    return box


def heading(text: str) -> QLabel:
    """Create the title of a group of fields."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def shrinkable(box: ComboT) -> ComboT:
    """Let a choice become narrower than its longest text, which the list shows."""
    policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    box.setSizeAdjustPolicy(policy)
    box.setMinimumContentsLength(_SHORTEST_CHOICE)
    return box


def pixel_size_box(axis: str) -> QDoubleSpinBox:
    """Create a box for a pixel size, empty at first: no default would be right."""
    box = QDoubleSpinBox()
    box.setDecimals(4)
    box.setRange(0.0, 100.0)
    box.setSpecialValueText("?")
    box.setSuffix(f" mm {axis}")
    box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    return box


def row(*widgets: QWidget) -> QWidget:
    """Lay out widgets in a row; labels and ticks take no more room than they need."""
    box = _Row()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget, 0 if isinstance(widget, QLabel | QCheckBox) else 1)
    return box


def column(*widgets: QWidget) -> QWidget:
    """Lay out widgets below each other, as the field of one label."""
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return box


class _Row(QWidget):
    """Widgets side by side, each as wide as its content needs."""

    def minimumSizeHint(self) -> QSize:
        """Return the width that the content of the visible widgets needs."""
        hint, layout = super().minimumSizeHint(), self.layout()
        if layout is None:
            return hint
        items = [layout.itemAt(i) for i in range(layout.count())]
        shown = [w for i in items if i and (w := i.widget()) and not w.isHidden()]
        content = sum(map(_content_width, shown))
        gaps = max(0, len(shown) - 1) * layout.spacing()
        hint.setWidth(max(hint.width(), content + gaps))
        return hint


def _content_width(widget: QWidget) -> int:
    """Return the width a widget needs.

    The minimum width that napari's style sheet gives to boxes cuts their numbers off,
    and layouts go by it.
    """
    return max(widget.minimumSizeHint().width(), widget.minimumWidth())


def _needed_width(content: QWidget) -> int:
    """Return the largest width of the forms in a widget, with the margins around."""
    return max(
        (
            _form_width(form) + _margins_around(form, content)
            for form in content.findChildren(QFormLayout)
        ),
        default=0,
    )


def _form_width(form: QFormLayout) -> int:
    labels, fields = [0], [0]
    for i in range(form.rowCount()):
        for role, widths in (
            (QFormLayout.ItemRole.LabelRole, labels),
            (QFormLayout.ItemRole.FieldRole, fields),
        ):
            item = form.itemAt(i, role)
            widget = None if item is None else item.widget()
            if widget is None or widget.isHidden():
                continue
            if not (isinstance(widget, QLabel) and widget.wordWrap()):
                widths.append(_content_width(widget))
    return max(labels) + form.horizontalSpacing() + max(fields)


def _margins_around(form: QFormLayout, content: QWidget) -> int:
    """Return the widths of the margins between a form and the edges of a widget."""
    total, parent = 0, form.parentWidget()
    while parent is not None:
        if (layout := parent.layout()) is not None:
            margins = layout.contentsMargins()
            total += margins.left() + margins.right()
        if parent is content:
            break
        parent = parent.parentWidget()
    return total


def align_labels(*forms: QWidget | None) -> None:
    """Set one width for the labels of several forms, so that their fields line up.

    Forms that are hidden as a whole do not count.
    """
    labels: list[QLabel] = []
    for form in forms:
        for layout in [] if form is None else form.findChildren(QFormLayout):
            for i in range(layout.rowCount()):
                item = layout.itemAt(i, QFormLayout.ItemRole.LabelRole)
                label = None if item is None else item.widget()
                around = None if label is None else label.parentWidget()
                if isinstance(label, QLabel) and around and around.isVisibleTo(form):
                    labels.append(label)
    width = max((label.sizeHint().width() for label in labels), default=0)
    for label in labels:
        label.setMinimumWidth(width)
