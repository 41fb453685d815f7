"""Channel data from the variables of a MATLAB file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.channel_samples import Hdf5Samples
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import open_hdf5
from napari_usflow.io.matlab.variable_map import MatlabNames, Quantity, parse_quantity
from napari_usflow.io.matlab.variables import find_array, is_v73, load, plain, variables
from napari_usflow.ultrasound.data import ChannelData, PlaneWave

__all__ = ["channel_data"]

Floats = npt.NDArray[np.float64]

_NEEDED = "samples", "sampling_frequency_hz"


def channel_data(path: FilePath, names: MatlabNames) -> ChannelData:
    """Read the acquisition that the names describe.

    RF sampled at no more than twice its centre frequency (band-pass sampling) is
    demodulated to IQ: it cannot be interpolated as it is.

    Raises
    ------
    FileFormatError
        When a variable is missing, or they do not fit each other.
    """
    missing = [name for name in _NEEDED if not getattr(names, name)]
    if missing:
        raise FileFormatError(f"{path}: {missing[0]} is needed, and no name is given")
    known = variables(path)
    if names.samples not in known:
        raise FileFormatError(
            f"{path} has no variable {names.samples!r}; it has {', '.join(known)}"
        )
    imag = names.samples_imag if names.samples_imag in known else ""
    values = _Quantities(path, names)
    fs = values.scalar("sampling_frequency_hz")
    axes = _axes(path, names.samples_axes, known[names.samples].shape)
    sizes = dict(zip(axes, known[names.samples].shape, strict=False))
    shape = tuple(sizes.get(letter, 1) for letter in "ftcs")
    elements = _elements(path, values, shape[2])
    speed = values.scalar("sound_speed_m_s")
    if not (0 < fs <= 1e10 and 0 < speed <= 1e5):
        raise FileFormatError(
            f"{path}: a sampling frequency of {fs:g} Hz and a sound speed of {speed:g} "
            "m/s make no sense"
        )
    transmits, offset_s = _transmits(path, values, shape[1], elements, speed)
    start = values.array("start_time_s").ravel()
    if start.size not in (1, shape[1]):
        raise FileFormatError(f"{path} has {start.size} start times, {shape[1]} waves")
    demodulation = values.scalar("demodulation_frequency_hz", default=0.0)
    center = values.scalar("center_frequency_hz", default=demodulation)
    samples, is_iq = _samples(path, names.samples, imag, axes, shape)
    start_s = np.broadcast_to(start, shape[1]).astype(np.float64)
    notes: list[str] = []
    if is_iq:
        demodulation = demodulation or center
        if not demodulation:
            raise FileFormatError(
                f"{path}: {names.samples} is IQ; demodulation_frequency_hz is needed"
            )
    elif center >= fs / 2:
        samples = _demodulated(path, np.asarray(samples[:]), fs, center, start_s)
        demodulation = center
        notes.append(
            f"band-pass sampled RF ({fs / 1e6:.4g} MHz, carrier {center / 1e6:.4g} MHz)"
            " was demodulated to IQ"
        )
    elif not center:
        raise FileFormatError(f"{path}: center_frequency_hz is needed for RF")
    else:
        demodulation = 0.0
    rate = values.scalar("frame_rate_hz", default=0.0)
    return ChannelData(
        samples,
        elements,
        fs,
        center or demodulation,
        demodulation,
        speed,
        start_s - offset_s,
        transmits,
        frame_interval_s=1 / rate if rate > 0 and shape[0] > 1 else None,
        metadata={"names": names.given(), "notes": notes},
    )


class _Quantities:
    """The small numbers of a file, by what they mean."""

    def __init__(self, path: FilePath, names: MatlabNames) -> None:
        self._path = path
        self._parsed = {
            name: parse_quantity(getattr(names, name))
            for name in (
                "sampling_frequency_hz",
                "center_frequency_hz",
                "demodulation_frequency_hz",
                "sound_speed_m_s",
                "pitch_m",
                "element_positions_m",
                "angles_rad",
                "tx_delays_s",
                "start_time_s",
                "frame_rate_hz",
            )
        }
        wanted = {p.name for p in self._parsed.values() if isinstance(p, Quantity)}
        self._loaded: Mapping[str, npt.NDArray[Any]] = load(path, wanted)

    def array(self, name: str) -> Floats:
        """Return all numbers of a quantity; none when it has no name."""
        parsed = self._parsed[name]
        if parsed is None:
            return np.empty(0)
        if isinstance(parsed, float):
            return np.array([parsed])
        stored = self._loaded[parsed.name]
        if np.iscomplexobj(stored):
            raise FileFormatError(f"{self._path}: {parsed.name} is complex")
        return parsed.of(stored)

    def scalar(self, name: str, *, default: float | None = None) -> float:
        """Return the one number of a quantity."""
        values = self.array(name)
        if values.size == 0 and default is not None:
            return default
        if values.size != 1 or not math.isfinite(values.item()) or values.item() < 0:
            raise FileFormatError(
                f"{self._path}: {name} has {values.size} values; one that is not "
                "negative was expected"
            )
        return float(values.item())


def _axes(path: FilePath, axes: str, shape: tuple[int, ...]) -> str:
    """Return one letter an axis; those at the end that MATLAB dropped are left out."""
    if any(n != 1 for n in shape[len(axes) :]):
        raise FileFormatError(
            f"{path}: the channel data have shape {shape}, but their axes are {axes!r}"
        )
    return axes[: len(shape)]


def _elements(path: FilePath, values: _Quantities, count: int) -> Floats:
    given = values.array("element_positions_m")
    positions = np.zeros((count, 3))
    if given.size == 3 * count:
        columns = given if given.shape[-1] == 3 else given.T
        return columns.reshape(count, 3)
    if given.size == count:
        positions[:, 0] = given.ravel()
    elif given.size:
        raise FileFormatError(
            f"{path}: element_positions_m has shape {given.shape}; {count} channels"
        )
    else:
        pitch = values.scalar("pitch_m")
        positions[:, 0] = pitch * (np.arange(count) - (count - 1) / 2)
    return positions


def _transmits(
    path: FilePath, values: _Quantities, count: int, elements: Floats, speed: float
) -> tuple[list[PlaneWave], Floats]:
    """Return the plane waves, and when each passes the centre of the array."""
    angles, delays = values.array("angles_rad").ravel(), values.array("tx_delays_s")
    offset_s = np.zeros(count)
    if delays.size:
        table = np.atleast_2d(delays)
        if table.shape[1] != len(elements):
            table = table.T
        if table.shape[1] != len(elements) or table.shape[0] not in (1, count):
            raise FileFormatError(
                f"{path}: tx_delays_s has shape {delays.shape}; (transmits, "
                f"{len(elements)}) was expected"
            )
        # An element at x fires x sin a / c after the centre.
        slopes, offsets = np.polyfit(elements[:, 0], table.T, 1)
        fitted = elements[:, :1] * slopes + offsets
        if np.abs(fitted - table.T).max() > 1e-7 or np.abs(slopes * speed).max() > 1:
            raise FileFormatError(f"{path}: its transmit delays are no plane wave")
        angles = np.broadcast_to(np.arcsin(slopes * speed), count)
        offset_s = np.broadcast_to(offsets, count)
    elif angles.size == 0:
        angles = np.zeros(count)
    if angles.size != count or np.abs(angles).max() > np.pi / 2:
        raise FileFormatError(
            f"{path}: {angles.size} angles up to {np.abs(angles).max():g} for {count} "
            "transmits; one in radians each was expected"
        )
    return [PlaneWave(float(angle)) for angle in angles], offset_s


def _samples(
    path: FilePath, name: str, imag: str, axes: str, shape: tuple[int, ...]
) -> tuple[Any, bool]:
    """Return the samples (frames, transmits, channels, samples), and whether IQ."""
    if is_v73(path):
        with open_hdf5(path) as file:
            is_iq = find_array(file, name).dtype.kind == "V" or (
                bool(imag) and _any(find_array(file, imag))
            )
        return _Mat73Samples(
            path, shape, name, imag if is_iq else "", axes, is_iq
        ), is_iq
    loaded = load(path, [name, *([imag] if imag else [])])
    whole = loaded[name]
    if imag and np.any(loaded[imag]):
        if loaded[imag].shape != whole.shape:
            raise FileFormatError(f"{path}: {name} and {imag} differ in shape")
        whole = whole + 1j * loaded[imag]
    is_iq = np.iscomplexobj(whole)
    dtype = np.complex64 if is_iq else np.float32
    order = [axes.index(letter) for letter in "ftcs" if letter in axes]
    ordered = whole.reshape(whole.shape[: len(axes)]).transpose(order)
    return np.ascontiguousarray(ordered.reshape(shape), dtype), is_iq


def _any(dataset: h5py.Dataset) -> bool:
    """Look at the middle record: the whole of it may be large."""
    return bool(np.any(dataset[dataset.shape[0] // 2]))


class _Mat73Samples(Hdf5Samples):
    """Channel samples of a 7.3 file, whose axes stand in reverse there."""

    def __init__(
        self,
        path: FilePath,
        shape: tuple[int, ...],
        name: str,
        imag: str,
        axes: str,
        is_iq: bool,
    ) -> None:
        super().__init__(
            path,
            (shape[0], shape[1], shape[2], shape[3]),
            np.complex64 if is_iq else np.float32,
        )
        self._name, self._imag, self._stored = name, imag, axes[::-1]

    def _record(self, file: h5py.File, frame: int, transmit: int) -> npt.NDArray[Any]:
        real = self._read(file, self._name, frame, transmit)
        if not self._imag:
            return real.astype(self.dtype)
        imag = self._read(file, self._imag, frame, transmit)
        return (real + 1j * imag).astype(self.dtype)

    def _read(
        self, file: h5py.File, name: str, frame: int, transmit: int
    ) -> npt.NDArray[Any]:
        dataset = find_array(file, name)
        indices = {"f": frame, "t": transmit}
        # A dataset may have more axes than letters, all of length one, in front.
        front = (0,) * (dataset.ndim - len(self._stored))
        key = front + tuple(indices.get(a, slice(None)) for a in self._stored)
        record = plain(np.asarray(dataset[key]))
        rest = [letter for letter in self._stored if letter in "cs"]
        return record if rest == ["c", "s"] else record.T


def _demodulated(
    path: FilePath, rf: npt.NDArray[Any], fs: float, carrier: float, start_s: Floats
) -> npt.NDArray[np.complex64]:
    """Bring band-pass sampled RF to IQ.

    Multiplied by exp(-2 pi i f t), the band around the carrier lies at zero, and its
    mirror image at -2 f, which sampling folds to some frequency in [-fs/2, fs/2). What
    is beyond fs/4 is removed, and with it the image, where it lies there.
    """
    from scipy.signal import butter, sosfiltfilt

    image = abs((-2 * carrier + fs / 2) % fs - fs / 2)
    if image < 0.35 * fs:
        raise FileFormatError(
            f"{path}: RF of {carrier / 1e6:.4g} MHz sampled at {fs / 1e6:.4g} MHz "
            "folds onto its own band; it cannot be demodulated"
        )
    time_s = start_s[:, None, None] + np.arange(rf.shape[-1]) / fs
    mixed = rf * np.exp(-2j * np.pi * carrier * time_s)
    low_pass = butter(5, 0.5, output="sos")
    iq: npt.NDArray[np.complex64] = (2 * sosfiltfilt(low_pass, mixed, axis=-1)).astype(
        np.complex64
    )
    return iq
