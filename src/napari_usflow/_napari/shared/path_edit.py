"""A line for files and folders, typed or chosen in a dialog."""

from __future__ import annotations

import os
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget

__all__ = ["PathEdit"]


class PathEdit(QWidget):
    """Paths, with buttons that open the dialogs of the system.

    Parameters
    ----------
    title : str
        Of the dialogs.
    file_filter : str, optional
        Offers a button for files too, of these kinds; else one for a folder only.
    """

    changed = Signal()

    def __init__(self, title: str, *, file_filter: str = "") -> None:
        super().__init__()
        self._title, self._filter = title, file_filter
        self.line = QLineEdit()
        self.line.setClearButtonEnabled(True)
        self.line.setMinimumWidth(80)
        self.line.textChanged.connect(self._on_text)
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

    def _on_text(self, text: str) -> None:
        self.line.setToolTip(text.replace(os.pathsep, "\n"))
        self.changed.emit()

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
