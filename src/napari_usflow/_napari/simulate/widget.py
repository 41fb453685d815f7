"""The Simulate speckle widget: a picture of tissue in, a B-mode image out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_usflow._napari.jobs.progress import elapsed_text
from napari_usflow._napari.shared.previewed_run import PreviewedRunWidget
from napari_usflow._napari.simulate.form import SimulateForm
from napari_usflow._napari.simulate.preview import SpecklePreview
from napari_usflow._napari.simulate.run import SpeckleRequest, SpeckleRun
from napari_usflow.jobs import FrameDone

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

__all__ = ["SimulateWidget"]


class SimulateWidget(PreviewedRunWidget):
    """Simulates the B-mode images of an image layer into a new layer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its layers are offered, and it gets the result.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            SimulateForm(viewer),
            start="Simulate",
            tooltip="Simulate every frame into a new layer, the visible frame first.\n"
            "While it runs, this button (or Escape) cancels and keeps what is done.",
        )
        self._follow_with(
            SpecklePreview(
                viewer,
                self._wanted,
                on_done=self._on_preview,
                on_problem=lambda sentence: self.controls.say(sentence, bad=True),
                on_gone=lambda: self.form.live.setChecked(False),
            )
        )
        self.destroyed.connect(self.form.layer_combo.let_go)

    def _new_run(self) -> tuple[SpeckleRun, str]:
        layer, request = self._wanted()
        run = SpeckleRun(
            self._viewer,
            layer,
            request,
            on_progress=self.controls.show_progress,
            on_note=self.controls.say,
            on_end=self._on_end,
        )
        if layer.ndim > 2:
            return run, "Simulating; frames that are not finished show the picture."
        return run, "Simulating …"

    def _wanted(self) -> tuple[Image, SpeckleRequest]:
        """Return the current settings; the layer may have changed meanwhile."""
        self.form.show_content()
        return self.form.picture(), self.form.request()

    def _on_preview(self, done: FrameDone) -> None:
        of_frame = f" of frame {done.index}" if self.form.picture().ndim > 2 else ""
        took = elapsed_text(done.info["seconds"])
        self.controls.say(f"Preview{of_frame}: simulated in {took}.")
