"""Start and Stop, how far a run is, and the line that says how it went."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

__all__ = ["RunBar"]

_BAR_STEPS = 1000


class RunBar(QWidget):
    """The button, the progress bar and two lines of text.

    Parameters
    ----------
    start, stop, stopping : str
        What the button says: before a run, during it, and while it ends.
    """

    def __init__(
        self,
        *,
        start: str = "Start",
        stop: str = "Stop and save",
        stopping: str = "Saving …",
    ) -> None:
        super().__init__()
        self._start, self._stop, self._stopping = start, stop, stopping
        self.button = QPushButton(start)
        self.bar = QProgressBar()
        self.bar.setRange(0, _BAR_STEPS)
        self.bar.setTextVisible(False)
        self.progress_label = QLabel()
        self.status = QLabel()
        for label in (self.progress_label, self.status):
            label.setWordWrap(True)
        self.status.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.button, self.bar, self.progress_label, self.status):
            layout.addWidget(widget)
        self.show_running(False)

    def show_running(self, running: bool) -> None:
        """Show what a run at work needs, or hide it."""
        self.button.setText(self._stop if running else self._start)
        if running:
            # Until the first step nobody knows how far it is.
            self.bar.setRange(0, 0)
            self.progress_label.clear()
        self.button.setEnabled(True)
        self.bar.setVisible(running)
        self.progress_label.setVisible(running)

    def show_stopping(self) -> None:
        """Show that the run is stopping."""
        self.button.setText(self._stopping)
        self.button.setEnabled(False)

    def show_progress(self, share: float, text: str) -> None:
        """Show how far the run is, as a share in [0, 1] and in words."""
        self.bar.setRange(0, _BAR_STEPS)
        self.bar.setValue(round(min(share, 1.0) * _BAR_STEPS))
        self.progress_label.setText(text)

    def say(self, text: str, *, bad: bool = False) -> None:
        """Show a sentence; red when something went wrong."""
        self.status.setText(text)
        self.status.setStyleSheet("color: #e05a4e" if bad else "")
