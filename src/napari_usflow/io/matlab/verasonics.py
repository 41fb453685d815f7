"""Acquisitions of Verasonics systems, as their scripts save them.

By the sequence programming manual: ``RcvData{b}`` holds the records of buffer b, (rows,
channels, frames); ``Receive(n)`` says which rows are those of an acquisition, from
which depth on it was sampled and how often; ``TX`` has steering, focus, origin and
delays, in wavelengths of ``Trans.frequency``. An echo from depth d (in wavelengths) is
2 d + TW.peak + 2 Trans.lensCorrection periods after the first element fired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.channel_samples import Hdf5Samples, check_record
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.matlab.variables import (
    element_count,
    find_array,
    is_v73,
    load,
    small_values,
    variables,
)
from napari_usflow.io.opened import Opened
from napari_usflow.io.transmit_delays import element_paths_m, transmit_of
from napari_usflow.ultrasound.data import ChannelData, PixelGrid

__all__ = ["open_verasonics"]

Floats = npt.NDArray[np.float64]

_STRUCTS = ("Trans", "TX", "Receive")
_READ = (*_STRUCTS, "TW", "Resource", "PData", "Event")
_MOST_RECEIVES = 65536
_SAME_DELAY_S = 1e-7
SOUND_SPEED_M_S = 1540.0


def open_verasonics(path: FilePath) -> Opened:
    """Open the acquisitions of the first buffer, frame by frame.

    Raises
    ------
    FileFormatError
        When something is missing or does not fit, or the records are sampled by
        bandwidth, or received by parts of the array that change.
    """
    known = variables(path)
    samples = "RcvData{1}" if "RcvData{1}" in known else "RcvData"
    if samples not in known:
        raise FileFormatError(f"{path}: RcvData holds no records")
    values = _Numbers(path)
    frequency = 1e6 * values.number("Trans.frequency")
    speed = values.number("Resource.Parameters.speedOfSound", SOUND_SPEED_M_S)
    if not (1e4 < frequency < 1e9 and 100 < speed < 1e4):
        raise FileFormatError(
            f"{path}: a frequency of {frequency:g} Hz and a sound speed of {speed:g} "
            "m/s make no sense"
        )
    wavelength = speed / frequency
    notes: list[str] = []
    elements, channels = _elements(path, values, wavelength)
    records = _records(path, values)
    stored = (*known[samples].shape, 1)[:3]
    if records.rows[-1].stop > stored[0] or channels.max() >= stored[1]:
        raise FileFormatError(
            f"{path}: {samples} has shape {stored}; Receive names row "
            f"{records.rows[-1].stop}, Trans channel {channels.max() + 1}"
        )
    count, length = len(records.rows), records.rows[0].stop - records.rows[0].start
    shape = (int(stored[2]), count, len(channels), length)
    transmits, passes_s = _transmits(path, values, records, elements, speed, wavelength)
    lens = values.number("Trans.lensCorrection", 0.0)
    lens *= 1e-3 if values.in_mm else wavelength
    peak = values.number("TW.peak", values.number("TW(1).peak", 0.0))
    notes.append(
        f"the echo's peak (TW.peak, {peak:g} periods) and the lens "
        f"({1e3 * lens:.3g} mm) are part of the start"
    )
    start_s = 2 * records.start_depth / frequency - passes_s
    start_s -= peak / frequency + 2 * lens / speed
    data = ChannelData(
        _samples(path, samples, shape, records.rows, channels),
        elements,
        values.sampling_frequency_hz(frequency, notes),
        frequency,
        0.0,
        speed,
        start_s,
        transmits,
        metadata={"notes": notes},
    )
    return Opened(channel_data=data, grid=_grid(values, wavelength))


class _Numbers:
    """The small numbers of a file, with defaults for those that are not there."""

    def __init__(self, path: FilePath) -> None:
        self.path = path
        self._read = small_values(path, _READ)
        self.in_mm = self.text("Trans.units") != "wavelengths"

    def text(self, name: str) -> str:
        """Return the text of a name; empty where there is none."""
        stored = self._read(name)
        if stored is None or stored.dtype.kind not in "Uu":
            return ""
        if stored.dtype.kind == "u":  # codes of characters, in 7.3
            return "".join(chr(code) for code in stored.ravel()[:64])
        return str(stored.ravel()[0]) if stored.size else ""

    def array(self, name: str) -> Floats:
        """Return the numbers of a name; empty where there are none."""
        stored = self._read(name)
        if stored is None or stored.dtype.kind not in "fiu":
            return np.empty(0)
        return np.asarray(stored, np.float64)

    def number(self, name: str, default: float | None = None) -> float:
        """Return the one number of a name."""
        stored = self.array(name).ravel()
        if stored.size == 0 and default is not None:
            return default
        if stored.size != 1 or not np.isfinite(stored[0]):
            raise FileFormatError(
                f"{self.path}: {name} has {stored.size} values; one was expected"
            )
        return float(stored[0])

    def sampling_frequency_hz(self, frequency: float, notes: list[str]) -> float:
        """Return the rate of the records."""
        mode = self.text("Receive(1).sampleMode")
        if mode.startswith("BS") or self.number("Receive(1).quadDecim", 1) != 1:
            raise FileFormatError(
                f"{self.path}: its records are sampled by bandwidth ({mode or 'BS'}); "
                "sampleMode NS200BW is read"
            )
        stated = self.number("Receive(1).decimSampleRate", 0.0)
        if stated > 0:
            return 1e6 * stated
        per_wave = self.number("Receive(1).samplesPerWave", 4.0)
        demodulation = self.number("Receive(1).demodFrequency", 0.0)
        notes.append(f"{per_wave:g} samples a period are assumed")
        return per_wave * (1e6 * demodulation if demodulation > 0 else frequency)


@dataclass(frozen=True)
class _Records:
    """The acquisitions of a frame: their rows, first depth in wavelengths, transmit."""

    rows: list[slice]
    start_depth: Floats
    transmit: list[int]


def _elements(
    path: FilePath, values: _Numbers, wavelength: float
) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Return the elements in m, and the channel of each."""
    stored = values.array("Trans.ElementPos")
    unit = 1e-3 if values.in_mm else wavelength
    if stored.ndim == 2 and stored.shape[1] >= 3:
        positions = unit * stored[:, :3]
    else:
        count = int(values.number("Trans.numelements"))
        pitch = values.number("Trans.spacingMm", 0.0) * 1e-3
        pitch = pitch or values.number("Trans.spacing") * wavelength
        positions = np.zeros((count, 3))
        positions[:, 0] = pitch * (np.arange(count) - (count - 1) / 2)
    channels = np.arange(len(positions))
    for name in ("Trans.ConnectorES", "Trans.Connector"):
        mapped = values.array(name).ravel()
        if mapped.size == len(positions) and mapped.min() >= 1:
            channels = mapped.astype(np.intp) - 1
            break
    if len(set(channels.tolist())) != len(channels):
        raise FileFormatError(
            f"{path}: several elements share a channel (HVMux); the whole array is "
            "expected"
        )
    return positions, channels


