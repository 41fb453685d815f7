"""The arithmetic of delay-and-sum: fine analytic traces, delays, apodization, sum.

Reading between samples is what decides the quality. Each record is made analytic and
brought to at least :data:`SAMPLES_PER_PERIOD` samples a carrier period by zero padding
its spectrum, which is exact for a band-limited record, and is then read by linear
interpolation. IQ is moved back to its carrier on that fine time axis, so that RF and
IQ meet in the same sum and no phase is computed per pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken
from napari_usflow.ultrasound.data import ChannelData, PixelGrid

if TYPE_CHECKING:
    import torch

__all__ = [
    "SAMPLES_PER_PERIOD",
    "DelayAndSum",
    "carrier_hz",
    "check_budget",
    "receive_apodization",
]

SAMPLES_PER_PERIOD = 32
"""Linear interpolation then errs by at most (2 pi / 32)^2 / 8 = 0.5 %, or -46 dB."""

TUKEY_FRACTION = 0.25
"""Part of the receive aperture over which its window falls."""

# Pixels times transmits read at a time; on a CPU the temporaries then stay in cache.
_BLOCK_CPU, _BLOCK_ACCELERATOR = 2**17, 2**22
# Few rows at a time, so that a block's aperture hardly grows with its depth.
_BLOCK_ROWS = 64
# Zeros between the end of a record and its start: a discrete spectrum is periodic.
_GUARD_SAMPLES = 64
# Bytes of a block's temporaries, a pixel and transmit.
_BLOCK_BYTES = 48

Traces = tuple["torch.Tensor", "torch.Tensor"]


def receive_apodization(distance: torch.Tensor, aperture: torch.Tensor) -> torch.Tensor:
    """Tukey window (25 %) over the receive aperture.

    Parameters
    ----------
    distance : Tensor
        Lateral distance between pixel and element, >= 0.
    aperture : Tensor
        Width of the aperture in the same unit; broadcast against ``distance``.

    Returns
    -------
    Tensor
        With d/a the relative distance and r = 0.25: 1 up to (1 - r)/2, then
        (1 + cos(2 pi / r (d/a - r/2 - 1/2))) / 2, and 0 from 1/2 on, as in the
        reference code of PICMUS. An aperture <= 0 sees nothing.
    """
    r = TUKEY_FRACTION
    # The floor keeps 0 / 0 out of the image's first row when it lies on the array.
    relative = distance / aperture.clamp(min=1e-9)
    relative = relative.clamp((1 - r) / 2, 0.5)
    return 0.5 * (1 + (2 * math.pi / r * (relative - r / 2 - 0.5)).cos())


def carrier_hz(channel_data: ChannelData) -> float:
    """Find the carrier, and refuse a record that cannot hold it.

    Raises
    ------
    ValueError
        If it is not known, or if RF is sampled at no more than twice the carrier.
    """
    data = channel_data
    for carrier in (data.center_frequency_hz, data.demodulation_frequency_hz):
        if np.isfinite(carrier) and carrier > 0:
            break
    else:
        raise ValueError(
            f"the centre frequency must be positive, got {data.center_frequency_hz} "
            "Hz; set center_frequency_hz of the channel data"
        )
    if not data.is_iq and data.sampling_frequency_hz <= 2 * carrier:
        raise ValueError(
            f"RF sampled at {data.sampling_frequency_hz:g} Hz cannot hold a carrier of "
            f"{carrier:g} Hz; demodulate bandpass-sampled RF to IQ first"
        )
    return float(carrier)


def check_budget(what: str, needed: int, budget: int) -> None:
    """Refuse a job before anything is allocated for it."""
    if needed > budget:
        raise ValueError(
            f"{what} needs {needed / 2**20:.0f} MiB, the budget is "
            f"{budget / 2**20:.0f} MiB; use a coarser or smaller grid"
        )


@dataclass(frozen=True)
class DelayAndSum:
    """One acquisition seen from one grid.

    Attributes
    ----------
    data : ChannelData
        The acquisition.
    z_m, x_m : ndarray
        Pixel centres in metres, axial and lateral.
    f_number : float
        Depth over receive aperture.
    bandwidth : float or None
        Width of the receive filter in carrier frequencies.
    device : torch.device
        Where the arithmetic happens.
    """

    data: ChannelData
    z_m: npt.NDArray[np.float64]
    x_m: npt.NDArray[np.float64]
    f_number: float
    bandwidth: float | None
    device: torch.device

    @classmethod
    def on_grid(
        cls,
        data: ChannelData,
        grid: PixelGrid,
        f_number: float,
        bandwidth: float | None,
        device: torch.device,
    ) -> DelayAndSum:
        """Check the parameters and take the axes from a grid."""
        for name, value in (("f_number", f_number), ("bandwidth", bandwidth)):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive, got {value}")
        z_mm, x_mm = grid.axes_mm()
        return cls(data, 1e-3 * z_mm, 1e-3 * x_mm, f_number, bandwidth, device)

    @property
    def factor(self) -> int:
        """How many fine samples a recorded sample interval holds."""
        wanted_hz = SAMPLES_PER_PERIOD * carrier_hz(self.data)
        return max(1, math.ceil(wanted_hz / self.data.sampling_frequency_hz))

    @property
    def fine_hz(self) -> float:
        """Sampling frequency of the fine time axis."""
        return self.factor * self.data.sampling_frequency_hz

    @property
    def n_fft(self) -> int:
        """Length of the transform of a record."""
        from scipy.fft import next_fast_len

        return int(next_fast_len(self.data.samples.shape[-1] + _GUARD_SAMPLES))

    def transmits_at_once(self, n_transmits: int, budget: int) -> int:
        """Give how many transmits fit in a memory budget (bytes), at least one.

        Raises
        ------
        ValueError
            When not even one does.
        """
        _, _, n_channels, n_samples = self.data.samples.shape
        # The image and its copies, the last of which is compressed in double precision.
        image = self.z_m.size * self.x_m.size * 40
        # Records as stored and as read; of one channel spectrum and fine signal.
        one = n_channels * n_samples * 2 * 8 + 5 * self.n_fft * self.factor * 8
        block = _BLOCK_BYTES * max(self._block_size, n_transmits * self.x_m.size)
        check_budget("beamforming", image + block + one, budget)
        return min(n_transmits, (budget - image - block) // one)

    def read(
        self,
        frame: int,
        group: npt.NDArray[np.intp],
        token: CancelToken | None = None,
    ) -> npt.NDArray[np.generic]:
        """Read the records of some transmits, shape (transmits, channels, samples).

        Raises
        ------
        ValueError
            If one holds NaN or infinity.
        """
        dtype = np.complex64 if self.data.is_iq else np.float32
        records = np.empty((len(group), *self.data.samples.shape[2:]), dtype)
        for i, transmit in enumerate(group):
            if token is not None:
                token.raise_if_cancelled()
            records[i] = self.data.samples[frame, int(transmit)]
            if not np.isfinite(records[i]).all():
                source = self.data.metadata.get("source", "the channel data")
                raise ValueError(
                    f"{source}: frame {frame}, transmit {transmit} holds NaN or "
                    "infinity; replace them before beamforming"
                )
        return records

    def traces(
        self, records: npt.NDArray[np.generic], group: npt.NDArray[np.intp]
    ) -> Traces:
        """Bring one channel's records to the fine time axis.

        Parameters
        ----------
        records : ndarray, shape (transmits, samples)
        group : ndarray, shape (transmits,)
            Which transmits they are.

        Returns
        -------
        tuple of Tensor, each of shape (transmits, 1 + fine samples + 2), float32
            Real and imaginary part of the analytic signal, with zeros at the ends:
            what is read outside the record.
        """
        import torch

        is_iq = self.data.is_iq
        n_fft, n_fine = self.n_fft, self.n_fft * self.factor
        source = torch.from_numpy(records).to(self.device)
        spectrum = torch.fft.fft(source, n=n_fft) * self._response()
        fine = torch.zeros(
            (len(records), n_fine), dtype=torch.complex64, device=self.device
        )
        half = (n_fft + 1) // 2
        fine[:, :half] = spectrum[:, :half]
        if is_iq:
            fine[:, n_fine - (n_fft - half) :] = spectrum[:, half:]
        fine = torch.fft.ifft(fine)[:, : (records.shape[1] - 1) * self.factor + 1]
        if is_iq:
            fine *= self._carrier_wave(fine.shape[1], group)
        return (
            torch.nn.functional.pad(fine.real, (1, 2)),
            torch.nn.functional.pad(fine.imag, (1, 2)),
        )

    def _response(self) -> torch.Tensor:
        """Gain of each bin of a record's spectrum: filter, scale, analytic half."""
        import torch

        data = self.data
        hz = np.fft.fftfreq(self.n_fft, 1 / data.sampling_frequency_hz)
        gain = np.full(self.n_fft, float(self.factor))
        if data.is_iq:
            hz = hz + data.demodulation_frequency_hz
        else:
            gain[hz > 0] *= 2
            gain[hz < 0] = 0
        if self.bandwidth is not None:
            carrier = carrier_hz(data)
            offset = np.abs(hz - carrier) / (self.bandwidth * carrier)
            gain *= np.where(offset < 0.5, np.cos(np.pi * offset) ** 2, 0)
        return torch.from_numpy(gain.astype(np.float32)).to(self.device)

    def _carrier_wave(self, n_fine: int, group: npt.NDArray[np.intp]) -> torch.Tensor:
        """Give exp(2 pi i f t), which undoes the demodulation of IQ."""
        import torch

        turns_hz = self.data.demodulation_frequency_hz
        start = np.exp(2j * np.pi * turns_hz * self.data.start_time_s[group])
        wave = np.exp(2j * np.pi * turns_hz / self.fine_hz * np.arange(n_fine))
        first, rest = (
            torch.from_numpy(a.astype(np.complex64)).to(self.device)
            for a in (start, wave)
        )
        return first[:, None] * rest

    def add_channel(
        self,
        image: torch.Tensor,
        traces: Traces,
        channel: int,
        group: npt.NDArray[np.intp],
        token: CancelToken | None,
    ) -> None:
        """Add what one element received from all the pixels that it serves.

        Parameters
        ----------
        image : Tensor, shape (2, Z, X), float32
            Real and imaginary part, changed in place.
        traces : tuple of Tensor
            From :meth:`traces`.
        channel : int
            Index of the element.
        group : ndarray, shape (transmits,)
            Which transmits the traces are of.
        token : CancelToken, optional
            Looked at between two blocks.
        """
        import torch

        data = self.data
        x_element, _, z_element = data.element_positions_m[channel]
        per_m = self.fine_hz / data.sound_speed_m_s
        angle = np.array([data.transmits[t].angle_rad for t in group])
        # Sample 0 of the traces is the zero put before the record.
        start = 1 - data.start_time_s[group] * self.fine_hz
        down = self._tensor(per_m * np.cos(angle)[:, None] * self.z_m + start[:, None])
        across = self._tensor(per_m * np.sin(angle)[:, None] * self.x_m)
        length = traces[0].shape[1]
        offset = torch.arange(len(group), dtype=torch.int32, device=self.device)
        offset = (offset * length)[:, None, None]
        parts = [part.reshape(-1) for part in traces]
        for rows, columns in self._blocks(x_element, len(group)):
            if token is not None:
                token.raise_if_cancelled()
            depth = self._tensor(self.z_m[rows])[:, None]
            aside = self._tensor(np.abs(self.x_m[columns] - x_element))
            echo = per_m * torch.hypot(depth - z_element, aside)
            position = down[:, rows, None] + across[:, None, columns] + echo
            position.clamp_(0, length - 2)
            index = position.to(torch.int32)
            fraction = (position - index).view(-1)
            index = (index + offset).view(-1)
            weight = receive_apodization(aside, depth / self.f_number)
            for target, part in zip(image, parts, strict=True):
                value = torch.lerp(
                    part.index_select(0, index),
                    part.index_select(0, index + 1),
                    fraction,
                )
                target[rows, columns] += weight * value.view(position.shape).sum(0)

    @property
    def _block_size(self) -> int:
        return _BLOCK_CPU if self.device.type == "cpu" else _BLOCK_ACCELERATOR

    def _blocks(
        self, x_element: float, n_transmits: int
    ) -> Iterator[tuple[slice, slice]]:
        """Cut the image into rows and leave out columns whose aperture ends before."""
        row = n_transmits * self.x_m.size
        height = min(_BLOCK_ROWS, max(1, self._block_size // row))
        for top in range(0, self.z_m.size, height):
            rows = slice(top, min(top + height, self.z_m.size))
            reach = max(float(self.z_m[rows].max()), 0.0) / self.f_number / 2
            first, last = np.searchsorted(
                self.x_m, (x_element - reach, x_element + reach)
            )
            if first < last:
                yield rows, slice(int(first), int(last))

    def _tensor(self, values: npt.NDArray[np.float64]) -> torch.Tensor:
        import torch

        return torch.from_numpy(values.astype(np.float32)).to(self.device)
