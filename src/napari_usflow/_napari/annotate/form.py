"""The fields of the Annotate widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFormLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_usflow._napari.shared.form_parts import row
from napari_usflow._napari.shared.layer_combo import LayerCombo
from napari_usflow.evaluate.project.marks import Mark

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["KEYS", "AnnotateForm"]

KEYS = {"next": "N", "previous": "Shift-N", "tick": "W"}
"""Keys of the viewer while the widget is open; napari has none of them."""

_TOOLS = (
    ("point", "Point", "Click to place points"),
    ("add_rectangle", "Box", "Drag boxes"),
    ("add_polygon", "Outline", "Click the corners of an outline; Enter closes it"),
    ("add_line", "Line", "Drag lines; each shows its length"),
    ("frame", "Frame", "Mark the whole current frame"),
)
_COLUMNS = ("✓", "Frame", "Kind", "Text", "Reader", "Size")
_WIDTHS = (24, 46, 58, 110, 70, 60)


class AnnotateForm(QWidget):
    """Reader, text, tools and the list of marks.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its images are offered.
    """

    tool_chosen = Signal(str)
    chosen = Signal(int)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.image = LayerCombo(viewer)
        self.image.setToolTip("Image or clip to annotate")
        self.reader = QLineEdit()
        self.reader.setPlaceholderText("your name or initials")
        self.reader.setToolTip("Name that is stored with each new mark")
        self.text = QLineEdit()
        self.text.setPlaceholderText("such as: left ventricle")
        self.text.setToolTip("Text of new marks")
        self.rename = QPushButton("Set on selected")
        self.rename.setToolTip(
            "Set this text on the selected marks; marks of other readers do not change"
        )
        tools = []
        for name, title, tip in _TOOLS:
            button = QPushButton(title)
            button.setToolTip(tip)
            button.clicked.connect(lambda _, name=name: self.tool_chosen.emit(name))
            tools.append(button)
        self.tools = dict(zip((name for name, _, _ in _TOOLS), tools, strict=True))
        self.previous = QPushButton("◀ Mark")
        self.previous.setToolTip("Previous mark (Shift+N)")
        self.next = QPushButton("Mark ▶")
        self.next.setToolTip("Next mark (N)")
        self.tick = QPushButton("Tick off")
        self.tick.setToolTip("Tick the mark off, or clear its tick (W)")
        self.export = QPushButton("Export…")
        self.export.setToolTip(
            "CSV, GeoJSON, or COCO: a folder with the frames as pictures and "
            "their\n"
            "annotations, without the names of the file and its folder"
        )
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(list(_COLUMNS))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        if (rows := self.table.verticalHeader()) is not None:
            rows.hide()
            rows.setDefaultSectionSize(22)
        for column, width in enumerate(_WIDTHS):
            self.table.setColumnWidth(column, width)
        self.table.setWordWrap(False)
        if (columns := self.table.horizontalHeader()) is not None:
            stretch = QHeaderView.ResizeMode.Stretch
            columns.setSectionResizeMode(_COLUMNS.index("Text"), stretch)
        self.table.cellClicked.connect(lambda place, _: self.chosen.emit(place))
        self.status = QLabel()
        self.status.setWordWrap(True)
        fields = QFormLayout()
        fields.addRow("Image", self.image)
        fields.addRow("Reader", self.reader)
        fields.addRow("Text", row(self.text, self.rename))
        layout = QVBoxLayout(self)
        layout.addLayout(fields)
        layout.addWidget(row(*tools))
        layout.addWidget(self.table, 1)
        layout.addWidget(row(self.previous, self.next, self.tick, self.export))
        layout.addWidget(self.status)

    def show_marks(self, marks: Sequence[Mark], chosen: int | None) -> None:
        """List marks, one of them chosen."""
        self.table.setRowCount(len(marks))
        for place, mark in enumerate(marks):
            size = ""
            if mark.length_mm is not None:
                size = f"{mark.length_mm:.2f}"
            elif mark.area_mm2 is not None:
                size = f"{mark.area_mm2:.2f}²"
            texts = (
                "✓" if mark.done else "",
                "all" if mark.frame is None else str(mark.frame),
                mark.kind,
                mark.text,
                mark.reader,
                size,
            )
            for column, text in enumerate(texts):
                item = self.table.item(place, column)
                if item is None:
                    item = QTableWidgetItem()
                    self.table.setItem(place, column, item)
                if item.text() != text:
                    item.setText(text)
                    item.setToolTip(text)
        if chosen is None:
            self.table.clearSelection()
        else:
            self.table.selectRow(chosen)
            if (item := self.table.item(chosen, 0)) is not None:
                hint = QAbstractItemView.ScrollHint.EnsureVisible
                self.table.scrollToItem(item, hint)

    def say(self, text: str, *, bad: bool = False) -> None:
        """Show a sentence; red when something went wrong."""
        self.status.setText(text)
        self.status.setStyleSheet("color: #e05a4e" if bad else "")
