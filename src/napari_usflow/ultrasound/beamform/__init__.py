"""Delay-and-sum beamforming of channel data.

Plane waves and diverging waves are compounded on a Cartesian grid; of focused beams
each makes a line (see :mod:`~napari_usflow.ultrasound.beamform.scanline`).

Compounding follows the reference beamformer of the PICMUS challenge (Liebgott et al.,
"Plane-wave imaging challenge in medical ultrasound", IEEE IUS 2016). With transmit
angle a and an element at (x_e, z_e), the echo of a pixel (x, z) arrives at

    tau = (z cos a + x sin a + sqrt((x - x_e)^2 + (z - z_e)^2)) / c

and is read at sample (tau - start_time) fs; outside the record it is zero. Elements
within the aperture z / f_number are weighted by a 25 % Tukey window and summed, then
the transmits are summed coherently.

One step is added to it: a receive filter, a Hann window over the spectrum, centred on
the carrier and by default one carrier frequency wide. That is the band which IQ sampled
at its carrier frequency can carry, so that the RF and the IQ file of one acquisition
give the same image; its time side lobes are below -48 dB. The reference beamformer has
none: ``bandwidth=None`` does as it does. On the points of a simulated pulse of 67 %
bandwidth the filter makes the axial width 0.35 mm in place of 0.20 mm.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import numpy as np

from napari_usflow.jobs import CancelToken, Event, result_of, share_of
from napari_usflow.ultrasound.beamform.analytic_records import check_budget
from napari_usflow.ultrasound.beamform.delay_and_sum import TUKEY_FRACTION
from napari_usflow.ultrasound.beamform.frame import (
    F_NUMBER,
    MEMORY_BUDGET_BYTES,
    beamform_frame_events,
    default_grid,
    plane_wave_subset,
)
from napari_usflow.ultrasound.beamform.scanline import line_grid
from napari_usflow.ultrasound.beamform.stack import beamform_stack_events
from napari_usflow.ultrasound.bmode import log_compress
from napari_usflow.ultrasound.data import (
    ChannelData,
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)

__all__ = [
    "F_NUMBER",
    "MEMORY_BUDGET_BYTES",
    "beamform",
    "beamform_events",
    "beamform_frame_events",
    "default_grid",
    "plane_wave_subset",
]


def beamform(
    channel_data: ChannelData,
    *,
    grid: PixelGrid | PolarGrid | None = None,
    angles: int | None = None,
    f_number: float = F_NUMBER,
    bandwidth: float | None = 1.0,
    device: str = "auto",
    on_event: Callable[[Event], object] | None = None,
    token: CancelToken | None = None,
) -> UltrasoundImage:
    """Beamform an acquisition to a log-compressed B-mode image.

    Parameters
    ----------
    channel_data : ChannelData
        RF or IQ.
    grid : PixelGrid or PolarGrid, optional
        Where to form the image; when omitted :func:`default_grid`, and for focused
        beams :func:`~napari_usflow.ultrasound.beamform.scanline.line_grid`.
    angles : int, optional
        Number of plane (or diverging) waves to compound, chosen by
        :func:`plane_wave_subset`; all when omitted. Focused beams are all taken.
    f_number : float
        Depth divided by the width of the receive aperture, > 0.
    bandwidth : float or None
        Width of the receive filter, zero to zero, in carrier frequencies, > 0;
        ``None`` passes everything the record holds.
    device : str
        See :func:`~napari_usflow.device.choose_device`.
    on_event : callable, optional
        Called with each :class:`~napari_usflow.jobs.Event`.
    token : CancelToken, optional
        Cancel it to stop.

    Returns
    -------
    UltrasoundImage
        One frame an acquisition frame, values ``db``: 0 is the maximum of the whole
        stack, so that its frames keep their relative brightness.

    Raises
    ------
    ValueError
        If the parameters do not fit the data, the data hold NaN or infinity, RF is
        sampled at no more than twice its carrier, or the job is larger than
        :data:`MEMORY_BUDGET_BYTES`.
    Cancelled
        When the token was cancelled.

    Examples
    --------
    The echo of a point at a depth of 10 mm, of one plane wave on 32 elements:

    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> elements = np.zeros((32, 3))
    >>> elements[:, 0] = 0.3e-3 * (np.arange(32) - 15.5)
    >>> distance = 10e-3 + np.hypot(elements[:, 0], 10e-3)
    >>> times = np.arange(600) / 20e6 - distance[:, None] / 1540
    >>> pulse = np.cos(2 * np.pi * 5e6 * times) * np.exp(-((times / 2e-7) ** 2))
    >>> data = usf.ChannelData(
    ...     pulse[None, None].astype(np.float32), elements, 20e6, 5e6, 0.0, 1540.0,
    ...     np.zeros(1), [usf.PlaneWave(0.0)],
    ... )
    >>> grid = usf.PixelGrid((41, 21), (0.1, 0.2), (8.0, -2.0))
    >>> image = usf.beamform(data, grid=grid, device="cpu")
    >>> z, x = np.unravel_index(image.data[0].argmax(), grid.shape)
    >>> [round(float(axis[i]), 1) for axis, i in zip(grid.axes_mm(), (z, x))]
    [10.0, 0.0]
    """
    return result_of(
        beamform_events(
            channel_data,
            grid=grid,
            angles=angles,
            f_number=f_number,
            bandwidth=bandwidth,
            device=device,
            token=token,
        ),
        on_event,
    )


def beamform_events(
    channel_data: ChannelData,
    *,
    grid: PixelGrid | PolarGrid | None = None,
    angles: int | None = None,
    f_number: float = F_NUMBER,
    bandwidth: float | None = 1.0,
    device: str = "auto",
    token: CancelToken | None = None,
    memory_budget_bytes: int = MEMORY_BUDGET_BYTES,
) -> Generator[Event, None, UltrasoundImage]:
    """Run :func:`beamform`, reporting progress.

    Parameters
    ----------
    channel_data, grid, angles, f_number, bandwidth, device
        As for :func:`beamform`.
    token : CancelToken, optional
        Looked at every few milliseconds;
        :class:`~napari_usflow.errors.Cancelled` is raised when it is set.
    memory_budget_bytes : int
        Upper bound of what is allocated, the result included. The transmits are taken
        in groups to keep to it, and a stack that would take half of it is made lazily,
        by :func:`~napari_usflow.ultrasound.beamform.stack.beamform_stack_events`.
    """
    if grid is None:
        focused = channel_data.is_focused
        grid = line_grid(channel_data) if focused else default_grid(channel_data)
    n_frames, n_transmits = channel_data.samples.shape[:2]
    if channel_data.is_focused and angles not in (None, n_transmits):
        raise ValueError(
            f"the acquisition holds {n_transmits} focused beams, each a line of the "
            "image; a number of plane waves cannot be chosen"
        )
    transmits = plane_wave_subset(
        n_transmits, n_transmits if angles is None else angles
    )
    n_pixels = n_frames * grid.shape[0] * grid.shape[1]
    frame_bytes = 4 * grid.shape[0] * grid.shape[1]
    if n_frames > 1 and n_frames * frame_bytes > memory_budget_bytes // 2 > frame_bytes:
        return (
            yield from beamform_stack_events(
                channel_data,
                grid=grid,
                angles=angles,
                f_number=f_number,
                bandwidth=bandwidth,
                device=device,
                token=token,
            )
        )
    check_budget("the image", 4 * n_pixels, memory_budget_bytes)
    stack = np.empty((n_frames, *grid.shape), np.float32)
    for frame in range(n_frames):
        events = beamform_frame_events(
            channel_data,
            frame,
            grid=grid,
            transmits=transmits,
            f_number=f_number,
            bandwidth=bandwidth,
            device=device,
            token=token,
            memory_budget_bytes=memory_budget_bytes - stack.nbytes,
        )
        stack[frame] = np.abs((yield from share_of(events, frame, n_frames)))
    peak = float(stack.max())
    for frame in range(n_frames):
        stack[frame] = log_compress(stack[frame], reference=peak or None)
    return UltrasoundImage(
        stack,
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
        },
    )
