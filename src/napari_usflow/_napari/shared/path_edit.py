"""A line for files and folders, typed or chosen in a dialog."""

from __future__ import annotations

import os
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QStyle,
    QStyleOptionFrame,
    QWidget,
)

__all__ = ["PathEdit", "PathLine"]

_MARGIN, _CLEAR_BUTTON = 2, 22


class PathLine(QLineEdit):
    """A line for a path: whole in the tooltip, elided in the middle while not edited.

    Its text is always the whole path.

    Parameters
    ----------
    tip : str
        The tooltip, below the path.
    """

    def __init__(self, tip: str = "") -> None:
        super().__init__()
        self._tip = tip
        self.setMinimumWidth(80)
        self.setToolTip(tip)
        self.textChanged.connect(self._on_text)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw a long path with its beginning and its end."""
        option = QStyleOptionFrame()
        self.initStyleOption(option)
        style = self.style()
        if style is None or self.hasFocus() or not self.text():
            super().paintEvent(event)
            return
        part = QStyle.SubElement.SE_LineEditContents
        right = _MARGIN + (_CLEAR_BUTTON if self.isClearButtonEnabled() else 0)
        area = style.subElementRect(part, option, self).adjusted(_MARGIN, 0, -right, 0)
        text = self.fontMetrics().elidedText(
            self.text(), Qt.TextElideMode.ElideMiddle, area.width()
        )
        painter = QPainter(self)
        panel = QStyle.PrimitiveElement.PE_PanelLineEdit
        style.drawPrimitive(panel, option, painter, self)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignVCenter), text)
        painter.end()

    def _on_text(self, text: str) -> None:
        lines = [*text.split(os.pathsep), self._tip]
        self.setToolTip("\n".join(filter(None, lines)))


class PathEdit(QWidget):
    """Paths, with buttons that open the dialogs of the system.

    Parameters
    ----------
    title : str
        Of the dialogs.
    file_filter : str, optional
        Offers a button for files too, of these kinds; else one for a folder only.
    tip : str
        Tooltip of the line, below its paths.
    """

    changed = Signal()

    def __init__(self, title: str, *, file_filter: str = "", tip: str = "") -> None:
        super().__init__()
        self._title, self._filter = title, file_filter
        self.line = PathLine(tip)
        self.line.setClearButtonEnabled(True)
        self.line.textChanged.connect(self.changed)
        self.folder_button = QPushButton("Folder …")
        self.folder_button.clicked.connect(self._ask_for_folder)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.folder_button)
        self.files_button: QPushButton | None = None
        if file_filter:
            self.files_button = QPushButton("Files …")
            self.files_button.clicked.connect(self._ask_for_files)
            layout.addWidget(self.files_button)

    def paths(self) -> list[Path]:
        """Return what is in the line; several are separated as in ``PATH``."""
        parts = self.line.text().split(os.pathsep)
        return [Path(part.strip()).expanduser() for part in parts if part.strip()]

    def set_paths(self, paths: list[Path]) -> None:
        """Show other paths."""
        self.line.setText(os.pathsep.join(map(str, paths)))

    def _start(self) -> str:
        paths = self.paths()
        return str(paths[0]) if paths else ""

    def _ask_for_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, self._title, self._start())
        if path:
            self.set_paths([Path(path)])

    def _ask_for_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(
            self, self._title, self._start(), f"{self._filter};;All files (*)"
        )
        if paths:
            self.set_paths([Path(path) for path in paths])
