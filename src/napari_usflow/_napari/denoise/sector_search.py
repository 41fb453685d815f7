"""The sector of a layer: its controls in the Denoise window, and the search for it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QPushButton, QVBoxLayout, QWidget

from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.layers.content import image_from_layer
from napari_usflow._napari.layers.outlines import add_outline, outline_of
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Event, Note

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow._napari.denoise.run import Request
    from napari_usflow.ultrasound.sectors.geometry import Sector
    from napari_usflow.ultrasound.value_rule import StatedValues

__all__ = ["SectorPanel", "SectorSearch", "with_drawn_sector"]


class SectorPanel(QWidget):
    """Whether a picture is denoised on the lines of its sector, and what is around."""

    def __init__(self) -> None:
        super().__init__()
        self.on_lines = QCheckBox("Denoise on the lines of the sector")
        self.on_lines.setChecked(True)
        self.on_lines.setToolTip(
            "Of a scan-converted picture: find its sector and remove the speckle on\n"
            "its lines, where the grain is the same at every depth. A picture without\n"
            "a sector is denoised as it is. Drawn corners are used as they are."
        )
        self.mask_outside = QCheckBox("Black around the sector")
        self.mask_outside.setToolTip(
            "Blank the result outside the sector: text, names, rulers"
        )
        self.find_button = QPushButton("Find sector")
        self.find_button.setToolTip(
            "Draw the sector of the layer as a shapes layer; drag its four corners to\n"
            "correct it. The next run uses it; remove the layer to go without"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.on_lines, self.mask_outside, self.find_button):
            layout.addWidget(widget)
        self._has_picture = True
        self.on_lines.toggled.connect(self._show_state)

    def enable(self, has_picture: bool) -> None:
        """Offer the search where there is a picture to look at."""
        self._has_picture = has_picture
        self._show_state()

    def _show_state(self, *_: object) -> None:
        self.find_button.setEnabled(self._has_picture and self.on_lines.isChecked())


class SectorSearch:
    """One search for the sector of a layer, in a thread; draws its outline.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the outline.
    layer : napari.layers.Image
        Is looked at.
    values : {"db", "envelope", "display", "rf"}, optional
        What the layer's numbers are, when the user says so.
    on_end : callable
        Called with a sentence and the error or None.

    Raises
    ------
    LayerError
        When the layer is not a grey image.
    """

    complete = False

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image,
        values: StatedValues | None,
        on_end: Callable[[str, Exception | None], None],
    ) -> None:
        image = image_from_layer(layer, values=values, needs_millimetres=False)
        self._viewer, self._layer, self._on_end = viewer, layer, on_end
        self._sector: Sector | None = None

        def events(token: CancelToken) -> Generator[Event, None, None]:
            from napari_usflow.ultrasound.sectors.find import sector_candidate

            yield Note("Looking for the sector …")
            self._sector = sector_candidate(image)

        self._job = Job(events, on_event=lambda event: None, on_end=self._end)

    def start(self) -> None:
        """Start the search; JobError when another job is running."""
        self._job.start()

    def cancel(self) -> None:
        """Give the search up."""
        self._job.cancel()

    def abandon(self) -> None:
        """Give the search up without a word."""
        self._job.abandon()

    def _end(self, error: Exception | None) -> None:
        if isinstance(error, Cancelled):
            self._on_end("Cancelled; no sector was drawn.", None)
        elif error is not None:
            self._on_end(f"No sector: {error}", error)
        elif self._sector is None:
            self._on_end("There is no sector in this layer.", None)
        elif self._layer not in self._viewer.layers:
            self._on_end("The layer was removed.", None)
        else:
            add_outline(self._viewer, self._layer, self._sector)
            sure = f"{self._sector.confidence:.0%}".replace("%", " %")
            text = self._sector.describe()
            self._on_end(
                f"{text[0].upper()}{text[1:]}, confidence {sure}. Drag its corners to "
                "correct it.",
                None,
            )


def with_drawn_sector(viewer: ViewerModel, layer: Image, request: Request) -> Request:
    """Have a run use the sector that is drawn over the layer, if one is."""
    drawn = outline_of(viewer, layer)
    if drawn is None or request.sector is None:
        return request
    return replace(request, sector=drawn)
