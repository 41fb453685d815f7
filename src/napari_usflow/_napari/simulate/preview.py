"""A live preview of simulated speckle, on the frame that is looked at.

Nothing here needs a window, but a Qt application: threads report through its loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_usflow._napari.jobs.latest_request import Latest
from napari_usflow._napari.layers import results
from napari_usflow._napari.layers.content import usflow_metadata
from napari_usflow._napari.simulate.run import (
    SpeckleRequest,
    empty_stack,
    simulation,
    speckle_look,
    speckle_note,
)
from napari_usflow.errors import UsflowError
from napari_usflow.jobs import Event, FrameDone

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["SpecklePreview", "is_speckle_preview"]

_KEY = "preview"
_DEBOUNCE_MS = 150


def is_speckle_preview(layer: Any) -> bool:
    """Return whether a layer is a preview."""
    return bool(usflow_metadata(layer).get(_KEY))


class SpecklePreview:
    """A layer above the picture that follows the settings, the slider and the picture.

    Frames that were simulated are kept while the settings stay the same; the others
    show the picture without speckle until their turn.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the layer.
    wanted : callable
        Called when something has changed, for the picture and what to simulate on it;
        may raise an error, which is reported.
    on_done : callable
        Called with the finished frame.
    on_problem : callable
        Called with a sentence when it cannot be done.
    on_gone : callable
        Called when the user removed the preview or its picture.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        wanted: Callable[[], tuple[Image, SpeckleRequest]],
        *,
        on_done: Callable[[FrameDone], None],
        on_problem: Callable[[str], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._wanted = wanted
        self._on_done = on_done
        self._on_problem = on_problem
        self._on_gone = on_gone
        self._picture: Image | None = None
        self._data: Any = None
        self._request: SpeckleRequest | None = None
        self._stack: results.PartialStack | None = None
        self.layer: Image | None = None
        self._latest = Latest(
            on_event=self._receive, on_error=lambda error: on_problem(str(error))
        )
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DEBOUNCE_MS)
        self._timer.timeout.connect(self._update)
        self._on = False

    @property
    def on(self) -> bool:
        """Whether it follows."""
        return self._on

    def show(self) -> None:
        """Begin to follow, at once."""
        self._on = True
        self._viewer.dims.events.current_step.connect(self.ask)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self._update()

    def ask(self, event: Any = None) -> None:
        """Follow what has changed, after a moment in which more may change."""
        if self._on:
            self._timer.start()

    def hide(self) -> None:
        """Take the layer away and follow no more."""
        if not self._on:
            return
        self._on = False
        self._timer.stop()
        self._latest.cancel()
        self._viewer.dims.events.current_step.disconnect(self.ask)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._drop_layer()

    def abandon(self, *_: object) -> None:
        """Hide without a word; can be connected to any signal."""
        self._on_done = self._on_problem = self._on_gone = _ignore
        self.hide()

    def _update(self) -> None:
        try:
            picture, request = self._wanted()
            if picture is not self._picture:
                self._drop_layer()
                self._follow(picture)
            is_other = request != self._request or picture.data is not self._data
            if is_other or self._stack is None:
                self._request, self._data = request, picture.data
                self._stack = empty_stack(picture, request)
            frame = results.current_frame(self._viewer, picture)
            if self._stack.done[frame]:
                self._latest.cancel()
            else:
                self._latest.ask(simulation(picture, request, [frame]))
        except (UsflowError, ValueError) as error:
            self._latest.cancel()
            self._on_problem(str(error))

    def _receive(self, event: Event) -> None:
        if not isinstance(event, FrameDone) or self._stack is None:
            return
        self._stack.write(event.index, event.data)
        if self.layer is None or self.layer.data is not self._stack:
            # Only now: what is shown changes once, and not by way of an empty frame.
            self._show_stack()
        else:
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)
        self._on_done(event)

    def _show_stack(self) -> None:
        picture, request = self._picture, self._request
        if picture is None or request is None:
            return
        note = {**speckle_note(picture, request), _KEY: True}
        look = speckle_look(request.params)
        if self.layer is None:
            self.layer = results.add_result_layer(
                self._viewer,
                picture,
                self._stack,
                name=f"{picture.name} [speckle preview]",
                note=note,
                look=look,
                select=False,
            )
        else:
            self.layer.data = self._stack
            self.layer.scale = picture.scale
            self.layer.contrast_limits = look["contrast_limits"]
            self.layer.metadata["usflow"] = note

    def _follow(self, picture: Image) -> None:
        self._picture = picture
        for event in _events(picture):
            event.connect(self.ask)

    def _drop_layer(self) -> None:
        if self._picture is not None:
            for event in _events(self._picture):
                event.disconnect(self.ask)
        layer, self.layer = self.layer, None
        self._picture = self._data = self._request = self._stack = None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _on_removed(self, event: Any) -> None:
        """End when the user takes the preview or the picture away."""
        if event.value is not None and event.value in (self.layer, self._picture):
            self.hide()
            self._on_gone()


def _events(picture: Image) -> tuple[Any, ...]:
    return picture.events.contrast_limits, picture.events.data, picture.events.scale


def _ignore(*_: object) -> None:
    """Take the place of the callbacks once nobody listens."""
