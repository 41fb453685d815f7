"""Live denoising: the frame that is looked at, as the user scrolls or plays.

One frame at a time is computed in a thread. While it is, the slider may pass others:
only the newest is done next, and those that were passed count as dropped, so that what
is shown never lags behind. With nothing left to do, the frames that come next are
computed ahead, and a few behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow._napari.denoise.frame_cache import RecentFrames
from napari_usflow._napari.denoise.run import Request, needs_millimetres, settings_for
from napari_usflow._napari.jobs.progress import figure_text
from napari_usflow._napari.jobs.worker import (
    EventSource,
    guarded,
    one_core_left_to_the_window,
)
from napari_usflow._napari.layers import results
from napari_usflow._napari.layers.content import image_from_layer, inspect_layer
from napari_usflow._napari.layers.sectors import sector_of
from napari_usflow.errors import Cancelled, UsflowError
from napari_usflow.jobs import CancelToken, Event, FrameDone

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow.denoising.noise_estimation import Noise
    from napari_usflow.denoising.settings import Settings
    from napari_usflow.denoising.warm_start import Trail
    from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["LiveDenoiser"]

_NEARBY = (*range(1, 9), *range(-1, -5, -1))
"""Frames to compute when there is nothing else to do, in the direction of play."""

_RATE_OVER = 20

_QUICKER = {"best": "realtime"}
"""Methods that another one with the same parameters stands in for."""


class LiveDenoiser:
    """A layer above the input that shows the visible frame denoised.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the layer.
    layer : napari.layers.Image
        The input; it is not changed.
    request : Request
        How to denoise; the method ``realtime`` stands in for ``best``.
    on_text : callable
        Called with a line on the speed after every frame.
    on_problem : callable
        Called with a sentence when it cannot be done; following has then ended.
    on_gone : callable
        Called when the user removed the layer or the input.

    Attributes
    ----------
    input : napari.layers.Image
    shown, dropped : int
        How often a frame that the user went to was seen denoised, at once or after a
        moment, and how often the user had gone on before. Together they are the frames
        gone to, but for one that is still in work.

    Raises
    ------
    LayerError
        When the layer cannot be denoised.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image,
        request: Request,
        *,
        on_text: Callable[[str], None],
        on_problem: Callable[[str], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._viewer, self.input = viewer, layer
        self._request = _live_request(request)
        self._on_text, self._on_problem, self._on_gone = on_text, on_problem, on_gone
        self._load()
        self.layer: Image | None = None
        self.shown = self.dropped = 0
        self._token: CancelToken | None = None
        self._worker: object = None
        self._now = -1
        self._wanted = -1
        self._step = 1
        self._seconds: list[float] = []

    @property
    def on(self) -> bool:
        """Whether it follows."""
        return self._token is not None

    def start(self) -> None:
        """Follow from now on."""
        self._token = CancelToken()
        self._viewer.dims.events.current_step.connect(self._on_slider)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self.input.events.data.connect(self._begin_anew)
        self._on_slider()

    def stop(self) -> None:
        """Follow no more; the layer stays, with the frames that are kept."""
        if self._token is None:
            return
        self._token.cancel()
        self._token = None
        self._viewer.dims.events.current_step.disconnect(self._on_slider)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.input.events.data.disconnect(self._begin_anew)

    def renew(self, request: Request) -> None:
        """Go on in another way; what was denoised before is forgotten."""
        request = _live_request(request)
        if request != self._request:
            self._request = request
            self._begin_anew()

    def abandon(self, *_: object) -> None:
        """Stop without a word; can be connected to any signal."""
        self._on_text = self._on_problem = self._on_gone = _ignore
        self.stop()

    def _load(self) -> None:
        """Inspect the input layer again."""
        from napari_usflow.denoising.warm_start import Trail

        layer, request = self.input, self._request
        self._trail = Trail()
        self._done: dict[int, Any] = {}
        self._noise: Noise | None = None
        content = inspect_layer(layer, values=request.values)
        self._settings: Settings = settings_for(content, request)
        self._sector = sector_of(layer, content)
        self._image: UltrasoundImage
        if self._sector is None:
            self._image = image_from_layer(
                layer,
                pixel_size_mm=request.pixel_size_mm,
                values=request.values,
                needs_millimetres=needs_millimetres(request),
                content=content,
            )
            shown = layer.data[0] if layer.multiscale else layer.data
        else:
            self._image, shown = self._sector.image, self._sector.stack_for(layer)
        self.frames = RecentFrames(shown)

    def _on_slider(self, event: Any = None) -> None:
        frame = results.current_frame(self._viewer, self.input)
        if frame == self._wanted:
            return
        if self._wanted >= 0:
            # Play begins anew at the end: the short way is the one that was gone.
            gone = (frame - self._wanted) % len(self.frames)
            self._step = 1 if gone <= len(self.frames) / 2 else -1
            # Still in work, or not begun: the user has gone on without seeing it.
            if self._wanted not in self.frames:
                self.dropped += 1
        self._wanted = frame
        if frame in self.frames:
            self.shown += 1
            self._tell()
        self._next()

    def _begin_anew(self, event: Any = None) -> None:
        """Forget what is done and in work: data or settings are others now."""
        if self._token is None:
            return
        self._token.cancel()
        self._token = CancelToken()
        try:
            self._load()
        except UsflowError as error:
            self.stop()
            self._on_problem(str(error))
            return
        if self.layer is not None:
            self.layer.data = self.frames
            self.layer.name = self._name()
            self.layer.metadata["usflow"] = self._note()
        self._wanted = -1
        self._on_slider()

    def _next(self) -> None:
        """Begin the frame that is wanted, or one that will be; one at a time."""
        if self._worker is not None or self._token is None:
            return
        index = self._choose()
        if index is None:
            return
        from superqt.utils import create_worker

        self._now, token = index, self._token
        self._worker = create_worker(
            guarded,
            self._source(index),
            token,
            _connect={
                "yielded": lambda event: self._receive(token, event),
                "returned": lambda outcome: self._finish(token, outcome.error),
                "errored": lambda error: self._finish(token, error),
            },
        )

    def _source(self, index: int) -> EventSource:
        """Return the job; of a sector the lines are denoised and the picture shown."""
        image, request, settings = self._image, self._request, self._settings
        sector, trail, noise = self._sector, self._trail, self._noise

        def events(token: CancelToken) -> Generator[Event, None, None]:
            made = _frame_events(image, request, settings, index, token, trail, noise)
            return made if sector is None else sector.shown_events(made)

        return events

    def _choose(self) -> int | None:
        if self._wanted not in self.frames:
            return self._wanted
        count = 1 if self.input.ndim < 3 else len(self.frames)
        for ahead in _NEARBY[: self.frames.capacity - 1]:
            index = (self._wanted + self._step * ahead) % count
            if index not in self.frames:
                return int(index)
        return None

    def _receive(self, token: CancelToken, event: Event) -> None:
        if token.cancelled or not isinstance(event, FrameDone):
            return
        # Of the stack's middle frame: the same for all, so it is measured once.
        if self._noise is None:
            self._noise = _noise_of(event)
        self.frames.write(event.index, event.data)
        self._done[event.index] = event.info
        self._seconds = [*self._seconds[-_RATE_OVER + 1 :], event.info["seconds"]]
        if self.layer is None:
            self.layer = results.add_result_layer(
                self._viewer,
                self.input,
                self.frames,
                name=self._name(),
                note=self._note(),
                look=None
                if self._sector is None
                else self._sector.look_for(self.input),
                select=False,
            )
        elif event.index == self._wanted:
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)
        self.shown += event.index == self._wanted
        self._tell()

    def _tell(self) -> None:
        rate = 1 / max(float(np.mean(self._seconds)), 1e-3)
        self._on_text(
            f"Live ({self._request.method}): {figure_text(rate)} frames/s · "
            f"{self.shown} shown · {self.dropped} dropped"
        )

    def _name(self) -> str:
        return f"{self.input.name} [{self._request.method}, live]"

    def _note(self) -> dict[str, Any]:
        made_by = {"method": self._request.method, "live": True}
        note = results.provenance(self.input, made_by, asdict(self._settings))
        note["frames"] = self._done  # and those that are yet to come
        return note

    def _finish(self, token: CancelToken, error: Exception | None) -> None:
        self._worker = None
        if token.cancelled:
            # Stopped, and perhaps begun anew since.
            self._next()
        elif error is not None and not isinstance(error, Cancelled):
            self.stop()
            self._on_problem(str(error))
        else:
            self._next()

    def _on_removed(self, event: Any) -> None:
        if event.value is not None and event.value in (self.layer, self.input):
            self.stop()
            self._on_gone()


