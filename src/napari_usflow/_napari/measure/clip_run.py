"""Measuring every frame of a clip, in a thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.measure.measured_image import MeasuredImage
from napari_usflow.errors import Cancelled
from napari_usflow.evaluate.measure import Measurement, measure_frame
from napari_usflow.evaluate.regions import Region
from napari_usflow.jobs import CancelToken, Event

__all__ = ["ClipRun", "FrameMeasured"]


@dataclass(frozen=True)
class FrameMeasured(Event):
    """The numbers of a frame of one image are known."""

    image: int
    frame: int
    rows: list[Measurement]


class ClipRun:
    """Measures the frames of images in regions.

    Parameters
    ----------
    images : sequence of MeasuredImage
        What is measured.
    regions : sequence of sequences of Region
        Of each image, as they are now.
    on_frame : callable
        Called with each :class:`FrameMeasured`.
    on_end : callable
        Called once with a sentence and the error or None.
    """

    def __init__(
        self,
        images: Sequence[MeasuredImage],
        regions: Sequence[Sequence[Region]],
        *,
        on_frame: Callable[[FrameMeasured], None],
        on_end: Callable[[str, Exception | None], None],
    ) -> None:
        self._on_frame, self._on_end = on_frame, on_end
        self.total = max(image.frames for image in images)
        self.done = 0

        def events(token: CancelToken) -> Generator[Event, None, None]:
            for frame in range(self.total):
                for number, image in enumerate(images):
                    token.raise_if_cancelled()
                    if frame < image.frames:
                        shown = image.read_db(frame)
                        rows = measure_frame(
                            shown, image.grid, regions[number], frame=frame
                        )
                        yield FrameMeasured(number, frame, rows)

        self._job = Job(events, on_event=self._receive, on_end=self._finish)

    def start(self) -> None:
        """Begin; :class:`~napari_usflow.errors.JobError` when another job runs."""
        self._job.start()

    def cancel(self) -> None:
        """Stop, and keep what is measured."""
        self._job.cancel()

    def abandon(self) -> None:
        """Stop without a word, because the window is closing."""
        self._on_frame = self._on_end = _ignore
        self._job.abandon()

    def _receive(self, event: Event) -> None:
        if isinstance(event, FrameMeasured):
            self.done = max(self.done, event.frame + 1)
            self._on_frame(event)

    def _finish(self, error: Exception | None) -> None:
        stopped = isinstance(error, Cancelled)
        sentence = f"{self.done} of {self.total} frames measured."
        if error is not None and not stopped:
            sentence = f"{sentence} {error}"
        self._on_end(sentence, None if stopped else error)


def _ignore(*_: object) -> None:
    """Take the place of the callbacks once nobody listens."""
