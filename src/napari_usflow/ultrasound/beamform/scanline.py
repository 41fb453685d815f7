"""Beamforming of focused beams: each transmit makes one line of the image.

The pixels of a line lie on the axis of its beam. With the distance s(p) that the wave
has travelled to the pixel p (see :mod:`~napari_usflow.ultrasound.transmits`), the echo
that an element at e receives from it is read at

    t = (s(p) + |p - e|) / c

and the elements are summed under the window that plane waves have, its width r /
f-number at the distance r along the beam, an element's place in it its distance from
the beam's axis. Beams that start at one point, or that meet in one behind the array,
make a sector: its image is formed, kept and denoised on a
:class:`~napari_usflow.ultrasound.data.PolarGrid` and scan-converted to be looked at.
Beams straight down make the columns of a PixelGrid.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_usflow.device import choose_device
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.ultrasound.beamform.analytic_records import (
    FineRecords,
    Traces,
    axial_pixels,
    carrier_hz,
    check_budget,
)
from napari_usflow.ultrasound.beamform.delay_and_sum import (
    check_positive,
    receive_apodization,
)
from napari_usflow.ultrasound.data import ChannelData, PixelGrid, PolarGrid
from napari_usflow.ultrasound.transmits import FocusedBeam

if TYPE_CHECKING:
    import torch

__all__ = ["ScanLines", "line_frame_events", "line_grid"]

Floats = npt.NDArray[np.float64]

# First and last depth of a line when none are given; a record ends sooner.
_DEPTH_MM = (5.0, 1000.0)
# Beams whose directions differ by less run in parallel.
_PARALLEL_RAD = 1e-4
# Bytes of a line's pixel while its channels are summed: places, indices, the image.
_PIXEL_BYTES = 96


def line_grid(
    channel_data: ChannelData, *, depth_mm: tuple[float, float] | None = None
) -> PixelGrid | PolarGrid:
    """Return the grid that the beams of an acquisition lie on.

    Parameters
    ----------
    channel_data : ChannelData
        Of focused beams.
    depth_mm : (float, float), optional
        First and last distance from the array along a beam, the last cut to where the
        record ends; ``metadata["depth_mm"]`` when omitted, else 5 mm to that end.

    Returns
    -------
    PixelGrid or PolarGrid
        As many lines as beams, evenly spaced from the outermost beam on one side to
        that on the other; a quarter of a wavelength from sample to sample along them.
        Beams straight down give a PixelGrid, others a PolarGrid whose apex is where
        they meet.

    Raises
    ------
    ValueError
        If the beams neither run straight down nor meet in one point, or if the record
        ends before the first depth.
    """
    data, beams = channel_data, _beams(channel_data)
    shown = data.metadata.get("depth_mm", _DEPTH_MM)
    first_mm, step_mm, samples = axial_pixels(data, depth_mm or shown)
    angle = np.array([beam.angle_rad for beam in beams])
    origin_mm = 1e3 * np.array([beam.origin_m for beam in beams])[:, [2, 0]]
    if np.ptp(angle) < _PARALLEL_RAD:
        if abs(angle[0]) > _PARALLEL_RAD:
            raise ValueError(
                f"the beams are parallel but steered by {np.degrees(angle[0]):.3g} "
                "degrees; beams straight down or beams that meet are expected"
            )
        x = origin_mm[:, 1]
        pitch = float(np.ptp(x)) / (len(x) - 1) if len(x) > 1 else step_mm
        if not pitch > 0:
            raise ValueError(
                f"all {len(x)} beams run along the same line, x = {x[0]:g} mm; "
                "they make no image"
            )
        top = first_mm + float(origin_mm[:, 0].mean())
        return PixelGrid((samples, len(x)), (step_mm, pitch), (top, float(x.min())))
    apex = _apex_mm(origin_mm, angle)
    # How far along its beam each origin lies from there.
    behind = ((origin_mm - apex) * np.stack([np.cos(angle), np.sin(angle)], 1)).sum(1)
    nearest = max(0.0, float(behind.min()))
    if behind.min() < -4 * step_mm:
        raise ValueError(
            f"the beams cross in front of the array, {-behind.min():.3g} mm from it; "
            "a sector opens with depth"
        )
    turn = float(np.ptp(angle)) / (len(angle) - 1)
    grid = PolarGrid(
        (samples, len(angle)),
        (nearest + first_mm, step_mm),
        (float(angle.min()), turn),
        (float(apex[0]), float(apex[1])),
    )
    _check_on_beams(grid, origin_mm, angle, 4 * step_mm)
    return grid


def _beams(channel_data: ChannelData) -> list[FocusedBeam]:
    beams = [beam for beam in channel_data.transmits if isinstance(beam, FocusedBeam)]
    if len(beams) < len(channel_data.transmits):
        raise ValueError("lines are made of focused beams; plane waves are compounded")
    return beams


def _apex_mm(origin_mm: Floats, angle: Floats) -> Floats:
    """Point (axial, lateral) that is nearest to all beams, by least squares."""
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    apex, *_ = np.linalg.lstsq(across, (across * origin_mm).sum(1), rcond=None)
    return np.asarray(apex)


def _check_on_beams(
    grid: PolarGrid, origin_mm: Floats, angle: Floats, wavelength_mm: float
) -> None:
    """Refuse a sector whose lines are not the beams that they are made of.

    Lines a little beside their beams have the right delays all the same.
    """
    radius, lines = grid.axes()
    spacing_mm = float(radius.mean()) * grid.angle_rad[1]
    beams = _nearest(angle, lines)
    for r in radius[[0, -1]]:
        along = np.stack([np.cos(lines), np.sin(lines)], axis=1)
        place = r * along + grid.apex_mm - origin_mm[beams]
        across = np.stack([-np.sin(angle), np.cos(angle)], axis=1)[beams]
        miss = float(np.abs((place * across).sum(1)).max())
        if miss > max(wavelength_mm, 2 * spacing_mm):
            raise ValueError(
                f"the {len(angle)} beams do not meet in one point: some lie "
                f"{miss:.2f} mm beside the lines of the sector that fits them best"
            )


def _nearest(places: Floats, wanted: Floats) -> npt.NDArray[np.intp]:
    return np.asarray(np.abs(places - wanted[:, None]).argmin(1))


@dataclass(frozen=True)
class ScanLines(FineRecords):
    """One acquisition of focused beams seen from the lines of a grid.

    Attributes
    ----------
    transmit : ndarray, shape (lines,)
        Which transmit each line is made of.
    beams : tuple of FocusedBeam
        The beam of each line.
    z_m, x_m : ndarray, shape (lines, samples)
        The pixels.
    along_m, path_m : ndarray, shape (lines, samples)
        Distance of a pixel along its beam; that travelled by the wave to get there.
    f_number : float
        Distance along the beam over receive aperture.
    """

    transmit: npt.NDArray[np.intp]
    beams: tuple[FocusedBeam, ...]
    z_m: Floats
    x_m: Floats
    along_m: Floats
    path_m: Floats
    f_number: float

    @classmethod
    def on_grid(
        cls,
        data: ChannelData,
        grid: PixelGrid | PolarGrid,
        f_number: float,
        bandwidth: float | None,
        device: torch.device,
    ) -> ScanLines:
        """Check the parameters and give each line of a grid its beam.

        Raises
        ------
        ValueError
            If the grid is not of the kind that the beams make (see :func:`line_grid`).
        """
        check_positive(f_number=f_number, bandwidth=bandwidth)
        beams = _beams(data)
        angle = np.array([beam.angle_rad for beam in beams])
        x_0 = 1e3 * np.array([beam.origin_m[0] for beam in beams])
        is_sector = bool(np.ptp(angle) >= _PARALLEL_RAD)
        if isinstance(grid, PolarGrid) != is_sector:
            made = "a sector" if is_sector else "parallel lines"
            raise ValueError(
                f"the beams make {made}, the grid is a {type(grid).__name__}; leave it "
                "out, or give one of the other class and use scan_convert for a picture"
            )
        if isinstance(grid, PolarGrid):
            radius, lines = grid.axes()
            nearest = _nearest(angle, lines)
            z = radius * np.cos(lines)[:, None] + grid.apex_mm[0]
            x = radius * np.sin(lines)[:, None] + grid.apex_mm[1]
        else:
            down, lines = grid.axes_mm()
            nearest = _nearest(x_0, lines)
            z, x = np.broadcast_arrays(down, lines[:, None])
        z, x = 1e-3 * z, 1e-3 * x
        made_of = tuple(beams[number] for number in nearest)
        along, path = np.empty_like(z), np.empty_like(z)
        for line, beam in enumerate(made_of):
            (d_x, _, d_z), (x_start, _, z_start) = beam.direction, beam.origin_m
            along[line] = (x[line] - x_start) * d_x + (z[line] - z_start) * d_z
            path[line] = beam.path_m(z[line], x[line])
        return cls(
            data, bandwidth, device, nearest, made_of, z, x, along, path, f_number
        )

    def lines_at_once(self, budget: int) -> int:
        """Return how many lines fit in a memory budget (bytes), at least one."""
        n_lines, n_samples = self.z_m.shape
        image = n_lines * n_samples * 40
        one = self.bytes_of_transmit() + n_samples * _PIXEL_BYTES
        check_budget("beamforming", image + one, budget)
        return int(min(n_lines, (budget - image) // one))

    def add_channel(
        self, image: torch.Tensor, traces: Traces, channel: int, lines: slice
    ) -> None:
        """Add what one element received from the pixels of some lines.

        Parameters
        ----------
        image : Tensor, shape (2, lines, samples), float32
            Real and imaginary part, changed in place.
        traces : tuple of Tensor
            One trace a line, from :meth:`traces`.
        channel : int
            Index of the element.
        lines : slice
            Which lines they are.
        """
        import torch

        per_m = self.fine_hz / self.data.sound_speed_m_s
        x_e, _, z_e = self.data.element_positions_m[channel]
        # Distance of the element from the axes of the beams.
        aside = [
            abs(
                (x_e - beam.origin_m[0]) * beam.direction[2]
                - (z_e - beam.origin_m[2]) * beam.direction[0]
            )
            for beam in self.beams[lines]
        ]
        # Sample 0 of the traces is the zero put before the record.
        start = 1 - self.data.start_time_s[self.transmit[lines]] * self.fine_hz
        position = self._tensor(per_m * self.path_m[lines] + start[:, None])
        position += per_m * torch.hypot(
            self._tensor(self.z_m[lines] - z_e), self._tensor(self.x_m[lines] - x_e)
        )
        length = traces[0].shape[1]
        position.clamp_(0, length - 2)
        index = position.to(torch.int64)
        fraction = position - index
        weight = receive_apodization(
            self._tensor(np.array(aside))[:, None],
            self._tensor(self.along_m[lines] / self.f_number),
        )
        for target, part in zip(image, traces, strict=True):
            value = torch.lerp(
                part.gather(1, index), part.gather(1, index + 1), fraction
            )
            target += weight * value


def line_frame_events(
    channel_data: ChannelData,
    frame: int = 0,
    *,
    grid: PixelGrid | PolarGrid,
    f_number: float,
    bandwidth: float | None,
    device: str,
    token: CancelToken | None,
    memory_budget_bytes: int,
) -> Generator[Event, None, npt.NDArray[np.complex64]]:
    """Beamform one frame of focused beams to IQ, reporting progress.

    The parameters are those of
    :func:`~napari_usflow.ultrasound.beamform.beamform_frame_events`.

    Returns
    -------
    ndarray, shape (samples, lines), complex64
        Demodulated by the distance there and back along the beam.
    """
    import torch

    where = choose_device(device)
    das = ScanLines.on_grid(channel_data, grid, f_number, bandwidth, where)
    n_channels = channel_data.samples.shape[2]
    n_lines, n_samples = das.z_m.shape
    at_once = das.lines_at_once(memory_budget_bytes)
    iq = np.empty((n_samples, n_lines), np.complex64)
    wave_number = 2 * np.pi * carrier_hz(channel_data) / channel_data.sound_speed_m_s
    groups = [slice(n, min(n + at_once, n_lines)) for n in range(0, n_lines, at_once)]
    for number, lines in enumerate(groups):
        events = das.transmit[lines]
        records = das.read(frame, events, token)
        image = torch.zeros((2, len(events), n_samples), device=where)
        for channel in range(n_channels):
            if token is not None:
                token.raise_if_cancelled()
            with torch.inference_mode():
                traces = das.traces(records[:, channel], events)
                das.add_channel(image, traces, channel, lines)
            done = number * n_channels + channel + 1
            yield Progress(done, len(groups) * n_channels, "beamforming")
        real, imaginary = image.cpu().numpy()
        phase = np.exp(-2j * wave_number * das.along_m[lines]).astype(np.complex64)
        iq[:, lines] = ((real + np.complex64(1j) * imaginary) * phase).T
    return iq
