"""Records brought to a fine time axis: analytic, filtered, ready to be read anywhere.

Reading between samples is what decides the quality. Each record is made analytic and
brought to at least :data:`SAMPLES_PER_PERIOD` samples a carrier period by zero padding
its spectrum, which is exact for a band-limited record, and is then read by linear
interpolation. IQ is moved back to its carrier on that fine time axis, so that RF and
IQ meet in the same sum and no phase is computed per pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken
from napari_usflow.ultrasound.data import ChannelData, kept_open, pixel_count

if TYPE_CHECKING:
    import torch

__all__ = [
    "SAMPLES_PER_PERIOD",
    "FineRecords",
    "Traces",
    "axial_pixels",
    "carrier_hz",
    "check_budget",
]

SAMPLES_PER_PERIOD = 32
"""Linear interpolation then errs by at most (2 pi / 32)^2 / 8 = 0.5 %, or -46 dB."""

# Zeros between the end of a record and its start: a discrete spectrum is periodic.
_GUARD_SAMPLES = 64

Traces = tuple["torch.Tensor", "torch.Tensor"]
"""Real and imaginary part of analytic signals."""


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


def axial_pixels(
    data: ChannelData, depth_mm: tuple[float, float]
) -> tuple[float, float, int]:
    """Place pixels every quarter of a wavelength in depth, where there is a record.

    Parameters
    ----------
    data : ChannelData
        Of a known carrier.
    depth_mm : (float, float)
        First and last depth; the last is cut to the one whose straight echo ends the
        record.

    Returns
    -------
    (float, float, int)
        First pixel and distance in mm; number of pixels.

    Raises
    ------
    ValueError
        If the record ends before the first depth.
    """
    duration_s = (data.samples.shape[-1] - 1) / data.sampling_frequency_hz
    end_s = float(data.start_time_s.min()) + duration_s
    first_mm, last_mm = depth_mm
    last_mm = min(last_mm, 1e3 * end_s * data.sound_speed_m_s / 2)
    if last_mm < first_mm:
        raise ValueError(
            f"the record ends at a depth of {last_mm:.2f} mm, above the {first_mm:g} "
            "mm at which the image starts; give a grid"
        )
    step_mm = 1e3 * data.sound_speed_m_s / carrier_hz(data) / 4
    return first_mm, step_mm, pixel_count(last_mm - first_mm, step_mm)


def check_budget(what: str, needed: int, budget: int) -> None:
    """Refuse a job before anything is allocated for it."""
    if needed > budget:
        raise ValueError(
            f"{what} needs {needed / 2**20:.0f} MiB, the budget is "
            f"{budget / 2**20:.0f} MiB; use a coarser or smaller grid"
        )


@dataclass(frozen=True)
class FineRecords:
    """The records of one acquisition, as they are to be read.

    Attributes
    ----------
    data : ChannelData
        The acquisition.
    bandwidth : float or None
        Width of the receive filter in carrier frequencies.
    device : torch.device
        Where the arithmetic happens.
    """

    data: ChannelData
    bandwidth: float | None
    device: torch.device

    @property
    def factor(self) -> int:
        """Number of fine samples in a recorded sample interval."""
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

    def bytes_of_transmit(self) -> int:
        """Bytes allocated for one transmit while its channels are read."""
        _, _, n_channels, n_samples = self.data.samples.shape
        # Records as stored and as read; of one channel spectrum and fine signal.
        return int(n_channels * n_samples * 2 * 8 + 5 * self.n_fft * self.factor * 8)

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
        with kept_open(self.data.samples):
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
        """Interpolate one channel's records to the fine time axis.

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
        """Return exp(2 pi i f t), which undoes the demodulation of IQ."""
        import torch

        turns_hz = self.data.demodulation_frequency_hz
        start = np.exp(2j * np.pi * turns_hz * self.data.start_time_s[group])
        wave = np.exp(2j * np.pi * turns_hz / self.fine_hz * np.arange(n_fine))
        first, rest = (
            torch.from_numpy(a.astype(np.complex64)).to(self.device)
            for a in (start, wave)
        )
        return first[:, None] * rest

    def _tensor(self, values: npt.NDArray[np.float64]) -> torch.Tensor:
        import torch

        return torch.from_numpy(values.astype(np.float32)).to(self.device)
