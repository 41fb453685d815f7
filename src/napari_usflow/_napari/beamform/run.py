"""Beamforming a file of channel data: what is asked for, and the run that does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_usflow._napari.beamform.layers import layers_of
from napari_usflow._napari.beamform.on_demand import FrameFollower, OnDemandStack
from napari_usflow._napari.jobs.progress import elapsed_text
from napari_usflow._napari.jobs.worker import (
    EventSource,
    Job,
    one_core_left_to_the_window,
)
from napari_usflow.errors import Cancelled
from napari_usflow.io import image_events, open_file
from napari_usflow.io.opened import Opened
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.ultrasound.beamform.params import BeamformParams
from napari_usflow.ultrasound.data import ChannelData, UltrasoundImage

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = [
    "AcquisitionRequest",
    "AcquisitionRun",
    "Beamformed",
    "beamforming",
    "describe_acquisition",
    "open_events",
]


@dataclass(frozen=True)
class AcquisitionRequest:
    """Request for a beamforming.

    Attributes
    ----------
    opened : Opened
        A file of channel data.
    params : BeamformParams
        How.
    device : str
        See :func:`~napari_usflow.device.choose_device`.
    """

    opened: Opened = field(repr=False, compare=False)
    params: BeamformParams
    device: str = "auto"


@dataclass(frozen=True)
class Beamformed(Event):
    """The image is there, or of a stack its first frame."""

    image: UltrasoundImage


def open_events(
    path: Path, names: Mapping[str, str] | None
) -> Generator[Event, None, Opened]:
    """Open a file of channel data; of some formats that means to read all of it."""
    yield Progress(0, 1, "opening")
    return open_file(path, raw=not (names or {}).get("image"), names=names)


def beamforming(request: AcquisitionRequest) -> EventSource:
    """Return the job that beamforms; its last event is :class:`Beamformed`."""

    def events(token: CancelToken) -> Generator[Event, None, None]:
        with one_core_left_to_the_window():
            (image,) = yield from image_events(
                request.opened,
                request.params,
                on_demand=True,
                device=request.device,
                token=token,
            )
        metadata = {**image.metadata, "beamformed": asdict(request.params)}
        yield Beamformed(image.with_data(image.data, metadata=metadata))

    return events


class AcquisitionRun:
    """Beamforms an acquisition into a new layer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the layer, or both layers of a sector.
    request : AcquisitionRequest
        What is to be done.
    on_progress : callable
        Called with the finished share in [0, 1] and a line of text.
    on_end : callable
        Called once, with the closing sentence and the error or None.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        request: AcquisitionRequest,
        *,
        on_progress: Callable[[float, str], None],
        on_end: Callable[[str, Exception | None], None],
    ) -> None:
        self._viewer, self._request = viewer, request
        self._on_progress, self._on_end = on_progress, on_end
        self._began = time.monotonic()
        self.layers: list[Image] = []
        self._job = Job(
            beamforming(request), on_event=self._receive, on_end=self._finish
        )

    def start(self) -> None:
        """Begin; :class:`~napari_usflow.errors.JobError` when another one runs."""
        self._job.start()

    def cancel(self) -> None:
        """Stop; no layer is added."""
        self._job.cancel()

    def abandon(self) -> None:
        """Stop without a word, because the window is closing."""
        self._job.abandon()

    def _receive(self, event: Event) -> None:
        if isinstance(event, Progress):
            share = min(event.done / max(event.total, 1), 1.0)
            self._on_progress(share, f"{share:.0%} of a frame")
        elif isinstance(event, Beamformed):
            self._add(event.image)

    def _add(self, image: UltrasoundImage) -> None:
        params = self._request.params
        for data, kwargs, _ in layers_of(
            image, dynamic_range_db=params.dynamic_range_db
        ):
            stack = data if isinstance(data, OnDemandStack) else None
            if stack is not None:
                stack.followed = True  # from the moment napari first draws it
            layer = self._viewer.add_image(data, **kwargs)
            self.layers.append(layer)
            if stack is not None:
                FrameFollower(self._viewer, layer)
        if len(self.layers) > 1:
            self._viewer.layers.link_layers(self.layers, ("contrast_limits", "gamma"))

    def _finish(self, error: Exception | None) -> None:
        if isinstance(error, Cancelled):
            self._on_end("Cancelled; no layer was added.", None)
        elif error is not None:
            self._on_end(f"Failed: {error}", error)
        else:
            elapsed = time.monotonic() - self._began
            frames = self.layers[0].data.shape[0] if self.layers[0].ndim > 2 else 1
            rest = "; other frames follow the slider" if frames > 1 else ""
            self._on_end(f"Done in {elapsed_text(elapsed)}{rest}.", None)


def describe_acquisition(data: ChannelData) -> str:
    """Return one line on what a file holds."""
    frames, transmits, channels, samples = (int(n) for n in data.samples.shape)
    kind = "focused beam" if data.is_focused else "transmit"
    return (
        f"{'IQ' if data.is_iq else 'RF'}: {_counted(frames, 'frame')} of "
        f"{_counted(transmits, kind)}, {channels} channels, {samples} samples at "
        f"{data.sampling_frequency_hz / 1e6:.4g} MHz, carrier "
        f"{data.center_frequency_hz / 1e6:.4g} MHz"
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("s" if count > 1 else "")