def _live_request(request: Request) -> Request:
    """Return how frames are denoised live: quickly, and without an uncertainty."""
    method = _QUICKER.get(request.method, request.method)
    return replace(request, method=method, uncertainty=False)


def _noise_of(event: FrameDone) -> Noise:
    """Return the noise that a frame was denoised with."""
    from napari_usflow.denoising.noise_estimation import Noise

    info = event.info
    return Noise(info["sigma"], info["grain"], white=info["white_noise"])


def _frame_events(
    image: UltrasoundImage,
    request: Request,
    settings: Settings,
    index: int,
    token: CancelToken,
    trail: Trail,
    noise: Noise | None,
) -> Generator[Event, None, None]:
    """Denoise one frame; all of this in a thread.

    A method that can start from another frame's result does so here: what is looked
    at goes on from what was looked at.
    """
    from napari_usflow.denoising.algorithms import method_class
    from napari_usflow.denoising.denoise import create
    from napari_usflow.denoising.pipeline import denoise_events

    start = time.perf_counter()
    params = dict(request.params)
    if hasattr(method_class(request.method).Params, "warm_start"):
        params["warm_start"] = True
    denoiser = create(
        request.method,
        weights=request.weights or None,
        device=request.device,
        **params,
    )
    with one_core_left_to_the_window():
        for event in denoise_events(
            image,
            denoiser,
            settings,
            order=[index],
            token=token,
            trail=trail,
            noise=noise,
        ):
            if isinstance(event, FrameDone):
                info = {**event.info, "seconds": time.perf_counter() - start}
                yield FrameDone(event.index, event.data, info)


def _ignore(*_: object) -> None:
    """Take the place of the callbacks once nobody listens."""