def _records(path: FilePath, values: _Numbers) -> _Records:
    """Return the acquisitions of the first frame in the first buffer."""
    count = element_count(path, "Receive")
    if not 1 <= count <= _MOST_RECEIVES:
        raise FileFormatError(f"{path} has {count} receives")
    events = _events(path, values)
    rows, depths, transmits = [], [], []
    for number in range(1, count + 1):
        receive = f"Receive({number})" if count > 1 else "Receive"
        if (
            values.number(f"{receive}.framenum", 1) != 1
            or values.number(f"{receive}.bufnum", 1) != 1
        ):
            continue
        first = int(values.number(f"{receive}.startSample"))
        last = int(values.number(f"{receive}.endSample"))
        if not 1 <= first < last:
            raise FileFormatError(f"{path}: {receive} has the rows {first} to {last}")
        rows.append(slice(first - 1, last))
        depths.append(values.number(f"{receive}.startDepth", 0.0))
        transmits.append(events.get(number, len(rows)))
    if not rows:
        raise FileFormatError(f"{path}: no Receive is of frame 1 of buffer 1")
    length = min(row.stop - row.start for row in rows)
    even = [slice(row.start, row.start + length) for row in rows]
    return _Records(even, np.asarray(depths), transmits)


def _events(path: FilePath, values: _Numbers) -> dict[int, int]:
    """Return the transmit of each receive, where the file has the events."""
    pairs = {}
    for number in range(1, min(element_count(path, "Event"), _MOST_RECEIVES) + 1):
        transmit = values.number(f"Event({number}).tx", 0)
        receive = values.number(f"Event({number}).rcv", 0)
        if transmit >= 1 and receive >= 1:
            pairs[int(receive)] = int(transmit)
    return pairs


