"""Samples of CUBDL files, which stay there until they are indexed."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.io.channel_samples import Hdf5Samples
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import find_dataset

__all__ = ["ChannelMajorSamples", "DemodulatedSamples", "TransmitSamples"]

Shape = tuple[int, int, int, int]

# Zeros between the end of a record and its start: a discrete spectrum is periodic.
_GUARD_SAMPLES = 64


class TransmitSamples(Hdf5Samples):
    """RF stored as (transmits, channels, samples).

    Parameters
    ----------
    path : path
        The file.
    shape : (int, int, int, int)
        (1, transmits, channels, samples).
    """

    def __init__(self, path: FilePath, shape: Shape) -> None:
        super().__init__(path, shape, np.float32)

    def _record(self, file: h5py.File, frame: int, transmit: int) -> npt.NDArray[Any]:
        stored = find_dataset(file, "channel_data", ndim=3, max_bytes=None)
        record: npt.NDArray[Any] = stored[transmit].astype(np.float32)
        return record


class ChannelMajorSamples(TransmitSamples):
    """RF stored by channel first, then transmit, then sample, in whatever shape.

    Record k = channel * transmits + transmit is the k-th run of samples in the file.
    """

    def _record(self, file: h5py.File, frame: int, transmit: int) -> npt.NDArray[Any]:
        _, transmits, channels, samples = self.shape
        stored = find_dataset(file, "channel_data", ndim=(2, 3), max_bytes=None)
        if stored.shape == (channels, transmits * samples):
            run = slice(transmit * samples, (transmit + 1) * samples)
            rows = stored[:, run]
        elif stored.shape == (channels, transmits, samples):
            rows = stored[:, transmit]
        else:
            numbers = np.arange(channels) * transmits + transmit
            places = zip(*np.unravel_index(numbers, stored.shape[:-1]), strict=True)
            rows = np.stack([stored[place] for place in places])
        record: npt.NDArray[Any] = rows.astype(np.float32)
        return record


class DemodulatedSamples(Hdf5Samples):
    """RF stored as (transmits, channels, samples), given as IQ at a lower rate.

    The analytic signal is limited to the band that the lower rate can carry, centred
    on the carrier f, multiplied by exp(-2 pi i f t) and decimated. (The challenge's
    loader averages over one decimation step instead, which lets frequencies of up to
    -4 dB fold back, and starts the phase at the first sample, as its beamformer does.)

    Parameters
    ----------
    path : path
        The file.
    stored : (int, int, int, int)
        (1, transmits, channels, samples) of the RF.
    rate_hz, carrier_hz : float
        Sampling frequency of the RF; its carrier.
    start_s : ndarray, shape (transmits,)
        Time of the first sample.
    step : int
        Samples of RF for one of IQ.
    """

    def __init__(
        self,
        path: FilePath,
        stored: Shape,
        *,
        rate_hz: float,
        carrier_hz: float,
        start_s: npt.NDArray[np.float64],
        step: int,
    ) -> None:
        super().__init__(path, (*stored[:3], -(-stored[3] // step)), np.complex64)
        self._rf = TransmitSamples(path, stored)
        self._rate_hz = rate_hz
        self._carrier_hz = carrier_hz
        self._start_s = start_s
        self._step = step

    def _record(self, file: h5py.File, frame: int, transmit: int) -> npt.NDArray[Any]:
        from scipy.fft import fft, fftfreq, ifft, next_fast_len

        rf = self._rf._record(file, frame, transmit)
        n_fft = next_fast_len(rf.shape[-1] + _GUARD_SAMPLES)
        hz = fftfreq(n_fft, 1 / self._rate_hz)
        offset = np.abs(hz - self._carrier_hz)
        passed = (hz > 0) & (offset <= self._rate_hz / self._step / 2)
        analytic = ifft(fft(rf, n_fft) * (2 * passed).astype(np.float32))
        n = np.arange(0, rf.shape[-1], self._step)
        turns = self._carrier_hz * (self._start_s[transmit] + n / self._rate_hz)
        iq: npt.NDArray[Any] = analytic[:, n] * np.exp(-2j * np.pi * turns)
        return iq.astype(np.complex64)
