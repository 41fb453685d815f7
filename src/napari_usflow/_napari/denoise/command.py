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

    Progress and a Cancel button are in napari's activity dock; closing the window
    stops the run.
    """
    import napari
    from napari.utils.notifications import show_warning

    from napari_usflow.denoising.algorithms import methods

    viewer = napari.current_viewer()
    layer = None if viewer is None else _chosen_image(viewer)
    if viewer is None or layer is None:
        show_warning("Open an image first, then choose Despeckle.")
        return
    request = Request(method=methods()[0], device=preferences().device)
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
        # Drawing the bar lets events through: it must be there before the first.
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
    """Shows a run in napari's activity dock."""

    def __init__(self) -> None:
        self._run: LayerRun | None = None
        self._bar: Any = None

    def show(self, run: LayerRun, title: str) -> None:
        """Show the progress bar, in the GUI thread."""
        from napari.utils import cancelable_progress

        self._run = run
        self._bar = cancelable_progress(total=_BAR_STEPS, desc=title)

    def progress(self, share: float, text: str) -> None:
        """Move the bar on, and hand its Cancel button to the run."""
        bar = self._bar
        if bar is None or self._run is None:
            return
        if bar.is_canceled:
            self._run.cancel()
        bar.update(round(share * _BAR_STEPS) - bar.n)
        # The update let events through, the end of the run among them perhaps.
        if self._bar is bar:
            bar.set_description(text)

    def note(self, text: str) -> None:
        """Show what the run is doing where the bar is."""
        if self._bar is not None:
            self._bar.set_description(text)

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
        """Take the bar away."""
        bar, self._bar, self._run = self._bar, None, None
        if bar is not None:
            bar.close()
