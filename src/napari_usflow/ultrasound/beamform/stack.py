"""Stacks of channel data whose frames are beamformed when they are looked at."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, result_of
from napari_usflow.ultrasound.beamform.delay_and_sum import TUKEY_FRACTION
from napari_usflow.ultrasound.beamform.frame import (
    F_NUMBER,
    beamform_frame_events,
    default_grid,
    plane_wave_subset,
)
from napari_usflow.ultrasound.beamform.scanline import line_grid
from napari_usflow.ultrasound.bmode import log_compress
from napari_usflow.ultrasound.data import (
    ChannelData,
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)
from napari_usflow.ultrasound.lazy_frames import lazy_stack

__all__ = ["beamform_stack_events"]


def beamform_stack_events(
    channel_data: ChannelData,
    *,
    grid: PixelGrid | PolarGrid | None = None,
    angles: int | None = None,
    f_number: float = F_NUMBER,
    bandwidth: float | None = 1.0,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, UltrasoundImage]:
    """Beamform the first frame now and each other one on demand.

    However many frames there are, opening takes the time of one, and no more of them
    are in memory than are looked at.

    Parameters
    ----------
    channel_data, grid, angles, f_number, bandwidth, device, token
        As for :func:`~napari_usflow.ultrasound.beamform.beamform_events`; ``token``
        stops the first frame.

    Returns
    -------
    UltrasoundImage
        dask, one chunk a frame, values ``db``: 0 is the maximum of the *first* frame,
        as the others are not known yet (``metadata["reference_frame"]``); a brighter
        frame goes above it.
    """
    if grid is None:
        focused = channel_data.is_focused
        grid = line_grid(channel_data) if focused else default_grid(channel_data)
    n_frames, n_transmits = channel_data.samples.shape[:2]
    transmits = plane_wave_subset(
        n_transmits, n_transmits if angles is None else angles
    )
    how: dict[str, Any] = {
        "grid": grid,
        "transmits": transmits,
        "f_number": f_number,
        "bandwidth": bandwidth,
        "device": device,
    }
    events = beamform_frame_events(channel_data, 0, token=token, **how)
    first = np.abs((yield from events))
    frames = _Frames(channel_data, how, first, float(first.max()) or None)
    data: Any = frames(0)[None]
    if n_frames > 1:
        data = lazy_stack(frames, (n_frames, *grid.shape))
    return UltrasoundImage(
        data,
        "db",
        grid,
        frame_interval_s=channel_data.frame_interval_s,
        metadata={
            **channel_data.metadata,
            "lines" if channel_data.is_focused else "plane_waves": len(transmits),
            "f_number": f_number,
            "bandwidth": bandwidth,
            "receive_apodization": f"Tukey {TUKEY_FRACTION:.0%}",
            "sound_speed_m_s": channel_data.sound_speed_m_s,
            "reference_frame": 0,
        },
    )


class _Frames:
    """Beamforms one frame at a time, whichever threads ask."""

    def __init__(
        self,
        channel_data: ChannelData,
        how: Mapping[str, Any],
        first: npt.NDArray[np.float32],
        reference: float | None,
    ) -> None:
        self._channel_data = channel_data
        self._how = how
        self._first = first
        self._reference = reference
        self._lock = threading.Lock()

    def __call__(self, index: int) -> npt.NDArray[np.float32]:
        """Return a frame in decibels."""
        if index == 0:
            envelope = self._first
        else:
            # One alone uses every core, and as much memory as is allowed.
            with self._lock:
                events = beamform_frame_events(self._channel_data, index, **self._how)
                envelope = np.abs(result_of(events))
        return log_compress(envelope, reference=self._reference)

    def __reduce__(self) -> tuple[Any, ...]:
        made_of = (self._channel_data, self._how, self._first, self._reference)
        return _Frames, made_of
