"""Denoising a layer into a new layer, live: what the widget and the menu share.

A run makes the image, starts the job, adds the result when the first frame is done
and writes every further frame into it. It holds no widget; whoever shows it passes
callbacks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from napari_usflow._napari import results
from napari_usflow._napari.layers import image_from_layer, inspect_layer
from napari_usflow._napari.worker import Job, one_core_left_to_the_window
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note, Progress

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow.denoise.pipeline import Settings
    from napari_usflow.ultrasound.data import UltrasoundImage, Values

__all__ = ["LayerRun", "Request", "duration_text", "progress_text"]


@dataclass(frozen=True)
class Request:
    """Everything a user chose before pressing Run.

    Attributes
    ----------
    method : str
        Name of a registered method.
    params : mapping
        Its own parameters, where they are not the defaults.
    settings : Settings, optional
        What goes for every method; the defaults when omitted.
    prior, device : str
        See :func:`napari_usflow.denoise.create`; an empty prior is the shipped one.
    pixel_size_mm : (float, float), optional
        For layers that do not know it.
    values : {"db", "envelope", "display"}, optional
        What the layer's numbers are, when the user says so.
    only_current : bool
        Denoise the visible frame and leave the others as they are.
    link_contrast : bool
        Let input and result share their contrast limits.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings | None = None
    prior: str = ""
    device: str = "auto"
    pixel_size_mm: tuple[float, float] | None = None
    values: Values | None = None
    only_current: bool = False
    link_contrast: bool = False


@dataclass(frozen=True)
class _Ready(Event):
    """The denoiser is made; this is what it says of itself."""

    made_by: dict[str, Any]


def _denoise(
    image: UltrasoundImage,
    request: Request,
    settings: Settings,
    order: list[int],
    token: CancelToken,
) -> Generator[Event, None, None]:
    """Load the method and run it; all of this in the job's thread."""
    from napari_usflow.denoise import create
    from napari_usflow.denoise.pipeline import denoise_events

    yield Note("Loading the method …")
    denoiser = create(
        request.method,
        prior=request.prior or None,
        device=request.device,
        **request.params,
    )
    token.raise_if_cancelled()
    yield _Ready(denoiser.provenance())
    with one_core_left_to_the_window():
        yield from denoise_events(image, denoiser, settings, order=order, token=token)


def progress_text(done: int, fraction: float, total: int, elapsed_s: float) -> str:
    """Say how far a stack is, and how long the rest will take.

    Parameters
    ----------
    done, total : int
        Finished frames, of all.
    fraction : float
        Part of the frame in work that is done, in [0, 1].
    elapsed_s : float
        Time since the first frame was begun.
    """
    worked = done + fraction
    unit = "frame" if total == 1 else "frames"
    text = f"{done}/{total} {unit}"
    if worked <= 0 or elapsed_s <= 0:
        return text
    each = elapsed_s / worked
    return (
        f"{text} · {each:.2g} s/frame · {duration_text((total - worked) * each)} left"
    )


def duration_text(seconds: float) -> str:
    """Write a time in at most two units."""
    whole = round(max(seconds, 0.0))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {rest:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


class LayerRun:
    """One denoising of one layer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the result.
    layer : napari.layers.Image
        The input; it is not changed.
    request : Request
        What is to be done.
    on_progress : callable
        Called with the finished share in [0, 1] and a line of text.
    on_note : callable
        Called with sentences for the user.
    on_end : callable
        Called once, with the closing sentence and the error or None.

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
        on_progress: Callable[[float, str], None],
        on_note: Callable[[str], None],
        on_end: Callable[[str, Exception | None], None],
    ) -> None:
        from napari_usflow.denoise.pipeline import Settings

        self._viewer = viewer
        self._layer = layer
        self._request = request
        self._on_progress = on_progress
        self._on_note = on_note
        self._on_end = on_end
        self.result: Image | None = None

        content = inspect_layer(layer, values=request.values)
        image = image_from_layer(
            layer, pixel_size_mm=request.pixel_size_mm, values=request.values
        )
        self._settings = request.settings or Settings()
        if content.value_range is not None and self._settings.value_range is None:
            self._settings = _with_range(self._settings, content.value_range)
        self._content = content
        self._stack = results.PartialStack(
            layer.data[0] if layer.multiscale else layer.data
        )
        current = results.current_frame(viewer, layer)
        order = results.frame_order(current, len(self._stack.done))
        self._total = 1 if request.only_current else len(order)
        order = order[: self._total]
        self._frames: dict[int, dict[str, Any]] = {}
        self._made_by: dict[str, Any] = {"method": request.method}
        self._began = time.monotonic()
        settings = self._settings
        self._job = Job(
            lambda token: _denoise(image, request, settings, order, token),
            on_event=self._receive,
            on_end=self._finish,
        )

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self._job.running

    @property
    def finished_frames(self) -> int:
        """How many frames are done."""
        return len(self._frames)

    def start(self) -> None:
        """Begin; :class:`~napari_usflow.errors.JobError` when another one runs."""
        self._job.start()
        self._viewer.layers.events.removed.connect(self._on_removed)

    def cancel(self) -> None:
        """Stop, and keep the finished frames."""
        self._job.cancel()

    def abandon(self) -> None:
        """Stop without a word, because the window is closing."""
        self._job.abandon()
        self._let_go()

    def _receive(self, event: Event) -> None:
        if isinstance(event, _Ready):
            self._made_by = event.made_by
            self._began = time.monotonic()
        elif isinstance(event, Note):
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
        result = results.add_result_layer(
            self._viewer,
            self._layer,
            self._stack,
            name=results.denoised_name(
                self._layer, self._request.method, sigma_db=self._settings.sigma_db
            ),
            note=self._note(),
        )
        if self._request.link_contrast:
            results.link_contrast(self._viewer, self._layer, result)
        return result

    def _note(self) -> dict[str, Any]:
        note = results.provenance(self._layer, self._made_by, asdict(self._settings))
        note["values"] = self._content.values
        note["value_range"] = self._content.value_range
        note["frames"] = dict(sorted(self._frames.items()))
        return note

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
        kept = ", the other frames show the input" if 0 < done < total else ""
        if isinstance(error, Cancelled):
            return f"Cancelled after {frames}{kept}."
        if error is not None:
            return f"Failed after {frames}{kept}: {error}"
        elapsed = time.monotonic() - self._began
        return f"Done: {frames} in {elapsed:.3g} s{self._noise_found()}."

    def _noise_found(self) -> str:
        """Say what noise level was used, where it was estimated."""
        for info in self._frames.values():
            if info.get("sigma_estimated"):
                return f", noise level {info['sigma_db']:.1f} dB (estimated)"
        return ""

    def _on_removed(self, event: Any) -> None:
        """Stop when there is nothing left to write to or to compare with."""
        if event.value in (self._layer, self.result):
            self._job.cancel()

    def _let_go(self) -> None:
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._on_progress = self._on_note = self._on_end = _ignore


def _with_range(settings: Settings, value_range: tuple[float, float]) -> Settings:
    from dataclasses import replace

    return replace(settings, value_range=value_range)


def _ignore(*_: object) -> None:
    """Take the place of the callbacks of a run that is over."""
