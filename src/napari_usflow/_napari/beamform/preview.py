"""A layer that is beamformed again whenever a setting is changed.

Nothing here needs a window, but a Qt application: threads report through its loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_usflow._napari.beamform.layers import layers_of
from napari_usflow._napari.beamform.on_demand import FrameFollower, OnDemandStack
from napari_usflow._napari.beamform.run import (
    AcquisitionRequest,
    Beamformed,
    beamforming,
)
from napari_usflow._napari.jobs.latest_request import Latest
from napari_usflow._napari.jobs.worker import EventSource
from napari_usflow.errors import UsflowError
from napari_usflow.jobs import CancelToken, Event, Progress

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["AcquisitionPreview"]

_DEBOUNCE_MS = 100
_MARK = " [preview]"
_DRAFT_STEP = 3
"""Size of a draft's pixels, in those of the image."""
_DRAFT_PIXELS = 2**15
"""Images of fewer pixels need no draft."""


@dataclass(frozen=True)
class _Draft(Event):
    """A coarse image, seen until the one that was asked for is there."""

    image: UltrasoundImage


class AcquisitionPreview:
    """Beamforms what is set now, in a thread; only the newest request is shown.

    A draft of coarse pixels is shown first. A change of the dynamic range alone changes
    the contrast limits, and no more.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the layer.
    wanted : callable
        Called when something has changed, for what to beamform; may raise an error,
        which is reported.
    on_progress : callable
        Called with the finished share in [0, 1].
    on_done : callable
        Called when the layer shows what is set.
    on_problem : callable
        Called with a sentence when it cannot be done.
    on_gone : callable
        Called when the user removed the preview.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        wanted: Callable[[], AcquisitionRequest],
        *,
        on_progress: Callable[[float], None],
        on_done: Callable[[], None],
        on_problem: Callable[[str], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._viewer, self._wanted = viewer, wanted
        self._on_progress, self._on_done = on_progress, on_done
        self._on_problem, self._on_gone = on_problem, on_gone
        self._shown: AcquisitionRequest | None = None
        self._follower: FrameFollower | None = None
        self.layer: Image | None = None
        self._latest = Latest(
            on_event=self._receive, on_error=lambda error: on_problem(str(error))
        )
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DEBOUNCE_MS)
        self._timer.timeout.connect(self._update)
        self._asked: AcquisitionRequest | None = None
        self._complete = False
        self._on = False

    @property
    def on(self) -> bool:
        """Whether it follows."""
        return self._on

    @property
    def at_work(self) -> bool:
        """Whether something is being beamformed, or soon will be."""
        return self._latest.running or self._timer.isActive()

    def show(self) -> None:
        """Begin to follow, at once."""
        self._on = True
        self._viewer.layers.events.removed.connect(self._on_removed)
        self._update()

    def ask(self, *_: object) -> None:
        """Follow what has changed, after a moment in which more may change."""
        if self._on:
            self._timer.start()

    def hurry(self) -> None:
        """Follow at once what may still change."""
        if self._timer.isActive():
            self._timer.stop()
            self._update()

    def keep(self) -> bool:
        """Leave the layer to the user where it shows what is set.

        Returns
        -------
        bool
            Whether there was such a layer.
        """
        layer = self.layer
        if not self._on or layer is None or not self._complete:
            return False
        if self._timer.isActive():
            return False
        try:
            if self._wanted() != self._asked:
                return False
        except (UsflowError, ValueError):
            return False
        layer.name = layer.name.removesuffix(_MARK)
        self._follower = self.layer = None
        return True

    def hide(self) -> None:
        """Take the layer away and follow no more."""
        if not self._on:
            return
        self._on = False
        self._timer.stop()
        self._latest.cancel()
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        layer, self.layer = self.layer, None
        self._shown = self._asked = None
        self._unfollow()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def abandon(self, *_: object) -> None:
        """Hide without a word; can be connected to any signal."""
        self._on_done = self._on_problem = self._on_gone = _ignore
        self._on_progress = _ignore
        self.hide()

    def _update(self) -> None:
        try:
            request = self._wanted()
        except (UsflowError, ValueError) as error:
            self._latest.cancel()
            self._asked = None
            self._on_problem(str(error))
            return
        before = self._asked
        if before is not None and _same_image(before, request):
            self._asked = request
            self._set_range(request)
            return
        self._asked, self._complete = request, False
        self._latest.ask(_with_draft(request))

    def _receive(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._on_progress(min(event.done / max(event.total, 1), 1.0))
        elif isinstance(event, _Draft) and self._asked is not None:
            self._show_image(event.image)
        elif isinstance(event, Beamformed) and self._asked is not None:
            self._show_image(event.image)
            self._complete = True
            self._on_done()

    def _show_image(self, image: UltrasoundImage) -> None:
        request = self._asked
        assert request is not None
        data, kwargs, _ = layers_of(
            image, dynamic_range_db=request.params.dynamic_range_db
        )[0]
        kwargs["name"] = f"{kwargs['name']}{_MARK}"
        self._unfollow()
        if self.layer is not None and self.layer.ndim != data.ndim:
            # Another file: a stack after an image, or the other way round.
            layer, self.layer = self.layer, None
            self._viewer.layers.remove(layer)
        if isinstance(data, OnDemandStack):
            data.followed = True  # from the moment napari first draws it
        if self.layer is None:
            self.layer = self._viewer.add_image(data, **kwargs)
        else:
            self.layer.data = data
            for name in ("scale", "translate", "contrast_limits", "metadata", "name"):
                setattr(self.layer, name, kwargs[name])
        if isinstance(data, OnDemandStack):
            self._follower = FrameFollower(self._viewer, self.layer)

    def _set_range(self, request: AcquisitionRequest) -> None:
        if self.layer is not None:
            self.layer.contrast_limits = (-request.params.dynamic_range_db, 0.0)

    def _unfollow(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()

    def _on_removed(self, event: Any) -> None:
        """End when the user takes the preview away."""
        if event.value is not None and event.value is self.layer:
            self._follower = None  # stops by itself
            self.hide()
            self._on_gone()


def _with_draft(request: AcquisitionRequest) -> EventSource:
    """Return the job that beamforms a draft where that is worth it, then the image."""

    def events(token: CancelToken) -> Generator[Event, None, None]:
        draft = _draft_of(request)
        if draft is not None:
            for event in beamforming(draft)(token):
                if isinstance(event, Beamformed):
                    yield _Draft(event.image)
        yield from beamforming(request)(token)

    return events


def _draft_of(request: AcquisitionRequest) -> AcquisitionRequest | None:
    """Return the request for a draft; None for small images, beams and stacks."""
    data, params = request.opened.channel_data, request.params
    if data is None or data.is_focused or data.samples.shape[0] > 1:
        return None
    grid = params.grid(params.channel_data(data), request.opened.grid)
    if grid is None or math.prod(grid.shape) < _DRAFT_PIXELS:
        return None
    axial, lateral = (_DRAFT_STEP * step for step in grid.spacing_mm)
    coarse = replace(params, pixel_axial_mm=axial, pixel_lateral_mm=lateral)
    return replace(request, params=coarse)


def _same_image(one: AcquisitionRequest, other: AcquisitionRequest) -> bool:
    """Return whether two requests differ only in how the image is shown."""
    range_db = one.params.dynamic_range_db
    as_one = replace(other.params, dynamic_range_db=range_db)
    return (
        one.opened is other.opened
        and one.device == other.device
        and one.params == as_one
    )


def _ignore(*_: object) -> None:
    """Take the place of the callbacks once nobody listens."""
