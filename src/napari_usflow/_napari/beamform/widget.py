"""The Acquisition widget: channel data in, a B-mode image out, and live in between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_usflow._napari.beamform.form import AcquisitionForm
from napari_usflow._napari.beamform.kept_preview import KeptPreview
from napari_usflow._napari.beamform.layers import layers_of
from napari_usflow._napari.beamform.preview import AcquisitionPreview
from napari_usflow._napari.beamform.run import (
    AcquisitionRequest,
    AcquisitionRun,
    open_events,
)
from napari_usflow._napari.jobs.modal_wait import wait_for
from napari_usflow._napari.layers.content import usflow_metadata
from napari_usflow._napari.shared.previewed_run import PreviewedRunWidget
from napari_usflow.errors import UsflowError
from napari_usflow.io import detect, image_events
from napari_usflow.io.opened import Opened
from napari_usflow.jobs import CancelToken, result_of

if TYPE_CHECKING:
    import napari

__all__ = ["AcquisitionWidget"]


class AcquisitionWidget(PreviewedRunWidget):
    """Beamforms a file of channel data as the user wants it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Gets the preview and the result.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            AcquisitionForm(),
            start="Beamform",
            tooltip="Beamform into a new layer. While it runs, this button (or Escape) "
            "cancels, and no layer is added.",
        )
        self._opened: Path | None = None
        self._follow_with(
            AcquisitionPreview(
                viewer,
                self._wanted,
                on_progress=self._on_preview_progress,
                on_done=self._on_preview_done,
                on_problem=self._on_preview_problem,
                on_gone=self._on_preview_gone,
            )
        )
        self.form.asked.connect(self.open_file)
        self.form.reset_button.clicked.connect(self.form.reset)
        self._offer_active_file()

    def open_file(self) -> None:
        """Open the file of the form, with the names of the form."""
        path = self.form.path()
        if path is None:
            self.controls.say("Choose a file of channel data first.", bad=True)
            return
        if path != self._opened:
            # What was said of another file is nothing for this one.
            self._opened = path
            if self.form.ask_for_names(path):
                self.form.live.setChecked(False)
                self.controls.say("")
                return
        try:
            events = open_events(path, self.form.names())
            opened = wait_for(events, f"Opening {path.name}", token=CancelToken())
            self.form.show_opened(opened)
            if opened.channel_data is None:
                self._add_images(opened)
                return
        except (UsflowError, ValueError) as error:
            self.form.show_opened(None)
            self.form.live.setChecked(False)
            self.controls.say(str(error), bad=True)
            return
        self.controls.say("")
        if self.form.live.isChecked():
            self.preview.ask()
        else:
            self.form.live.setChecked(True)

    def _offer_active_file(self) -> None:
        """Fill in the file of the active layer, where it has one of ours."""
        active = self._viewer.layers.selection.active
        note = {} if active is None else usflow_metadata(active)
        source = note.get("source")
        # Only beamforming notes an f-number.
        if isinstance(source, str) and "f_number" in note and detect(source):
            self.form.path_line.setText(source)
            self.open_file()

    def _add_images(self, opened: Opened) -> None:
        """Show what is an image already, which needs no beamforming."""
        for image in result_of(image_events(opened)):
            for data, kwargs, _ in layers_of(image):
                self._viewer.add_image(data, **kwargs)
        self.controls.say("Opened as an image; there is nothing to beamform in it.")

    def _on_preview_progress(self, share: float) -> None:
        if isinstance(self._run.now, KeptPreview):
            self._run.now.progress(share)
        else:
            self.controls.say(f"Preview: {share:.0%} …")

    def _on_preview_done(self) -> None:
        if isinstance(self._run.now, KeptPreview):
            self._run.now.done()
        else:
            self.controls.say("The preview shows these settings.")

    def _on_preview_problem(self, sentence: str) -> None:
        if isinstance(self._run.now, KeptPreview):
            self._run.now.fail(sentence)
        else:
            self.controls.say(sentence, bad=True)

    def _on_preview_gone(self) -> None:
        if isinstance(self._run.now, KeptPreview):
            self._run.now.cancel()
        self.form.live.setChecked(False)

    def _on_end(self, sentence: str, error: Exception | None) -> None:
        # Before the sentence: a preview that ends takes the line of text away.
        self.form.live.setChecked(False)
        super()._on_end(sentence, error)

    def run(self) -> None:
        """Keep the preview where it is what is asked for, else beamform anew."""
        preview, opened = self.preview, self.form.opened()
        data = None if opened is None else opened.channel_data
        # A sector has two layers, and the preview one of them.
        may_keep = data is not None and not data.is_focused and not self.running
        if may_keep and isinstance(preview, AcquisitionPreview):
            if preview.keep():
                self.form.live.setChecked(False)
                self.controls.say("The preview is kept as a layer.")
                return
            if preview.on and preview.at_work:
                self._keep_when_done(preview)
                return
        super().run()

    def _keep_when_done(self, preview: AcquisitionPreview) -> None:
        """Take over what the preview is at, rather than do the same again."""
        run = KeptPreview(
            preview, on_progress=self.controls.show_progress, on_end=self._on_end
        )
        self._run.now = run
        self._show_running(True)
        self.controls.say("Beamforming …")
        run.start()

    def _wanted(self) -> AcquisitionRequest:
        request: AcquisitionRequest = self.form.request()
        return request

    def _new_run(self) -> tuple[AcquisitionRun, str]:
        run = AcquisitionRun(
            self._viewer,
            self._wanted(),
            on_progress=self.controls.show_progress,
            on_end=self._on_end,
        )
        return run, "Beamforming …"
