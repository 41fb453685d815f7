"""One frame of an acquisition: which transmits, on which grid, summed to IQ."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import numpy as np
import numpy.typing as npt

from napari_usflow.device import choose_device
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.ultrasound.beamform.analytic_records import (
    axial_pixels,
    carrier_hz,
)
from napari_usflow.ultrasound.beamform.delay_and_sum import DelayAndSum
from napari_usflow.ultrasound.beamform.scanline import line_frame_events
from napari_usflow.ultrasound.data import (
    ChannelData,
    PixelGrid,
    PolarGrid,
    pixel_count,
)

__all__ = [
    "F_NUMBER",
    "MEMORY_BUDGET_BYTES",
    "beamform_frame_events",
    "default_grid",
    "plane_wave_subset",
]

F_NUMBER = 1.75
"""Depth divided by the width of the receive aperture, where none is chosen."""

MEMORY_BUDGET_BYTES = 512 * 2**20
"""Memory budget of a beamforming, its result included."""


def plane_wave_subset(n_total: int, count: int) -> npt.NDArray[np.intp]:
    """Choose which plane waves to compound, by the rule of the PICMUS challenge.

    Parameters
    ----------
    n_total : int
        Number of plane waves in the acquisition, ordered by angle.
    count : int
        Number to compound, 1 to ``n_total``.

    Returns
    -------
    ndarray, shape (count,)
        Indices from 0. One is the middle wave; more are
        ``round(linspace(1, n_total, count)) - 1``, halves rounded up.

    Raises
    ------
    ValueError
        If there are not so many.
    """
    if not 1 <= count <= n_total:
        raise ValueError(
            f"{count} plane waves asked for, the acquisition holds {n_total}; "
            f"choose 1 to {n_total}"
        )
    if count == 1:
        return np.array([n_total // 2], dtype=np.intp)
    return np.floor(np.linspace(1, n_total, count) + 0.5).astype(np.intp) - 1


def default_grid(
    channel_data: ChannelData, *, depth_mm: tuple[float, float] | None = None
) -> PixelGrid:
    """Make the grid used for plane waves when none is given: that of PICMUS.

    With the wavelength l = c / carrier: lateral pixels every l/3 from the first
    element to the last, axial ones every l/4 over ``depth_mm``, or to the depth whose
    straight echo ends the record if that is less. The depths are those of
    ``metadata["depth_mm"]`` where a reader knows them, else 5 to 50 mm.

    Raises
    ------
    ValueError
        If the carrier is unknown or the record ends above 5 mm.
    """
    shown = channel_data.metadata.get("depth_mm", (5.0, 50.0))
    first_mm, dz, n_z = axial_pixels(channel_data, depth_mm or shown)
    x_mm = 1e3 * channel_data.element_positions_m[:, 0]
    dx = 4 * dz / 3
    n_x = pixel_count(float(x_mm.max() - x_mm.min()), dx)
    return PixelGrid((n_z, n_x), (dz, dx), (first_mm, float(x_mm.min())))


def beamform_frame_events(
    channel_data: ChannelData,
    frame: int = 0,
    *,
    grid: PixelGrid | PolarGrid,
    transmits: Sequence[int] | npt.NDArray[np.intp] | None = None,
    f_number: float = F_NUMBER,
    bandwidth: float | None = 1.0,
    device: str = "auto",
    token: CancelToken | None = None,
    memory_budget_bytes: int = MEMORY_BUDGET_BYTES,
) -> Generator[Event, None, npt.NDArray[np.complex64]]:
    """Beamform one frame to IQ, reporting progress after each element.

    Parameters
    ----------
    channel_data, grid, f_number, bandwidth, device, token, memory_budget_bytes
        As for :func:`~napari_usflow.ultrasound.beamform.beamform_events`.
    frame : int
        Index of the frame.
    transmits : sequence of int, optional
        Indices of the transmits that are summed; all when omitted, and always all
        focused beams.

    Returns
    -------
    ndarray, shape (Z, X), complex64
        Coherent sum, demodulated by the two-way depth: multiplied by
        exp(-2 pi i f 2 z / c), f the carrier. Its modulus is the envelope.
    """
    if channel_data.is_focused:
        return (
            yield from line_frame_events(
                channel_data,
                frame,
                grid=grid,
                f_number=f_number,
                bandwidth=bandwidth,
                device=device,
                token=token,
                memory_budget_bytes=memory_budget_bytes,
            )
        )
    import torch

    if isinstance(grid, PolarGrid):
        raise ValueError(
            "plane waves are compounded on a PixelGrid, a PolarGrid was given"
        )
    _, n_transmits, n_channels, _ = channel_data.samples.shape
    indices = np.arange(n_transmits) if transmits is None else np.asarray(transmits)
    if indices.size == 0:
        raise ValueError("no transmit was chosen; choose at least one")
    where = choose_device(device)
    das = DelayAndSum.on_grid(channel_data, grid, f_number, bandwidth, where)
    at_once = das.transmits_at_once(indices.size, memory_budget_bytes)
    groups = np.array_split(indices, math.ceil(indices.size / at_once))
    image = torch.zeros((2, *grid.shape), device=where)
    for number, group in enumerate(groups):
        records = das.read(frame, group, token)
        outgoing = das.outgoing(group)
        for channel in range(n_channels):
            with torch.inference_mode():
                traces = das.traces(records[:, channel], group)
                das.add_channel(image, traces, channel, outgoing, token)
            done = number * n_channels + channel + 1
            yield Progress(done, len(groups) * n_channels, "beamforming")
    real, imaginary = image.cpu().numpy()
    wave_number = 2 * np.pi * carrier_hz(channel_data) / channel_data.sound_speed_m_s
    phase = np.exp(-2j * wave_number * das.z_m).astype(np.complex64)
    iq: npt.NDArray[np.complex64] = (real + np.complex64(1j) * imaginary) * phase[
        :, None
    ]
    return iq