def _transmits(
    path: FilePath,
    values: _Numbers,
    records: _Records,
    elements: Floats,
    speed: float,
    wavelength: float,
) -> tuple[list[Any], Floats]:
    """Return the transmits, and when each passes its origin."""
    count = element_count(path, "TX")
    transmits, passes = [], []
    for number in records.transmit:
        if not 1 <= number <= count:
            raise FileFormatError(f"{path} has {count} TX; {number} is needed")
        name = f"TX({number})" if count > 1 else "TX"
        steer = (*values.array(f"{name}.Steer").ravel(), 0.0, 0.0)
        if abs(steer[1]) > 1e-6:
            raise FileFormatError(f"{path} is steered in elevation; 2-D only is read")
        origin = (*(wavelength * values.array(f"{name}.Origin").ravel()), 0.0, 0.0, 0.0)
        focus = values.number(f"{name}.focus", 0.0)
        transmit = transmit_of(focus * wavelength, float(steer[0]), origin[:3])
        delays_s = values.array(f"{name}.Delay").ravel() * wavelength / speed
        apodization = values.array(f"{name}.Apod").ravel()
        active = apodization != 0
        if delays_s.size != len(elements):
            delays_s = np.zeros(len(elements))
        if active.size != len(elements) or not active.any():
            active = np.ones(len(elements), bool)
        lag_s = (delays_s - element_paths_m(transmit, elements) / speed)[active]
        if np.ptp(lag_s) > _SAME_DELAY_S and not delays_s.any():
            lag_s = -np.atleast_1d((element_paths_m(transmit, elements) / speed).min())
        transmits.append(transmit)
        passes.append(float(lag_s.mean()))
    return transmits, np.asarray(passes)


def _samples(
    path: FilePath,
    name: str,
    shape: tuple[int, int, int, int],
    rows: list[slice],
    channels: npt.NDArray[np.intp],
) -> Any:
    if is_v73(path):
        return _VerasonicsSamples(path, shape, name, rows, channels)
    check_record(path, shape)
    whole = load(path, [name])[name]
    whole = whole.reshape(*whole.shape[:2], -1)[:, channels]
    samples = np.empty(shape, np.float32)
    for index, row in enumerate(rows):
        samples[:, index] = whole[row].transpose(2, 1, 0)
    return samples


class _VerasonicsSamples(Hdf5Samples):
    """The records of a 7.3 file, whose axes stand in reverse there."""

    def __init__(
        self,
        path: FilePath,
        shape: tuple[int, int, int, int],
        name: str,
        rows: list[slice],
        channels: npt.NDArray[np.intp],
    ) -> None:
        super().__init__(path, shape, np.float32)
        self._name, self._rows, self._channels = name, rows, channels

    def _record(self, file: h5py.File, frame: int, transmit: int) -> npt.NDArray[Any]:
        stored = find_array(file, self._name)
        key = (slice(None), self._rows[transmit])
        block = stored[(frame, *key)] if stored.ndim == 3 else stored[key]
        return np.asarray(block[self._channels], np.float32)


def _grid(values: _Numbers, wavelength: float) -> PixelGrid | None:
    """Return the pixels of PData, where it states a rectangle."""
    name = "PData(1)" if values.array("PData(1).PDelta").size else "PData"
    delta = values.array(f"{name}.PDelta").ravel()
    size = values.array(f"{name}.Size").ravel()
    origin = values.array(f"{name}.Origin").ravel()
    if delta.size < 3 or size.size < 2 or origin.size < 3 or size[:2].min() < 2:
        return None
    if min(delta[0], delta[2]) <= 0 or size[:2].prod() > 2**26:
        return None
    mm = 1e3 * wavelength
    return PixelGrid(
        (int(size[0]), int(size[1])),
        (float(delta[2] * mm), float(delta[0] * mm)),
        (float(origin[2] * mm), float(origin[0] * mm)),
    )
