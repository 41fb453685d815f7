"""A job that fills a new layer frame by frame: what every such run shares.

A run starts the job, adds the result when the first frame is done and writes every
further frame into it. It holds no widget; whoever shows it passes callbacks.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from napari_usflow._napari.jobs.frame_order import FrameOrder
from napari_usflow._napari.jobs.progress import elapsed_text, progress_text
from napari_usflow._napari.jobs.worker import EventSource, Job
from napari_usflow._napari.layers import results
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import Event, FrameDone, Note, Progress

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["StackRun"]


class StackRun(ABC):
    """One run of one job on one layer.

    A subclass says what the result is called (:meth:`_name`), how it was made
    (:meth:`_note`), how it looks where that is not as the input does (:meth:`_look`),
    and what is to be said of it at the end (:meth:`_remark`).

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the result.
    layer : napari.layers.Image
        The input; it is not changed.
    stack : PartialStack
        Where the frames go; it has the input's shape.
    order : FrameOrder
        The frames that the job will do; it goes on from where the slider goes.
    source : callable
        Makes the job's generator, see :class:`~napari_usflow._napari.jobs.worker.Job`.
    on_progress : callable
        Called with the finished share in [0, 1] and a line of text.
    on_note : callable
        Called with sentences for the user.
    on_end : callable
        Called once, with the closing sentence and the error or None.
    """

    _trial = False
    """Whether the result is one frame of a stack, to be replaced by a whole run."""

    unfinished: ClassVar[str] = "show the input"
    """State of the frames that were not finished."""

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image,
        stack: results.PartialStack,
        *,
        order: FrameOrder,
        source: EventSource,
        on_progress: Callable[[float, str], None],
        on_note: Callable[[str], None],
        on_end: Callable[[str, Exception | None], None],
    ) -> None:
        self._viewer = viewer
        self._layer = layer
        self._stack = stack
        self._order = order
        self._total = len(order)
        self._on_progress = on_progress
        self._on_note = on_note
        self._on_end = on_end
        self.result: Image | None = None
        self._frames: dict[int, dict[str, Any]] = {}
        self._began = time.monotonic()
        self._job = Job(source, on_event=self._receive, on_end=self._finish)

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self._job.running

    @property
    def finished_frames(self) -> int:
        """Number of finished frames."""
        return len(self._frames)

    @property
    def complete(self) -> bool:
        """Whether every frame is done that was asked for."""
        return self.finished_frames == self._total

    def start(self) -> None:
        """Begin; :class:`~napari_usflow.errors.JobError` when another one runs."""
        self._job.start()
        self._viewer.dims.events.current_step.connect(self._on_slider)
        self._viewer.layers.events.removed.connect(self._on_removed)

    def cancel(self) -> None:
        """Stop, and keep the finished frames."""
        self._job.cancel()

    def abandon(self) -> None:
        """Stop without a word, because the window is closing."""
        self._job.abandon()
        self._let_go()

    @abstractmethod
    def _name(self) -> str:
        """Name the result."""

    @abstractmethod
    def _note(self) -> dict[str, Any]:
        """Return the provenance for the result's metadata."""

    def _look(self) -> Mapping[str, Any]:
        return {}

    def _remark(self) -> str:
        return ""

    def _receive(self, event: Event) -> None:
        if isinstance(event, Note):
            self._on_note(event.text)
        elif isinstance(event, Progress):
            self._report(min(event.done / max(event.total, 1), 1.0))
        elif isinstance(event, FrameDone):
            self._take(event)
            self._report(0.0)

    def _report(self, fraction: float) -> None:
        done = self.finished_frames
        fraction = min(fraction, float(self._total - done))
        elapsed = time.monotonic() - self._began
        text = progress_text(done, fraction, self._total, elapsed)
        self._on_progress((done + fraction) / self._total, text)

    def _take(self, event: FrameDone) -> None:
        self._stack.write(event.index, event.data)
        self._frames[event.index] = dict(event.info)
        if self.result is None:
            self.result = self._add_layer()
        elif results.shows_frame(self._viewer, self.result, event.index):
            # The thumbnail and the rest can wait for the end of the run.
            self.result.refresh(thumbnail=False, extent=False, highlight=False)

    def _add_layer(self) -> Image:
        return results.add_result_layer(
            self._viewer,
            self._layer,
            self._stack,
            name=self._name(),
            note=self._note(),
            look=self._look(),
            trial=self._trial,
        )

    def _finish(self, error: Exception | None) -> None:
        if self.result is not None:
            self._settle(self.result)
        sentence = self._closing_sentence(error)
        on_end = self._on_end
        self._let_go()
        on_end(sentence, None if isinstance(error, Cancelled) else error)

    def _settle(self, result: Image) -> None:
        result.metadata["usflow"] = self._note()
        if self._stack.done.all():
            result.data = self._stack.settled()
        else:
            result.refresh()

    def _closing_sentence(self, error: Exception | None) -> str:
        done, total = self.finished_frames, self._total
        frames = f"{done}/{total} frames" if total > 1 else f"{done}/{total} frame"
        others = f", the other frames {self.unfinished}" if 0 < done < total else ""
        if isinstance(error, Cancelled):
            return f"Cancelled after {frames}{others}."
        if error is not None:
            return f"Failed after {frames}{others}: {error}"
        elapsed = time.monotonic() - self._began
        return f"Done: {frames} in {elapsed_text(elapsed)}{self._remark()}."

    def _on_slider(self, event: Any = None) -> None:
        self._order.looked_at = results.current_frame(self._viewer, self._layer)

    def _on_removed(self, event: Any) -> None:
        """Stop when there is nothing left to write to or to compare with."""
        if event.value in (self._layer, self.result):
            self._job.cancel()

    def _let_go(self) -> None:
        self._viewer.dims.events.current_step.disconnect(self._on_slider)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._on_progress = self._on_note = self._on_end = _ignore


def _ignore(*_: object) -> None:
    """Take the place of the callbacks of a run that is over."""
