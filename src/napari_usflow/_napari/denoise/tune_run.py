"""A grid search on the visible frame of a layer; what it found stays with the layer."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from napari_usflow._napari.denoise.run import Request, needs_millimetres, settings_for
from napari_usflow._napari.jobs.modal_wait import called_in_thread
from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.layers import results
from napari_usflow._napari.layers.content import (
    LayerError,
    grey_stack,
    image_from_layer,
    inspect_layer,
    usflow_metadata,
)
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.settings import Settings
from napari_usflow.errors import Cancelled
from napari_usflow.evaluate.criteria import (
    Criterion,
    ReferencePsnr,
    ResidualWhiteness,
    unit_frame,
)
from napari_usflow.evaluate.tune import (
    Cell,
    Tuning,
    setting_text,
    tune_events,
)
from napari_usflow.jobs import CancelToken, Event, Note

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["TuneRun", "tuned_setting"]


def tuned_setting(layer: Image, method: str) -> dict[str, Any] | None:
    """Return the best setting of a method that was found for a layer, if any was."""
    tuned = usflow_metadata(layer).get("tuned", {}).get(method)
    return None if tuned is None else dict(tuned["setting"])


class TuneRun:
    """One grid search of one method on one frame.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Says which frame is seen.
    layer : napari.layers.Image
        What is denoised; its metadata keep the best setting.
    request : Request
        The method, and what goes for every method.
    reference : napari.layers.Image, optional
        The same without speckle; without it the residual decides.
    on_tuning : callable
        Called with the :class:`~napari_usflow.evaluate.tune.Tuning` so far and the
        name of its scores, after every setting.
    on_progress : callable
        Called with the finished share in [0, 1] and a line of text.
    on_note : callable
        Called with sentences for the user.
    on_end : callable
        Called once, with the closing sentence and the error or None.

    Raises
    ------
    LayerError
        When a layer cannot be read, or the two do not fit.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image,
        request: Request,
        *,
        reference: Image | None = None,
        on_tuning: Callable[[Tuning, str], None],
        on_progress: Callable[[float, str], None],
        on_note: Callable[[str], None],
        on_end: Callable[[str, Exception | None], None],
    ) -> None:
        self._layer, self._method = layer, request.method
        self._grid = method_class(request.method).grid
        self._frame = results.current_frame(viewer, layer)
        self._on_tuning, self._on_progress = on_tuning, on_progress
        self._on_note, self._on_end = on_note, on_end
        self._cells: list[Cell] = []
        content = inspect_layer(layer, values=request.values)
        settings = self._settings = settings_for(content, request)
        image = image_from_layer(
            layer,
            pixel_size_mm=request.pixel_size_mm,
            values=request.values,
            needs_millimetres=needs_millimetres(request),
            content=content,
        )
        self._reference = "" if reference is None else reference.name
        criterion = self._criterion = self._criterion_for(reference)

        def tune(token: CancelToken) -> Generator[Event, None, Any]:
            return tune_events(
                image,
                request.method,
                criterion,
                settings=settings,
                frames=[self._frame],
                # One core is left to the window.
                workers=max(1, (os.cpu_count() or 2) - 1),
                token=token,
            )

        self._job = Job(tune, on_event=self._receive, on_end=self._finish)

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self._job.running

    def start(self) -> None:
        """Begin; :class:`~napari_usflow.errors.JobError` when another job runs."""
        self._job.start()

    def cancel(self) -> None:
        """Stop, and keep the settings that were tried."""
        self._job.cancel()

    def abandon(self) -> None:
        """Stop without a word, because the window is closing."""
        self._job.abandon()
        self._on_tuning = self._on_progress = self._on_note = self._on_end = _ignore

    def _criterion_for(self, reference: Image | None) -> Criterion:
        """Read the reference's frame, if there is one; it must show the same."""
        if reference is None:
            return ResidualWhiteness()
        here, there = (grey_stack(layer).shape for layer in (self._layer, reference))
        if here[1:] != there[1:] or there[0] not in (1, here[0]):
            raise LayerError(
                f"the reference {reference.name!r} has {_size(there)} and layer "
                f"{self._layer.name!r} has {_size(here)}; choose a layer of the same "
                "frames, or of one frame of that size"
            )
        content = inspect_layer(reference)
        clean = image_from_layer(reference, needs_millimetres=False, content=content)
        own_range = Settings(
            dynamic_range_db=self._settings.dynamic_range_db,
            value_range=content.value_range,
        )
        index = self._frame if there[0] > 1 else 0
        return ReferencePsnr(
            called_in_thread(lambda: unit_frame(clean, index, own_range))
        )

    def _receive(self, event: Event) -> None:
        if isinstance(event, Note):
            self._on_note(event.text)
        elif isinstance(event, Cell):
            self._cells.append(event)
            tuning = self._tuning()
            self._on_tuning(tuning, self._criterion.label)
            done, total = len(self._cells), tuning.size
            self._on_progress(done / total, f"{done}/{total} settings")

    def _tuning(self) -> Tuning:
        return Tuning(self._method, self._grid, tuple(self._cells))

    def _finish(self, error: Exception | None) -> None:
        tuning, on_end = self._tuning(), self._on_end
        tried = f"{len(tuning.cells)} of {tuning.size} settings"
        stopped = error is None or isinstance(error, Cancelled)
        if tuning.scored:
            best = self._keep(tuning)
            score = self._criterion.text(best.score)
            winner = f"{setting_text(best.setting)} ({score})"
        if not stopped:
            sentence = f"Failed after {tried}: {error}"
        elif not tuning.cells:
            sentence = "Cancelled before the first setting had been tried."
        elif not tuning.scored:
            sentence = f"None of {tried} removes anything: there is nothing to tune."
        elif tuning.complete:
            sentence = f"Best of {tuning.size} settings: {winner}."
            edge = _at_the_edge(tuning)
            if edge:
                sentence += (
                    f" It lies at the edge of the grid in {edge}; a value beyond may "
                    "be better."
                )
        else:
            sentence = f"Cancelled after {tried}; the best of them: {winner}."
        self.abandon()
        on_end(sentence, None if stopped else error)

    def _keep(self, tuning: Tuning) -> Cell:
        """Note the best setting on the layer."""
        best = tuning.best
        known = usflow_metadata(self._layer)
        note = {
            "setting": dict(best.setting),
            "score": best.score,
            "criterion": self._criterion.label,
            "reference": self._reference,
            "frame": self._frame,
            "tried": len(tuning.cells),
            "settings": tuning.size,
        }
        tuned = {**known.get("tuned", {}), self._method: note}
        self._layer.metadata["usflow"] = {**known, "tuned": tuned}
        return best


def _at_the_edge(tuning: Tuning) -> str:
    """Name the parameters whose best value is the first or last that was tried."""
    best = tuning.best.setting
    names = []
    for name, values in tuning.grid.items():
        numbers = [value for value in values if isinstance(value, int | float)]
        # Of two values every one is at an edge; a choice of kinds has no beyond.
        if len(numbers) < 3 or len(numbers) < len(values):
            continue
        if best[name] in (min(numbers), max(numbers)):
            names.append(name.replace("_", " "))
    return " and ".join(names)


def _size(shape: tuple[int, ...]) -> str:
    return "{} frame(s) of {} × {} px".format(*shape)


def _ignore(*_: object) -> None:
    """Take the place of the callbacks of a run that is over."""
