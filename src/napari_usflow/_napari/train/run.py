"""A training run in the window: its thread, its events, its closing sentence.

It holds no widget; whoever shows it passes callbacks. The run is written by
:func:`napari_usflow.training.flow.train.train_prior_events`, or
:func:`napari_usflow.training.network.train.train_network_events`, as the command line
does it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_usflow._napari.jobs.progress import duration_text, figure_text
from napari_usflow._napari.jobs.worker import Job, one_core_left_to_the_window
from napari_usflow._napari.train.mri_layers import LayerVolume
from napari_usflow.errors import Cancelled, size_text
from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.training.events import CheckpointWritten, Estimated, TrainStep

if TYPE_CHECKING:
    from napari_usflow.training.run_config import RunConfig

__all__ = ["StepsTaken", "TrainRequest", "TrainRun", "estimate_text", "step_text"]

_BUNDLE_S = 0.1


@dataclass(frozen=True)
class TrainRequest:
    """Everything a user chose before pressing Start.

    Attributes
    ----------
    data : tuple of Path or LayerVolume
        Files and folders, or layers.
    out : Path
        The run folder.
    config : RunConfig
        It decides whether a prior or a network is trained.
    resume : bool or Path
        True for the newest checkpoint of the folder, or the state of one of them.
    start : str
        The shipped prior or network, or the file, whose weights a new run begins with;
        empty for random ones.
    validation : Path, optional
        Held-out files.
    minutes : float, optional
        Stop (and save) after so many.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    """

    data: tuple[Path | LayerVolume, ...]
    out: Path
    config: RunConfig
    resume: bool | Path = False
    start: str = ""
    validation: Path | None = None
    minutes: float | None = None
    device: str = "auto"


@dataclass(frozen=True)
class StepsTaken(Event):
    """The steps since the last report; a GPU takes more than can be drawn."""

    steps: tuple[TrainStep, ...]


def _train(
    request: TrainRequest, token: CancelToken
) -> Generator[Event, None, Path | None]:
    """Read the layers and train; all of this in the job's thread."""
    yield Note("Loading PyTorch …")
    train = _trainer(request.config)
    data: list[Any] = []
    for entry in request.data:
        token.raise_if_cancelled()
        data.append(entry.read() if isinstance(entry, LayerVolume) else entry)
    events = train(
        data,
        out=request.out,
        config=request.config,
        resume=request.resume,
        start=request.start or None,
        validation=request.validation,
        minutes=request.minutes,
        device=request.device,
        token=token,
    )
    with one_core_left_to_the_window():
        return (yield from _bundled(events, token))


def _trainer(config: RunConfig) -> Callable[..., Generator[Event, None, Path]]:
    if config.kind == "network":
        from napari_usflow.training.network.train import train_network_events

        return train_network_events
    from napari_usflow.training.flow.train import train_prior_events

    return train_prior_events


def _bundled(
    events: Generator[Event, None, Path], token: CancelToken
) -> Generator[Event, None, Path | None]:
    """Bundle steps into ten reports a second, in order with all other events.

    Whoever stops listening does not cost the run: it is then saved all the same.
    """
    held: list[TrainStep] = []
    due = 0.0
    try:
        while True:
            try:
                event: Event | None = next(events)
            except StopIteration as stop:
                if held:
                    yield StepsTaken(tuple(held))
                written: Path | None = stop.value
                return written
            if isinstance(event, TrainStep):
                held.append(event)
                if time.monotonic() < due:
                    continue
                due = time.monotonic() + _BUNDLE_S
                event = None
            if held:
                steps, held = tuple(held), []
                yield StepsTaken(steps)
            if event is not None:
                yield event
    except GeneratorExit:
        token.cancel()
        for _ in events:
            pass
        raise


def step_text(step: TrainStep) -> str:
    """Format progress, speed and time left of a run."""
    return (
        f"step {step.step}/{step.steps} · epoch {figure_text(step.epoch)} · "
        f"{figure_text(step.patches_per_second)} patches/s · "
        f"{duration_text(step.seconds_left)} left"
    )


def estimate_text(estimate: Estimated) -> str:
    """Format the estimated time and memory of a run."""
    weights = estimate.parameters
    unit, size = ("M", 1e6) if weights >= 1e6 else ("k", 1e3)
    return (
        f"Estimate: {duration_text(estimate.seconds)} at "
        f"{figure_text(estimate.patches_per_second)} patches/s · "
        f"{figure_text(weights / size)} {unit} weights · "
        f"{size_text(estimate.memory_bytes)}"
    )


class TrainRun:
    """One training run, from Start to its end.

    Parameters
    ----------
    request : TrainRequest
        What is to be done.
    on_event : callable
        Called in the window's thread with each event; steps come as
        :class:`StepsTaken`.
    on_end : callable
        Called once, with the closing sentence and the error or None.
    """

    def __init__(
        self,
        request: TrainRequest,
        *,
        on_event: Callable[[Event], None],
        on_end: Callable[[str, Exception | None], None],
    ) -> None:
        self._on_event = on_event
        self._on_end = on_end
        self._began = time.monotonic()
        self._out = request.out
        self._last: TrainStep | None = None
        self._saved: CheckpointWritten | None = None
        self.stopping = False
        # It saves before it ends, however long that takes.
        self._job = Job(
            lambda token: _train(request, token),
            on_event=self._receive,
            on_end=self._finish,
            grace_s=None,
        )

    def start(self) -> None:
        """Begin; :class:`~napari_usflow.errors.JobError` when another job runs."""
        self._job.start()

    def stop(self) -> None:
        """Save and end."""
        self.stopping = True
        self._job.cancel()

    def abandon(self) -> None:
        """Save and end without a word, because the window is closing."""
        self._job.abandon()
        self._on_event = self._on_end = _ignore

    def _receive(self, event: Event) -> None:
        if isinstance(event, StepsTaken):
            self._last = event.steps[-1]
        elif isinstance(event, CheckpointWritten):
            self._saved = event
        self._on_event(event)

    def _finish(self, error: Exception | None) -> None:
        cancelled = isinstance(error, Cancelled)
        sentence = self._closing_sentence(None if cancelled else error)
        on_end = self._on_end
        self._on_event = self._on_end = _ignore
        on_end(sentence, None if cancelled else error)

    def _closing_sentence(self, error: Exception | None) -> str:
        saved = (
            "Nothing was saved yet"
            if self._saved is None
            else f"Saved at step {self._saved.step} in {self._out}"
        )
        if error is not None:
            return f"Failed: {error}. {saved}."
        if self._last is None:
            return f"Stopped before the first step. {saved}."
        took = duration_text(time.monotonic() - self._began)
        whole = self._last.step >= self._last.steps
        word = "Done" if whole else "Stopped"
        return f"{word} after {took}. {saved}."


def _ignore(*_: object) -> None:
    """Take the place of the callbacks of a run that is over."""
