"""The commands behind the menu entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_usflow._napari.denoise.run import LayerRun, Request
from napari_usflow._napari.layers.results import source_of
from napari_usflow._napari.settings import preferences
from napari_usflow.errors import UsflowError

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["denoise_active_layer"]

_BAR_STEPS = 1000
_COMPARE_HINT = "Layers > Visualize > Compare before and after shows both at once."


def denoise_active_layer() -> None:
    """Denoise the active layer with the default method, in the background.

    Where the active layer is no image (regions or points lie above it), the topmost
    visible image is denoised.

    A small window shows progress and a Cancel button; closing napari stops the run.
    """
    import napari
    from napari.utils.notifications import show_warning

    from napari_usflow.denoising.algorithms import methods

    viewer = napari.current_viewer()
    layer = None if viewer is None else _chosen_image(viewer)
    if viewer is None or layer is None:
        show_warning("Open an image first, then choose Despeckle.")
        return
    preferred = preferences()
    known = methods()
    method = preferred.method if preferred.method in known else known[0]
    request = Request(method=method, device=preferred.device)
    report = _Report()
    try:
        run = LayerRun(
            viewer,
            layer,
            request,
            on_progress=report.progress,
            on_note=report.note,
            on_end=report.end,
        )
        report.show(run, f"Despeckle {layer.name}")
        run.start()
    except (UsflowError, ValueError) as error:
        report.close()
        show_warning(str(error))
        return
    # The menu bar goes with the window; after that nothing may be reported.
    viewer.window.main_menu.destroyed.connect(report.window_closed)


def _chosen_image(viewer: ViewerModel) -> Any:
    """Return the active image, else the topmost visible one; of a result its input."""
    active = viewer.layers.selection.active
    if type(active).__name__ == "Image":
        return active
    shown = [
        layer
        for layer in viewer.layers
        if type(layer).__name__ == "Image" and layer.visible
    ]
    return (source_of(shown[-1]) or shown[-1]) if shown else active


class _Report:
    """Shows a run in a small window with a Cancel button; napari stays alive."""

    def __init__(self) -> None:
        self._run: LayerRun | None = None
        self._dialog: Any = None
        self._title = ""

    def show(self, run: LayerRun, title: str) -> None:
        """Show how far the run is, in the GUI thread."""
        from qtpy.QtCore import Qt
        from qtpy.QtWidgets import QApplication, QMainWindow, QProgressDialog

        windows = [w for w in QApplication.topLevelWidgets() if w.isVisible()]
        parent = next((w for w in windows if isinstance(w, QMainWindow)), None)
        self._run, self._title = run, title
        dialog = QProgressDialog(title, "Cancel", 0, _BAR_STEPS, parent)
        dialog.setWindowTitle("Despeckle")
        dialog.setWindowModality(Qt.WindowModality.NonModal)
        dialog.setMinimumDuration(0)
        dialog.setAutoClose(False)
        dialog.setAutoReset(False)
        dialog.canceled.connect(run.cancel)
        dialog.setValue(0)
        self._dialog = dialog

    def progress(self, share: float, text: str) -> None:
        """Move the bar on."""
        if self._dialog is not None:
            self._dialog.setValue(round(share * _BAR_STEPS))
            self.note(text)

    def note(self, text: str) -> None:
        """Show what the run is doing below its title."""
        if self._dialog is not None:
            self._dialog.setLabelText(f"{self._title}\n{text}")

    def end(self, sentence: str, error: Exception | None) -> None:
        """Take the bar away and say how it went."""
        from napari.utils.notifications import show_error, show_info

        self.close()
        if error is None:
            show_info(f"{sentence} {_COMPARE_HINT}")
        else:
            show_error(sentence)

    def window_closed(self, *_: object) -> None:
        """Stop the run without a word."""
        if self._run is not None:
            self._run.abandon()
        self.close()

    def close(self) -> None:
        """Take the dialog away."""
        dialog, self._dialog, self._run = self._dialog, None, None
        if dialog is not None:
            dialog.canceled.disconnect()
            dialog.close()
            dialog.deleteLater()
