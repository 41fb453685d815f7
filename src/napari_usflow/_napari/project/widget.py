"""The Project widget: keep what was compared and measured, and report on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_usflow._napari.layers.views import is_view
from napari_usflow._napari.project.saving import (
    free_path,
    reports_folder,
    save_project,
    write_report,
)
from napari_usflow._napari.shared.event_watch import EventWatch
from napari_usflow._napari.shared.form_parts import row
from napari_usflow.errors import Cancelled, UsflowError

if TYPE_CHECKING:
    import napari

    from napari_usflow._napari.measure.bench import Bench

__all__ = ["ProjectWidget", "open_report"]


class ProjectWidget(QWidget):
    """Saves layers, regions, numbers, marks and view in one file; writes reports.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        What it shows is saved.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._path: Path | None = None
        self.title = QLineEdit()
        self.title.setPlaceholderText("the name of the image")
        self.title.setToolTip("Heading of the report")
        self.link = QCheckBox("Leave images in files beside the project")
        self.link.setToolTip(
            "Store links to image files in the folder of the project, checked "
            "by SHA-256.\n"
            "Off: the images are stored in the project."
        )
        self.save_button = _button("Save", "Save to the same file")
        self.save_as_button = _button("Save as…", "Save the project in a new file")
        self.report_button = _button(
            "Report",
            "Write a page on what is compared and open it in the browser; it goes to\n"
            "'napari-usflow reports' among your documents",
        )
        self.report_as_button = _button(
            "Report as…", "Write the report to a file, HTML or PDF"
        )
        self.content = QLabel()
        self.status = QLabel()
        for label in (self.content, self.status):
            label.setWordWrap(True)
        form = QFormLayout()
        form.addRow("Title", self.title)
        layout = QVBoxLayout(self)
        layout.addWidget(self.content)
        layout.addLayout(form)
        layout.addWidget(self.link)
        layout.addWidget(row(self.save_button, self.save_as_button))
        layout.addWidget(row(self.report_button, self.report_as_button))
        layout.addWidget(self.status)
        layout.addStretch(1)
        self.save_button.clicked.connect(self._on_save)
        self.save_as_button.clicked.connect(self._ask_save)
        self.report_button.clicked.connect(self.report)
        self.report_as_button.clicked.connect(self._ask_report)
        self._layers = EventWatch(self._describe)
        events = viewer.layers.events
        self._layers.watch([events.inserted, events.removed])
        for gone in (self.destroyed, viewer.window.main_menu.destroyed):
            gone.connect(self._layers.stop)
        self._describe()

    def save(self, path: Path) -> bool:
        """Save the project; tell whether it was."""
        if path.suffix.lower() != ".usflow":
            path = path.with_name(path.name + ".usflow")
        saved = self._try(
            lambda: save_project(self._viewer, path, link=self.link.isChecked())
        )
        if saved:
            self._path = path
            self._say(f"{path.name} saved. Drop it on the window to open it again.")
        return saved

    def report(self) -> None:
        """Write the report among the user's documents, and open it."""
        self._try(lambda: open_report(self._viewer, self._say, self.title.text()))

    def report_to(self, path: Path) -> None:
        """Write the report to a file, HTML or PDF by its ending."""
        if self._try(lambda: write_report(self._viewer, path, title=self.title.text())):
            self._say(f"{path} written.")

    def changeEvent(self, event: QEvent | None) -> None:
        """Stop when the dock is closed: napari then takes the widget out of it."""
        moved = event is not None and event.type() == QEvent.Type.ParentChange
        if moved and self.parent() is None:
            self._layers.stop()
        super().changeEvent(event)

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except Cancelled:
            self._say("Cancelled; nothing was changed.")
        except (OSError, ValueError, UsflowError) as error:
            self._say(str(error), bad=True)
        else:
            return True
        return False

    def _on_save(self) -> None:
        if self._path is None:
            self._ask_save()
        else:
            self.save(self._path)

    def _ask_save(self) -> None:
        images = [x for x in self._viewer.layers if type(x).__name__ == "Image"]
        stem = images[0].name if images else "project"
        name, _ = QFileDialog.getSaveFileName(
            self, "Save project", f"{stem}.usflow", "Project (*.usflow)"
        )
        if name:
            self.save(Path(name))

    def _ask_report(self) -> None:
        name, kind = QFileDialog.getSaveFileName(
            self, "Write report", "report.html", "Page (*.html);;PDF (*.pdf)"
        )
        if name:
            path = Path(name)
            if path.suffix.lower() not in (".html", ".pdf"):
                path = path.with_name(
                    path.name + (".pdf" if "pdf" in kind else ".html")
                )
            self.report_to(path)

    def _describe(self, _: Any = None) -> None:
        kinds = [type(x).__name__ for x in self._viewer.layers if not is_view(x)]
        images = kinds.count("Image")
        drawn = sum(kinds.count(kind) for kind in ("Shapes", "Points", "Labels"))
        left = len(kinds) - images - drawn
        for button in (self.save_button, self.save_as_button, self.report_button):
            button.setEnabled(images > 0)
        self.report_as_button.setEnabled(images > 0)
        if not images:
            self.content.setText("Open an image first.")
            return
        text = f"Saves {_count(images, 'image')}"
        if drawn:
            text += f" and {_count(drawn, 'layer')} of regions and marks"
        text += f"; leaves out {_count(left, 'other layer')}" if left else ""
        self.content.setText(f"{text}.")

    def _say(self, text: str, *, bad: bool = False) -> None:
        self.status.setText(text)
        self.status.setStyleSheet("color: #e05a4e" if bad else "")


def open_report(
    viewer: napari.viewer.Viewer,
    say: Callable[[str], None],
    title: str = "",
    bench: Bench | None = None,
) -> None:
    """Write a report among the user's documents, and open it in the browser.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    say : callable
        Called with a sentence that says where it is.
    title : str, optional
    bench : Bench, optional
        See :func:`~napari_usflow._napari.project.capture.project_of`.
    """
    images = [x.name for x in viewer.layers if type(x).__name__ == "Image"]
    name = title or (f"{images[0]} report" if images else "report")
    path = free_path(reports_folder(), name, ".html")
    write_report(viewer, path, title=title, bench=bench)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
    say(f"Report written to {path}.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
