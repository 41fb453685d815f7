"""The checkpoints of a run: which there are, how good, and what to do with them."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_usflow._napari.shared.form_parts import row
from napari_usflow._napari.train.run_history import Saved
from napari_usflow.training.events import Validated
from napari_usflow.training.run_folder import Checkpoint

__all__ = ["CheckpointList"]

_HEADINGS = ("Step", "Written", "Bits/dim", "PSNR (dB)")
_NETWORK_HEADINGS = ("Step", "Written", "Speckle (dB)", "White (dB)")


class CheckpointList(QWidget):
    """Lists checkpoints, the newest first, with two buttons for the chosen one."""

    resume_asked = Signal(object)
    """Go on from this :class:`~napari_usflow.training.run_folder.Checkpoint`."""
    use_asked = Signal(object)
    """Denoise with the prior or network of this checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self._running = False
        self.empty_note = QLabel("The run folder holds no checkpoint yet.")
        self.empty_note.setWordWrap(True)
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(_HEADINGS)
        self.tree.setRootIsDecorated(False)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        if (header := self.tree.header()) is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            header.setStretchLastSection(False)
        self.tree.itemSelectionChanged.connect(self._enable)
        self.use_button = QPushButton("Use in Denoise")
        self.use_button.setToolTip("Choose this checkpoint in the Denoise widget")
        self.use_button.clicked.connect(lambda: self._ask(self.use_asked))
        self.resume_button = QPushButton("Resume from here")
        self.resume_button.setToolTip(
            "Go on with the run from this checkpoint; later ones are dropped"
        )
        self.resume_button.clicked.connect(lambda: self._ask(self.resume_asked))
        layout = QVBoxLayout(self)
        layout.addWidget(self.empty_note)
        layout.addWidget(self.tree)
        layout.addWidget(row(self.use_button, self.resume_button))
        self.show_points([])

    def show_points(self, points: list[Saved], *, of_network: bool = False) -> None:
        """Show other checkpoints; the chosen one stays chosen, or the newest."""
        before = self.chosen()
        if before == self.newest():
            before = None
        self.tree.clear()
        self.tree.setHeaderLabels(_NETWORK_HEADINGS if of_network else _HEADINGS)
        for point in points:
            item = QTreeWidgetItem(
                [
                    str(point.checkpoint.step),
                    f"{point.written:%Y-%m-%d %H:%M}",
                    *_quality(point.quality),
                ]
            )
            item.setData(0, Qt.ItemDataRole.UserRole, point.checkpoint)
            for column in (0, 2, 3):
                item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
            item.setToolTip(3, _levels(point.quality))
            self.tree.addTopLevelItem(item)
            if point.checkpoint == before:
                self.tree.setCurrentItem(item)
        if points and not self.tree.selectedItems():
            self.tree.setCurrentItem(self.tree.topLevelItem(0))
        self.empty_note.setVisible(not points)
        self._enable()

    def chosen(self) -> Checkpoint | None:
        """Return the chosen checkpoint."""
        items = self.tree.selectedItems()
        return items[0].data(0, Qt.ItemDataRole.UserRole) if items else None

    def newest(self) -> Checkpoint | None:
        """Return the first of the list."""
        item = self.tree.topLevelItem(0)
        return None if item is None else item.data(0, Qt.ItemDataRole.UserRole)

    def set_running(self, running: bool) -> None:
        """Nothing can be resumed while a run is at work."""
        self._running = running
        self._enable()

    def _enable(self) -> None:
        has_choice = self.chosen() is not None
        self.use_button.setEnabled(has_choice)
        self.resume_button.setEnabled(has_choice and not self._running)

    def _ask(self, signal: Signal) -> None:
        if (checkpoint := self.chosen()) is not None:
            signal.emit(checkpoint)


def _quality(validated: Validated | None) -> tuple[str, str]:
    """Return bits/dim, or the PSNR on speckle, and the mean PSNR over noise levels."""
    if validated is None:
        return "–", "–"
    first = (
        f"{validated.speckle_psnr_db:.2f}"
        if _of_network(validated)
        else f"{validated.bits_per_dim:.3f}"
    )
    if not validated.psnr_db:
        return first, "–"
    return first, f"{sum(validated.psnr_db.values()) / len(validated.psnr_db):.2f}"


def _of_network(validated: Validated | None) -> bool:
    return validated is not None and validated.speckle_psnr_db is not None


def _levels(validated: Validated | None) -> str:
    if validated is None or not validated.psnr_db:
        return "Not measured"
    each = (f"σ {sigma:g}: {psnr:.2f} dB" for sigma, psnr in validated.psnr_db.items())
    return "Mean over the noise levels:\n" + "\n".join(each)
