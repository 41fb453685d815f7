"""The table of numbers: before, after and change, region by region."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QTableWidget,
    QTableWidgetItem,
)

from napari_usflow.evaluate.measure_table import Line, number_text
from napari_usflow.evaluate.regions import ROLE_COLORS

__all__ = ["NumberTable", "role_icon", "short_titles", "unit_title"]

_ICON_PX = 12
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_ROW_PX, _TITLE_PX, _COLUMN_PX = 22, 118, 62


def role_icon(role: str) -> QIcon:
    """Return a square in the colour of a role."""
    picture = QPixmap(_ICON_PX, _ICON_PX)
    picture.fill(QColor(ROLE_COLORS[role]))
    return QIcon(picture)


class NumberTable(QTableWidget):
    """Shows :class:`~napari_usflow.evaluate.measure_table.Line` after line.

    Each region has a row with its name, and below it a row for each of its numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        if (rows := self.verticalHeader()) is not None:
            rows.hide()
            rows.setDefaultSectionSize(_ROW_PX)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._built: tuple[object, ...] = ()
        self._rows: list[int] = []

    def show_lines(
        self, names: Sequence[str], lines: Sequence[Line], *, in_mm: bool, in_db: bool
    ) -> None:
        """Show numbers; the texts alone change where the rows are the same.

        Parameters
        ----------
        names : sequence of str
            Of the images, the one before first.
        lines : sequence of Line
            What was measured.
        in_mm, in_db : bool
            Whether sizes are in mm and levels in dB, or in the layer's own units.
        """
        keys = [(line.region, line.quantity.name) for line in lines]
        built = (list(names), keys, in_mm, in_db)
        if built != self._built:
            self._built = built
            self._build(names, lines, in_mm=in_mm, in_db=in_db)
        for row, line in zip(self._rows, lines, strict=True):
            cells = [number_text(line.values[0], line.quantity)]
            for value, change in zip(line.values[1:], line.changes, strict=True):
                cells.append(number_text(value, line.quantity))
                cells.append(number_text(change, line.quantity, sign=True))
            for column, text in enumerate(cells, 1):
                item = self.item(row, column)
                if item is not None and item.text() != text:
                    item.setText(text)

    def _build(
        self, names: Sequence[str], lines: Sequence[Line], *, in_mm: bool, in_db: bool
    ) -> None:
        self.clear()
        self.clearSpans()
        titles = short_titles(names)
        header = ["Number", *titles[:1]]
        for shown in titles[1:]:
            header += [shown, "Change"]
        self.setColumnCount(len(header))
        self.setHorizontalHeaderLabels(header)
        regions = list(dict.fromkeys(line.region for line in lines))
        self.setRowCount(len(lines) + len(regions))
        self._rows, row, region = [], 0, ""
        for line in lines:
            if line.region != region:
                region = line.region
                item = QTableWidgetItem(role_icon(line.role), region)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled)
                self.setItem(row, 0, item)
                self.setSpan(row, 0, 1, len(header))
                row += 1
            title = QTableWidgetItem(unit_title(line, in_mm=in_mm, in_db=in_db))
            against = f"\nAgainst: {line.against}" if line.against else ""
            title.setToolTip(_wrapped(line.quantity.help) + against)
            self.setItem(row, 0, title)
            for column in range(1, len(header)):
                cell = QTableWidgetItem()
                cell.setTextAlignment(_RIGHT)
                cell.setToolTip(title.toolTip())
                self.setItem(row, column, cell)
            self._rows.append(row)
            row += 1
        self.setColumnWidth(0, _TITLE_PX)
        whole = ["What was measured", *names[:1]]
        for name in names[1:]:
            whole += [name, "After minus before"]
        for column, tip in enumerate(whole[: len(header)]):
            if (head := self.horizontalHeaderItem(column)) is not None:
                head.setToolTip(tip)
            if column:
                self.setColumnWidth(column, _COLUMN_PX)


def short_titles(names: Sequence[str]) -> list[str]:
    """Return titles for columns: of results only what was done to their input."""
    if len(names) <= 2:
        return ["Before", "After"][: len(names)]
    short = [name.removeprefix(names[0]).strip(" []") or name for name in names[1:]]
    return ["Before", *short]


def unit_title(line: Line, *, in_mm: bool, in_db: bool) -> str:
    """Return label and unit of a number, in the units that the layers have."""
    title = line.quantity.title
    if not in_mm:
        title = title.replace("mm", "px")
    if not in_db and line.quantity.name == "mean_db":
        title = line.quantity.label
    return title


def _wrapped(text: str, width: int = 60) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
