"""Denoising files and layers one after another, with the same settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_usflow import __version__
from napari_usflow._napari.denoise.run import (
    LayerRun,
    MethodReady,
    Request,
    denoising_events,
)
from napari_usflow._napari.jobs.frame_order import FrameOrder
from napari_usflow._napari.jobs.worker import Job
from napari_usflow.errors import Cancelled, UsflowError
from napari_usflow.io import image_events, open_file
from napari_usflow.io.outputs import Options
from napari_usflow.io.outputs.writing import room_for, write_events
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note, Progress

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["BatchRun", "FileItem", "Finished", "LayerItem"]


@dataclass(frozen=True)
class FileItem:
    """A file, and where its result goes."""

    path: Path
    output: Path

    @property
    def name(self) -> str:
        """Name shown to the user."""
        return self.path.name


@dataclass(frozen=True)
class LayerItem:
    """A layer, whose result is a layer."""

    layer: Image

    @property
    def name(self) -> str:
        """Name shown to the user."""
        return str(self.layer.name)


Item = FileItem | LayerItem


@dataclass(frozen=True)
class Finished:
    """Outcome of one item.

    Attributes
    ----------
    item : FileItem or LayerItem
    sentence : str
        What the user is told.
    seconds : float
    noise_db : float or None
        Its noise level, where that was estimated.
    failed : bool
    cancelled : bool
        Whether it was stopped on the way.
    """

    item: Item
    sentence: str
    seconds: float
    noise_db: float | None
    failed: bool
    cancelled: bool = False


def _file_events(
    item: FileItem, request: Request, token: CancelToken
) -> Generator[Event, None, None]:
    """Read, denoise and write one file; all of this in a thread."""
    from napari_usflow.denoising.settings import Settings

    opened = open_file(item.path)
    images: list[UltrasoundImage] = yield from image_events(
        opened, device=request.device, token=token
    )
    if not images:
        raise UsflowError(f"{item.path} has no image to denoise")
    image, settings = images[0], request.settings or Settings()
    count = int(image.data.shape[0])
    result = room_for(tuple(image.data.shape), item.output.parent)
    made_by: dict[str, Any] = {"method": request.method}
    frames: dict[int, dict[str, Any]] = {}
    order = FrameOrder(range(count), 0)
    for event in denoising_events(image, request, settings, order, token):
        if isinstance(event, MethodReady):
            made_by = event.made_by
        elif isinstance(event, FrameDone):
            result[event.index] = event.data
            frames[event.index] = dict(event.info)
            yield Progress(len(frames), count, f"{len(frames)}/{count} frames")
            yield event
        elif isinstance(event, Note):
            yield event
    provenance = {
        **made_by,
        "settings": asdict(settings),
        "frames": frames,
        "input": str(item.path),
        "layer": f"{item.path.stem} [{request.method}]",
        "written_by": f"napari-usflow {__version__}",
    }
    options = Options(provenance=provenance, token=token)
    yield from write_events(item.output, image.with_data(result), options)


class BatchRun:
    """One batch: its items are done in their order, and a bad one stops no other.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the results of layers.
    items : sequence of FileItem or LayerItem
    request : Request
        Method and settings.
    on_progress : callable
        Called with the finished share of all in [0, 1] and a line of text.
    on_item : callable
        Called with each :class:`Finished`.
    on_end : callable
        Called once, with the closing sentence and the error or None.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        items: Sequence[Item],
        request: Request,
        *,
        on_progress: Callable[[float, str], None],
        on_item: Callable[[Finished], None],
        on_end: Callable[[str, Exception | None], None],
    ) -> None:
        self._viewer, self._items, self._request = viewer, tuple(items), request
        self._on_progress, self._on_item, self._on_end = on_progress, on_item, on_end
        self._finished: list[Finished] = []
        self._now: Job | LayerRun | None = None
        self._noise_db: float | None = None
        self._began = 0.0
        self._cancelled = False

    def start(self) -> None:
        """Begin with the first item."""
        self._next()

    def cancel(self) -> None:
        """Stop; what is finished stays."""
        self._cancelled = True
        if self._now is not None:
            self._now.cancel()

    def abandon(self) -> None:
        """Stop without a word, because the window is closing."""
        self._cancelled = True
        self._on_progress = self._on_item = self._on_end = _ignore
        if self._now is not None:
            self._now.abandon()

    def _next(self) -> None:
        done, total = len(self._finished), len(self._items)
        if self._cancelled or done == total:
            self._end()
            return
        item = self._items[done]
        self._noise_db, self._began = None, time.monotonic()
        self._report(0.0, "")
        try:
            if isinstance(item, LayerItem):
                self._now = LayerRun(
                    self._viewer,
                    item.layer,
                    self._request,
                    on_progress=self._report,
                    on_note=lambda text: None,
                    on_end=lambda sentence, error: self._close(item, sentence, error),
                )
            else:
                self._now = self._job(item)
            self._now.start()
        except (UsflowError, ValueError) as error:
            self._close(item, str(error), error)

    def _job(self, item: FileItem) -> Job:
        def end(error: Exception | None) -> None:
            sentence = str(error) if error else str(item.output)
            if isinstance(error, Cancelled):
                sentence = "Cancelled."
            self._close(item, sentence, error)

        return Job(
            lambda token: _file_events(item, self._request, token),
            on_event=self._receive,
            on_end=end,
        )

    def _receive(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total:
            self._report(event.done / event.total, event.label)
        elif isinstance(event, FrameDone) and event.info.get("sigma_estimated"):
            self._noise_db = event.info["sigma_db"]

    def _report(self, share: float, text: str) -> None:
        done, total = len(self._finished), len(self._items)
        if done < total:
            name = self._items[done].name
            line = " · ".join(filter(None, (f"{done + 1}/{total} {name}", text)))
            self._on_progress((done + min(share, 1.0)) / total, line)

    def _close(self, item: Item, sentence: str, error: Exception | None) -> None:
        noise_db = getattr(self._now, "noise_db", None) or self._noise_db
        seconds = time.monotonic() - self._began
        is_partial = isinstance(self._now, LayerRun) and not self._now.complete
        cancelled = isinstance(error, Cancelled) or (error is None and is_partial)
        failed = error is not None and not cancelled
        finished = Finished(item, sentence, seconds, noise_db, failed, cancelled)
        self._finished.append(finished)
        self._now = None
        self._on_item(finished)
        self._next()

    def _end(self) -> None:
        failed = sum(one.failed for one in self._finished)
        left = failed + sum(one.cancelled for one in self._finished)
        done, total = len(self._finished) - left, len(self._items)
        word = "Cancelled" if self._cancelled else "Done"
        sentence = f"{word}: {done} of {total} denoised"
        sentence += f", {failed} failed." if failed else "."
        on_end = self._on_end
        self._on_progress = self._on_item = self._on_end = _ignore
        on_end(sentence, None)


def _ignore(*_: object) -> None:
    """Take the place of the callbacks of a run that is over."""
