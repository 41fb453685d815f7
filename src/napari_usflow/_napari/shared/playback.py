"""Clips at their own pace, with the time on the canvas, where it is known."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_usflow._napari.layers.appearance import canvas_overlay
from napari_usflow._napari.layers.views import is_view

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

__all__ = ["Playback", "frame_seconds", "playback_of", "toggle_playback"]

_TICK_MS = 8
_OPEN: weakref.WeakKeyDictionary[Any, Playback] = weakref.WeakKeyDictionary()


def frame_seconds(layer: Image) -> float | None:
    """Return the time between two frames; None where a layer does not tell."""
    if layer.ndim != 3 or not layer.units[0].is_compatible_with("s"):
        return None
    step = abs(float(layer.scale[0]) * float((1.0 * layer.units[0]).to("s").magnitude))
    return step if step > 0 else None


class Playback(QObject):
    """Plays the topmost clip of a viewer in real time, and shows the time.

    Frames that cannot be drawn in time are left out; the clip is played over and over.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    changed = Signal()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # It is kept for the viewer, and must not keep it.
        self._held = weakref.ref(viewer)
        self._start = (0.0, 0)
        self._before: tuple[str, bool] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)
        viewer.window.main_menu.destroyed.connect(self._timer.stop)

    @property
    def _viewer(self) -> Any:
        return self._held()

    @property
    def playing(self) -> bool:
        """Whether a clip is played."""
        return self._timer.isActive()

    @property
    def shows_time(self) -> bool:
        """Whether the time is on the canvas."""
        return self._before is not None

    def clip(self) -> Image | None:
        """Return the topmost visible image with known frame times."""
        for layer in reversed(self._viewer.layers if self._viewer else ()):
            image = type(layer).__name__ == "Image" and not is_view(layer)
            if image and layer.visible and frame_seconds(layer) is not None:
                return layer
        return None

    def set_playing(self, playing: bool) -> None:
        """Play, from the frame that is seen, or stop."""
        clip = self.clip()
        if playing and clip is not None:
            axis = self._viewer.dims.ndim - clip.ndim
            now = self._viewer.dims.current_step[axis]
            self._start = (time.perf_counter(), now)
            self._timer.start()
        else:
            self._timer.stop()
        self.changed.emit()

    def show_time(self, shown: bool) -> None:
        """Show the time of the frame on the canvas, or what stood there before."""
        overlay, dims = self._overlay(), self._viewer.dims
        if shown and self._before is None:
            self._before = (overlay.text, overlay.visible)
            dims.events.current_step.connect(self._write_time)
            self._write_time()
            overlay.visible = True
        elif not shown and self._before is not None:
            dims.events.current_step.disconnect(self._write_time)
            overlay.text, overlay.visible = self._before
            self._before = None
        self.changed.emit()

    def _overlay(self) -> Any:
        return canvas_overlay(self._viewer, "text")

    def _write_time(self, event: Any = None) -> None:
        clip = self.clip()
        seconds = None if clip is None else frame_seconds(clip)
        if clip is None or seconds is None:
            self._overlay().text = ""
            return
        axis = self._viewer.dims.ndim - clip.ndim
        frame = self._viewer.dims.current_step[axis]
        self._overlay().text = f"{frame * seconds:.3f} s"

    def _tick(self) -> None:
        clip = self.clip()
        seconds = None if clip is None else frame_seconds(clip)
        if clip is None or seconds is None:
            self.set_playing(False)
            return
        start, first = self._start
        frame = first + int((time.perf_counter() - start) / seconds)
        axis = self._viewer.dims.ndim - clip.ndim
        frame %= int(clip.data.shape[0])
        if self._viewer.dims.current_step[axis] != frame:
            self._viewer.dims.set_current_step(axis, frame)


def playback_of(viewer: napari.viewer.Viewer) -> Playback:
    """Return the playback of a viewer."""
    key = getattr(viewer, "__wrapped__", viewer)
    if key not in _OPEN:
        _OPEN[key] = Playback(key)
    return _OPEN[key]


def toggle_playback() -> None:
    """Play the topmost clip in real time with its time on the canvas, or stop."""
    import napari
    from napari.utils.notifications import show_warning

    viewer = napari.current_viewer()
    playback = None if viewer is None else playback_of(viewer)
    if playback is None or playback.clip() is None:
        show_warning("Open a clip with frame times: its first axis has to be in s.")
        return
    playing = not playback.playing
    playback.show_time(True)
    playback.set_playing(playing)
