"""Raw data of a zea file.

``initial_times`` count from the moment the first element fires, and ``t0_delays`` say
when each element fires after that. The time at which the wave passes its origin, from
which :class:`~napari_usflow.ultrasound.data.ChannelData` counts, follows from the
delays of the elements that took part: those of a plane wave are
(x sin a + z cos a) / c plus a constant, those of a wave that converges on F are
-|F - e| / c plus a constant, those of one that spreads from S are |S - e| / c plus a
constant; the mean over the elements gives the constant. IQ is demodulated from the
first sample on, as in zea's beamformer; the phase is put right when a record is read.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.channel_samples import Hdf5Samples
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    has_member,
    open_hdf5,
    read_array,
    subgroup,
)
from napari_usflow.io.transmit_delays import element_paths_m, transmit_of
from napari_usflow.io.zea.layout import Container, find_container, find_containers
from napari_usflow.io.zea.waveforms import waveform_peaks_s
from napari_usflow.ultrasound.data import ChannelData, Transmit

__all__ = ["read_channel_data"]

SOUND_SPEED_M_S = 1540.0
"""Taken where a file does not state it; the mean of soft tissue."""

# Delays that do not fit the wave by more than this were not stored.
_DELAY_TOLERANCE_S = 1e-7
_PLAUSIBLE = {
    "sampling_frequency": (1e4, 1e10),
    "center_frequency": (1e3, 1e9),
    "demodulation_frequency": (0.0, 1e9),
    "sound_speed": (100.0, 1e4),
}

Floats = npt.NDArray[np.float64]


def read_channel_data(
    path: FilePath, track: str = "", frequency_hz: float | None = None
) -> ChannelData:
    """Read the raw data; its samples stay in the file until they are indexed.

    Parameters
    ----------
    path : path
        A zea file.
    track : str
        Event or track; the first with raw data when empty.
    frequency_hz : float, optional
        Centre frequency of the transmits that are taken, where it changes; by default
        the most usual one.

    Returns
    -------
    ChannelData
        Samples (frames, transmits, channels, samples), float32 RF or complex64 IQ.

    Raises
    ------
    FileFormatError
        When there are none, or they are damaged, implausible, steered in elevation or
        received by changing parts of the array.
    ValueError
        When no transmit has the frequency that is asked for.
    """
    with open_hdf5(path) as file:
        container = find_container(file, ("raw_data",), track)
        if container is None:
            raise FileFormatError(f"{path} has no raw_data in the layout of zea")
        if container.scan is None:
            raise FileFormatError(f"{path} has raw_data but no group scan")
        raw = find_dataset(container.data, "raw_data", ndim=5, max_bytes=None)
        frames, n_tx, n_ax, n_el, n_ch = map(int, raw.shape)
        scan, elements = container.scan, _elements(path, container)
        if n_el != len(elements) or n_ch not in (1, 2):
            raise FileFormatError(
                f"{path}, {raw.name} has shape {raw.shape}, which does not fit "
                f"{len(elements)} elements; (frames, transmits, samples, elements, 1 "
                "for RF or 2 for IQ) was expected"
            )
        if has_member(scan, "rx_aperture_indices"):
            raise FileFormatError(
                f"{path} was received by a part of the array that changes between "
                "transmits (rx_aperture_indices); the whole array is expected"
            )
        notes: list[str] = []
        others = [
            c.name
            for c in find_containers(file)
            if c.name != container.name and has_member(c.data, "raw_data")
        ]
        if others and not track:
            notes.append(
                f"{container.name} was read; choose another one with --acquisition: "
                f"{', '.join(others[:12])}"
            )
        speed = _scalar(scan, "sound_speed", SOUND_SPEED_M_S)
        if not has_member(scan, "sound_speed"):
            notes.append(f"sound speed {SOUND_SPEED_M_S:g} m/s is assumed")
        fs = _scalar(scan, "sampling_frequency")
        centers = _each(scan, "center_frequency", n_tx)
        used = _of_one_frequency(path, centers, frequency_hz, notes)
        center = float(centers[used[0]])
        demodulation = center
        if has_member(scan, "demodulation_frequency"):
            demodulations = _each(scan, "demodulation_frequency", n_tx)[used]
            demodulation = _same(scan, "demodulation_frequency", demodulations)
        beams = _Beams(path, scan, elements, n_tx, speed, speed / center, notes)
        initial = _vector(scan, "initial_times", n_tx)
        frame_interval = _frame_interval(scan, frames, n_tx)
        peak_s = waveform_peaks_s(container, n_tx, notes)
        start_s = (initial - beams.passes_origin_s - peak_s)[used]
        turn = np.exp(-2j * np.pi * demodulation * start_s) if n_ch == 2 else None
        shape = (frames, len(used), n_el, n_ax)
        samples = _ZeaSamples(path, raw.name, shape, turn, used)
    return ChannelData(
        samples,
        elements,
        fs,
        center,
        demodulation if n_ch == 2 else 0.0,
        speed,
        start_s,
        [beams.transmits[index] for index in used],
        frame_interval_s=frame_interval,
        metadata={"notes": notes},
    )


def _elements(path: FilePath, found: Container) -> Floats:
    for group in (found.probe, found.scan):
        if group is not None and has_member(group, "probe_geometry"):
            geometry = read_array(group, "probe_geometry", ndim=2, max_bytes=2**24)
            positions = geometry.astype(np.float64)
            if positions.shape[1] != 3 or np.abs(positions).max() > 1:
                raise FileFormatError(
                    f"{path}: probe_geometry has shape {geometry.shape} and reaches "
                    f"{np.abs(positions).max():g}; (elements, 3) in metres was expected"
                )
            return positions
    raise FileFormatError(f"{path} has no probe_geometry in its probe or its scan")


def _scalar(scan: h5py.Group, name: str, default: float | None = None) -> float:
    """Read one number, or one a transmit when they are all the same."""
    if default is not None and not has_member(scan, name):
        return default
    return _same(scan, name, read_array(scan, name, max_bytes=2**20).ravel())


def _same(scan: h5py.Group, name: str, numbers: npt.NDArray[Any]) -> float:
    """Return the number that all transmits share."""
    values = numbers.astype(np.float64)
    low, high = _PLAUSIBLE[name]
    if np.ptp(values) > 1e-6 * abs(float(values[0])):
        raise FileFormatError(
            f"{scan.file.filename}: {name} changes from {values.min():g} to "
            f"{values.max():g} between transmits; one value is read"
        )
    if not low <= values[0] <= high:
        raise FileFormatError(
            f"{scan.file.filename}: {name} is {values[0]:g}; {low:g} to {high:g} was "
            "expected"
        )
    return float(values[0])


def _each(scan: h5py.Group, name: str, count: int) -> Floats:
    """Read one number a transmit, or one for all of them."""
    values = read_array(scan, name, max_bytes=2**20).ravel().astype(np.float64)
    low, high = _PLAUSIBLE[name]
    if values.size not in (1, count) or not ((low <= values) & (values <= high)).all():
        raise FileFormatError(
            f"{scan.file.filename}: {name} has {values.size} numbers from "
            f"{values.min():g} to {values.max():g}; one or {count}, from {low:g} to "
            f"{high:g}, were expected"
        )
    return np.broadcast_to(values, count).astype(np.float64)


def _of_one_frequency(
    path: FilePath, centers: Floats, asked_hz: float | None, notes: list[str]
) -> list[int]:
    """Return the transmits of one centre frequency, and note which others there are."""
    known, counts = np.unique(centers.round(-1), return_counts=True)
    shown = ", ".join(
        f"{hz / 1e6:g}MHz ({n})" for hz, n in zip(known, counts, strict=True)
    )
    center_hz = float(known[counts.argmax()])
    if asked_hz is not None:
        center_hz = float(known[np.abs(known - asked_hz).argmin()])
        if abs(center_hz - asked_hz) > 0.005 * asked_hz:
            raise ValueError(
                f"{path} has no transmits of {asked_hz / 1e6:g} MHz; it has {shown}"
            )
    elif len(known) > 1:
        notes.append(
            f"transmits of {center_hz / 1e6:g} MHz were read; choose others with "
            f"--acquisition: {shown}"
        )
    return [int(i) for i in np.flatnonzero(centers.round(-1) == center_hz)]


def _vector(
    scan: h5py.Group,
    name: str,
    count: int,
    default: float | None = None,
) -> Floats:
    """Read one number a transmit; infinities are kept."""
    if default is not None and not has_member(scan, name):
        return np.full(count, default)
    dataset = find_dataset(scan, name, ndim=1, max_bytes=2**20)
    values = np.asarray(dataset[()], np.float64)
    if values.shape != (count,) or np.isnan(values).any():
        raise FileFormatError(
            f"{scan.file.filename}: {name} has shape {values.shape} or holds NaN; "
            f"{count} numbers were expected"
        )
    return values


def _frame_interval(scan: h5py.Group, frames: int, n_tx: int) -> float | None:
    if frames < 2 or not has_member(scan, "time_to_next_transmit"):
        return None
    steps = read_array(scan, "time_to_next_transmit", max_bytes=2**24)
    interval = n_tx * float(steps.mean())
    return interval if 0 < interval < 1e6 else None


class _Beams:
    """Describes the transmits of a scan, and when each passes its origin."""

    def __init__(
        self,
        path: FilePath,
        scan: h5py.Group,
        elements: Floats,
        n_tx: int,
        speed: float,
        wavelength_m: float,
        notes: list[str],
    ) -> None:
        focus = _vector(scan, "focus_distances", n_tx, np.inf)
        angles = _vector(scan, "polar_angles", n_tx)
        azimuth = _vector(scan, "azimuth_angles", n_tx, 0.0)
        if np.abs(np.sin(angles) * np.sin(azimuth)).max() > 1e-6:
            raise FileFormatError(f"{path} is steered in elevation; 2-D only is read")
        if not np.abs(angles).max() <= np.pi:
            raise FileFormatError(f"{path}: a polar angle is beyond pi; radians only")
        # An azimuth of pi turns the beam to the other side.
        angles = angles * np.where(np.cos(azimuth) < 0, -1.0, 1.0)
        in_wavelengths = np.isfinite(focus) & (np.abs(focus) >= 1)
        if in_wavelengths.any():
            focus = np.where(in_wavelengths, focus * wavelength_m, focus)
            notes.append("focus distances of 1 and more were taken as wavelengths")
        origins = np.zeros((n_tx, 3))
        if has_member(scan, "transmit_origins"):
            origins = self._table(scan, "transmit_origins", (n_tx, 3))
        shape = (n_tx, len(elements))
        self._delays = self._table(scan, "t0_delays", shape)
        self._active = np.ones(shape, bool)
        if has_member(scan, "tx_apodizations"):
            self._active = self._table(scan, "tx_apodizations", shape) != 0
        self.transmits: list[Transmit] = []
        self.passes_origin_s = np.zeros(n_tx)
        unfit = 0
        for i in range(n_tx):
            point = (float(origins[i, 0]), float(origins[i, 1]), float(origins[i, 2]))
            transmit = transmit_of(float(focus[i]), float(angles[i]), point)
            path_m = element_paths_m(transmit, elements)
            active = self._active[i] if self._active[i].any() else slice(None)
            constants = (self._delays[i] - path_m / speed)[active]
            if np.ptp(constants) > _DELAY_TOLERANCE_S and not np.any(self._delays[i]):
                constants = -np.atleast_1d((path_m / speed)[active].min())
                unfit += 1
            self.transmits.append(transmit)
            self.passes_origin_s[i] = constants.mean()
        if unfit:
            notes.append(
                f"t0_delays of {unfit} steered transmits are all zero: taken from "
                "their angle and focus"
            )
        if len({type(transmit) for transmit in self.transmits}) > 1:
            raise FileFormatError(f"{path} mixes plane, diverging and focused waves")

    @staticmethod
    def _table(scan: h5py.Group, name: str, shape: tuple[int, int]) -> Floats:
        values = read_array(scan, name, ndim=2, max_bytes=2**26).astype(np.float64)
        if values.shape != shape:
            raise FileFormatError(
                f"{scan.file.filename}: {name} has shape {values.shape}; {shape} was "
                "expected"
            )
        return values


class _ZeaSamples(Hdf5Samples):
    """Raw data of some transmits; ``turn`` puts the phase of their IQ right."""

    def __init__(
        self,
        path: FilePath,
        name: str,
        shape: tuple[int, int, int, int],
        turn: npt.NDArray[np.complex128] | None,
        transmits: list[int],
    ) -> None:
        super().__init__(path, shape, np.float32 if turn is None else np.complex64)
        self._group, _, self._name = name.lstrip("/").rpartition("/")
        self._turn = None if turn is None else turn.astype(np.complex64)
        self._transmits = transmits

    def _record(self, file: h5py.File, frame: int, transmit: int) -> npt.NDArray[Any]:
        group = subgroup(file, self._group)
        raw = find_dataset(group, self._name, ndim=5, max_bytes=None)
        block = np.asarray(raw[frame, self._transmits[transmit]], np.float32)
        if self._turn is None:
            return np.asarray(block[..., 0].T)
        record = block[..., 0].T.astype(np.complex64)
        record.imag = block[..., 1].T
        return np.asarray(record * self._turn[transmit])
