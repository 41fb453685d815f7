"""A run without work of its own: the image of the preview is kept, once it is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_usflow._napari.jobs.progress import elapsed_text

if TYPE_CHECKING:
    from napari_usflow._napari.beamform.preview import AcquisitionPreview

__all__ = ["KeptPreview"]


class KeptPreview:
    """Waits for the preview that is in work, and keeps its layer.

    Parameters
    ----------
    preview : AcquisitionPreview
        Is on.
    on_progress : callable
        Called with the finished share in [0, 1] and a line of text.
    on_end : callable
        Called once, with the closing sentence and the error or None.
    """

    def __init__(
        self,
        preview: AcquisitionPreview,
        *,
        on_progress: Callable[[float, str], None],
        on_end: Callable[[str, Exception | None], None],
    ) -> None:
        self._preview = preview
        self._on_progress, self._on_end = on_progress, on_end
        self._began = time.monotonic()

    def start(self) -> None:
        """Begin, without waiting for further changes of the settings."""
        self._preview.hurry()

    def progress(self, share: float) -> None:
        """Report the progress of the preview."""
        self._on_progress(share, f"{share:.0%} of a frame")

    def done(self) -> None:
        """Keep the layer, which shows what was asked for."""
        is_kept = self._preview.keep()
        elapsed = elapsed_text(time.monotonic() - self._began)
        self._end(f"Done in {elapsed}." if is_kept else "The settings were changed.")

    def fail(self, sentence: str) -> None:
        """End with the reason why there is no image."""
        self._end(f"Failed: {sentence}", ValueError(sentence))

    def cancel(self) -> None:
        """Stop; no layer is added."""
        self._preview.hide()
        self._end("Cancelled; no layer was added.")

    def abandon(self) -> None:
        """Stop without a report, because the window is closing."""
        self._on_progress = self._on_end = _ignore
        self._preview.hide()

    def _end(self, sentence: str, error: Exception | None = None) -> None:
        on_end, self._on_end = self._on_end, _ignore
        on_end(sentence, error)


def _ignore(*_: object) -> None:
    """Take the place of the callbacks once nobody listens."""
