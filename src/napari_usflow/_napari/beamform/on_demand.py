"""A layer whose frames are beamformed in a thread when the slider comes to them.

napari asks for the frame it draws in the window's thread, and waits for it. A stack of
this kind answers at once there: with the frame if it is known, with black otherwise,
until a thread has made it. Other threads, such as a denoiser's, wait and get it.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.jobs.latest_request import Latest
from napari_usflow._napari.jobs.worker import one_core_left_to_the_window
from napari_usflow._napari.layers.frame_array import FrameArray
from napari_usflow._napari.layers.results import current_frame, shows_frame
from napari_usflow.jobs import CancelToken, Event, FrameDone
from napari_usflow.ultrasound.bmode import SILENCE_DB

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow.ultrasound.data import ArrayLike

__all__ = ["FrameFollower", "OnDemandStack", "follow_when_shown"]

_KEPT_BYTES = 2**28


class OnDemandStack(FrameArray):
    """A lazy stack that never keeps the window waiting, and keeps what was made.

    Parameters
    ----------
    source : array, shape (T, Z, X)
        Slow to index; a frame at a time is asked for.
    first : ndarray, shape (Z, X)
        Its first frame, which is known already.

    Attributes
    ----------
    followed : bool
        Whether somebody makes the frames that the window asks for; until then, it
        has to wait for them.
    """

    def __init__(self, source: ArrayLike, first: npt.NDArray[np.float32]) -> None:
        super().__init__(source.shape)
        self._source = source
        self._most = max(2, _KEPT_BYTES // first.nbytes)
        self._known: OrderedDict[int, npt.NDArray[np.float32]] = OrderedDict({0: first})
        self._lock = threading.Lock()
        self.followed = False
        self.follower: object = None

    def knows(self, index: int) -> bool:
        """Whether a frame can be had at once."""
        return index in self._known

    def frame(self, index: int) -> npt.NDArray[np.float32]:
        """Return a frame, computing it if need be."""
        with self._lock:
            if index in self._known:
                self._known.move_to_end(index)
                return self._known[index]
        made = np.asarray(self._source[index], np.float32)
        with self._lock:
            self._known[index] = made
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return made

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Return all frames: who wants an array, to save it, waits for it."""
        whole = np.stack([self.frame(i) for i in range(len(self))])
        return whole if dtype is None else whole.astype(dtype)

    def _shown(self, index: int) -> npt.NDArray[np.float32]:
        glance = self.followed and _in_window_thread()
        return self._glance(index) if glance else self.frame(index)

    def _glance(self, index: int) -> npt.NDArray[np.float32]:
        with self._lock:
            known = self._known.get(index)
        return self._black() if known is None else known

    def _black(self) -> npt.NDArray[np.float32]:
        return np.full(self.shape[1:], SILENCE_DB, np.float32)


class FrameFollower:
    """Makes the frame that the slider is at, for as long as the layer is there.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose slider is followed.
    layer : napari.layers.Image
        Its data are an :class:`OnDemandStack`.
    """

    def __init__(self, viewer: ViewerModel, layer: Image) -> None:
        self._viewer, self._layer = viewer, layer
        self._stack: OnDemandStack = layer.data
        self._wanted: int | None = None
        self._latest = Latest(on_event=self._receive, on_error=_report)
        # napari's events hold methods weakly.
        self._stack.follower = self
        self._stack.followed = True
        viewer.dims.events.current_step.connect(self._look)
        viewer.layers.events.removed.connect(self._on_removed)
        self._look()

    @property
    def at_work(self) -> bool:
        """Whether a frame is being made."""
        return self._latest.running

    def stop(self) -> None:
        """Follow no more."""
        self._stack.follower = None
        self._stack.followed = False
        self._latest.cancel()
        self._viewer.dims.events.current_step.disconnect(self._look)
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def _look(self, event: Any = None) -> None:
        stack, index = self._stack, current_frame(self._viewer, self._layer)
        if stack.knows(index):
            self._wanted = None
            self._latest.cancel()
        elif index != self._wanted:
            self._wanted = index
            self._latest.ask(lambda token: _frame_events(stack, index, token))

    def _receive(self, event: Event) -> None:
        if isinstance(event, FrameDone):
            self._wanted = None
            if shows_frame(self._viewer, self._layer, event.index):
                self._layer.refresh(thumbnail=False, extent=False, highlight=False)

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self.stop()


def follow_when_shown(stack: OnDemandStack) -> None:
    """Make frames in a thread once the layer of a stack is in the current viewer.

    The layer is only made after the reader is done. Without a viewer, frames are made
    where they are asked for.
    """
    if "napari.viewer" not in sys.modules:
        return
    from napari.viewer import current_viewer

    viewer = current_viewer()
    if viewer is None:
        return
    inserted = viewer.layers.events.inserted
    # napari draws a layer while it makes it.
    stack.followed = True

    def on_inserted(event: Any) -> None:
        inserted.disconnect(on_inserted)
        stack.followed = False
        if event.value.data is stack:
            if len(viewer.layers) == 1:
                # napari puts the slider in the middle, at a frame that is not made.
                viewer.dims.set_current_step(0, 0)
            FrameFollower(viewer, event.value)

    inserted.connect(on_inserted, position="last")


def _frame_events(
    stack: OnDemandStack, index: int, token: CancelToken
) -> Generator[Event, None, None]:
    token.raise_if_cancelled()
    with one_core_left_to_the_window():
        frame = stack.frame(index)
    yield FrameDone(index, frame)


def _report(error: Exception) -> None:
    from napari.utils.notifications import show_error

    show_error(str(error))


def _in_window_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
