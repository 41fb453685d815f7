"""The Batch widget: many files and layers, one setting, one progress, one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_usflow._napari.batch.run import BatchRun, FileItem, Finished, LayerItem
from napari_usflow._napari.denoise.form import DenoiseForm
from napari_usflow._napari.jobs.progress import elapsed_text
from napari_usflow._napari.jobs.worker import HeldRun
from napari_usflow._napari.shared.form_parts import form_layout, row
from napari_usflow._napari.shared.path_edit import PathEdit
from napari_usflow._napari.shared.run_bar import RunBar
from napari_usflow.errors import UsflowError
from napari_usflow.io.outputs.result_names import output_paths

if TYPE_CHECKING:
    import napari

__all__ = ["BatchWidget"]

_COLUMNS = ("Input", "Noise level", "Time", "Result")
_LIST_HEIGHT, _TABLE_HEIGHT = 90, 110
_ITEM = Qt.ItemDataRole.UserRole
_BAD = "#e05a4e"


class BatchWidget(QWidget):
    """Denoises many files and layers with the same settings.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its selected layers can be added, and it gets their results.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._run = HeldRun[BatchRun]()
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setToolTip("Files and layers to denoise, in this order.")
        self.list.setMinimumHeight(_LIST_HEIGHT)
        self.files_button = _button(
            "Add files …", "Add ultrasound files.", self._browse
        )
        self.layers_button = _button(
            "Add layers", "Add the selected image layers.", self.add_layers
        )
        self.remove_button = _button(
            "Remove", "Remove the selected entries from the list.", self.remove
        )
        self.folder = PathEdit(
            "Choose the folder of the results",
            tip="Results of files are written here as OME-TIFF; those of layers become "
            "layers.",
        )
        self.folder.line.setPlaceholderText("for the results of files")
        self.form = DenoiseForm(viewer)
        self.form.hide_layer()
        self.controls = RunBar(
            start="Denoise all", stop="Cancel", stopping="Cancelling …"
        )
        self.controls.button.setToolTip(
            "Denoise every entry with these settings; a failed entry does not "
            "stop the others."
        )
        self.controls.button.clicked.connect(self._on_button)
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setMinimumHeight(_TABLE_HEIGHT)
        self.table.setWordWrap(False)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        columns, rows = self.table.horizontalHeader(), self.table.verticalHeader()
        assert columns is not None
        assert rows is not None
        rows.hide()
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        # Long names share what the short figures leave.
        for column in (_COLUMNS.index("Input"), _COLUMNS.index("Result")):
            columns.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        self._lay_out()
        for gone in (self.destroyed, viewer.window.main_menu.destroyed):
            gone.connect(self._run.abandon)
        self.destroyed.connect(self.form.layer_combo.let_go)

    @property
    def running(self) -> bool:
        """Whether a batch is at work."""
        return self._run.now is not None

    def add_files(self, paths: Sequence[str | Path]) -> None:
        """Add files to the list."""
        for path in paths:
            entry = QListWidgetItem(Path(path).name)
            entry.setToolTip(str(path))
            entry.setData(_ITEM, Path(path))
            self.list.addItem(entry)
        if paths and not self.folder.paths():
            self.folder.set_paths([Path(paths[0]).parent / "denoised"])

    def add_layers(self) -> None:
        """Add the selected image layers, those of the viewer where none is."""
        layers = [
            layer
            for layer in self._viewer.layers
            if type(layer).__name__ == "Image"
            and layer in self._viewer.layers.selection
        ]
        for layer in layers:
            entry = QListWidgetItem(f"Layer {layer.name}")
            entry.setData(_ITEM, layer)
            self.list.addItem(entry)
        if not layers:
            self.controls.say("Select image layers first.", bad=True)

    def remove(self) -> None:
        """Remove the selected entries from the list."""
        for entry in self.list.selectedItems():
            self.list.takeItem(self.list.row(entry))

    def run(self) -> None:
        """Denoise every entry."""
        if self.running:
            return
        try:
            items = self._items()
            run = BatchRun(
                self._viewer,
                items,
                self.form.request(),
                on_progress=self.controls.show_progress,
                on_item=self._show_item,
                on_end=self._on_end,
            )
        except (UsflowError, ValueError, OSError) as error:
            self.controls.say(str(error), bad=True)
            return
        self.table.setRowCount(0)
        self._run.now = run
        self._show_running(True)
        self.controls.say("")
        run.start()

    def cancel(self) -> None:
        """Stop after what is in work; finished results stay."""
        if self._run.now is not None:
            self.controls.show_stopping()
            self._run.now.cancel()

    def changeEvent(self, event: QEvent | None) -> None:
        """Stop when the dock is closed: napari then takes the widget out of it."""
        moved = event is not None and event.type() == QEvent.Type.ParentChange
        if moved and self.parent() is None and self.running:
            self._run.abandon()
            self._show_running(False)
        super().changeEvent(event)

    def _items(self) -> list[FileItem | LayerItem]:
        entries = [self.list.item(i) for i in range(self.list.count())]
        contents: list[Any] = [entry.data(_ITEM) for entry in entries if entry]
        if not contents:
            raise ValueError("Add files or layers first.")
        files = [content for content in contents if isinstance(content, Path)]
        folders = self.folder.paths()
        if files and len(folders) != 1:
            raise ValueError("Choose one folder for the results of the files.")
        outputs = dict(
            zip(files, output_paths(files, folders[0]), strict=True) if files else ()
        )
        if files:
            folders[0].mkdir(parents=True, exist_ok=True)
        return [
            FileItem(content, outputs[content])
            if isinstance(content, Path)
            else LayerItem(content)
            for content in contents
        ]

    def _lay_out(self) -> None:
        places = QWidget()
        form_layout(places).addRow("Results", self.folder)
        layout = QVBoxLayout(self)
        for widget in (
            self.list,
            row(self.files_button, self.layers_button, self.remove_button),
            places,
            self.form,
            self.controls,
            self.table,
        ):
            layout.addWidget(widget)

    def _browse(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, "Add ultrasound files")
        self.add_files(paths)

    def _on_button(self) -> None:
        if self.running:
            self.cancel()
        else:
            self.run()

    def _show_item(self, finished: Finished) -> None:
        noise = "" if finished.noise_db is None else f"{finished.noise_db:.1f} dB"
        result, item = finished.sentence, finished.item
        if finished.failed:
            result = "Failed"  # the tooltip has the reason
        elif not finished.cancelled:
            result = item.output.name if isinstance(item, FileItem) else "new layer"
        line = (item.name, noise, elapsed_text(finished.seconds), result)
        number = self.table.rowCount()
        self.table.insertRow(number)
        for column, text in enumerate(line):
            cell = QTableWidgetItem(text)
            is_result = column == len(line) - 1
            cell.setToolTip(finished.sentence if is_result else text)
            if is_result and finished.failed:
                cell.setForeground(QColor(_BAD))
            self.table.setItem(number, column, cell)

    def _show_running(self, running: bool) -> None:
        for part in (self.form, self.list, self.folder):
            part.setEnabled(not running)
        for button in (self.files_button, self.layers_button, self.remove_button):
            button.setEnabled(not running)
        self.controls.show_running(running)

    def _on_end(self, sentence: str, error: Exception | None) -> None:
        self._run.now = None
        self._show_running(False)
        self.controls.say(sentence, bad=error is not None)


def _button(text: str, tip: str, clicked: Any) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.clicked.connect(clicked)
    return button
