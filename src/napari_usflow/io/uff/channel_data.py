"""Channel data of a UFF file.

Times follow the toolbox's own beamformer: sample n of a wave was taken
``initial_time + wave.delay + n / fs`` after its time zero, at which the wave passes the
origin of coordinates. A wave whose source lies before the array (z > 0) converges on
it, one whose source lies more than 1 mm behind the array spreads from it, and a source
in between is an element that fires alone.

IQ of a wave is demodulated from ``initial_time + n / fs`` on, its delay left out, as
the toolbox's beamformer has it; the phase is put right when a record is read.

A focused wave is one image line. Its line starts at the wave's ``origin`` where the
file gives one; else, when all sources have one depth and differ in x, straight above
its source (a linear array); else at the centre of the array (a phased array).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.channel_samples import Hdf5Samples
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import has_member, open_hdf5, read_array, subgroup
from napari_usflow.io.uff.objects import (
    ComplexData,
    children,
    class_of,
    number,
    objects_of,
)
from napari_usflow.ultrasound.data import (
    ChannelData,
    DivergingWave,
    FocusedBeam,
    PlaneWave,
    Transmit,
)

__all__ = ["read_channel_data"]

_PLANE, _PHOTOACOUSTIC = 0, 2
_BEHIND_M = -1e-3
_CENTRE = (0.0, 0.0, 0.0)
_PLAUSIBLE = (
    ("sampling_frequency", 1e4, 1e10),
    ("sound_speed", 100.0, 1e4),
    ("initial_time", -1.0, 1.0),
    ("modulation_frequency", 0.0, 1e9),
)


def read_channel_data(path: FilePath) -> ChannelData:
    """Read the first channel data of a file; its samples stay there until indexed.

    Returns
    -------
    ChannelData
        Samples (frames, waves, channels, samples), float32 RF or complex64 IQ.

    Raises
    ------
    FileFormatError
        When there are none, or they are damaged, implausible, three-dimensional or
        photoacoustic.
    """
    with open_hdf5(path) as file:
        groups = objects_of(file, "uff.channel_data")
        if not groups:
            raise FileFormatError(f"{path} has no uff.channel_data")
        group = groups[0]
        values = {
            name: number(group, name, 0.0 if name == "modulation_frequency" else None)
            for name, _, _ in _PLAUSIBLE
        }
        for name, low, high in _PLAUSIBLE:
            if not low <= values[name] <= high:
                raise FileFormatError(
                    f"{path}, {group.name}/{name} is {values[name]:g}; {low:g} to "
                    f"{high:g} was expected"
                )
        notes = _notes(group, len(groups))
        elements = _elements(group)
        waves = [_Wave.read(wave) for wave in children(group, "sequence")]
        data = ComplexData(group, "data")
        shape = (1,) * (4 - len(data.shape)) + data.shape
        if shape[1:3] != (len(waves), len(elements)):
            raise FileFormatError(
                f"{path}, {group.name}/data has shape {data.shape}, which does not fit "
                f"{len(waves)} waves and {len(elements)} elements; (frames, waves, "
                "channels, samples) was expected"
            )
        modulation = values["modulation_frequency"]
        is_iq = data.is_complex and modulation > 0
        if data.is_complex and not is_iq:
            notes.append("modulation_frequency is 0: the real part is read as RF")
        center = _center(group) or modulation
        frame_interval = _frame_interval(group, shape)
        samples = _UffSamples(
            path,
            group.name.lstrip("/"),
            (shape[0], shape[1], shape[2], shape[3]),
            is_iq=is_iq,
        )
    transmits, shifts_m = _transmits(path, waves)
    delays_s = np.array([wave.delay_s for wave in waves])
    late_s = delays_s + shifts_m / values["sound_speed"]
    if is_iq:
        samples.turn = np.exp(-2j * np.pi * modulation * late_s).astype(np.complex64)
    return ChannelData(
        samples,
        elements,
        values["sampling_frequency"],
        center,
        modulation if is_iq else 0.0,
        values["sound_speed"],
        values["initial_time"] + late_s,
        transmits,
        frame_interval_s=frame_interval,
        metadata={"notes": notes},
    )


def _notes(group: h5py.Group, count: int) -> list[str]:
    if count == 1:
        return []
    return [f"{group.name} was read, the first of {count} channel data"]


def _center(group: h5py.Group) -> float:
    """Centre frequency of the pulse; 0 when it is not known."""
    if not has_member(group, "pulse"):
        return 0.0
    center = number(subgroup(group, "pulse"), "center_frequency", 0.0)
    return center if 0 < center < 1e9 else 0.0


def _frame_interval(group: h5py.Group, shape: tuple[int, ...]) -> float | None:
    """Time between frames: one pulse repetition interval a wave."""
    rate = max(number(group, name, 0.0) for name in ("PRF", "prf"))
    return shape[1] / rate if shape[0] > 1 and rate > 0 else None


def _elements(group: h5py.Group) -> npt.NDArray[np.float64]:
    """Positions of the elements, (N, 3) in metres."""
    probe = subgroup(group, "probe")
    if has_member(probe, "geometry"):
        geometry = read_array(probe, "geometry", ndim=2, max_bytes=2**24)
        rows = geometry if geometry.shape[0] in (3, 7) else geometry.T
        if rows.shape[0] not in (3, 7):
            raise FileFormatError(
                f"{probe.file.filename}, {probe.name}/geometry has shape "
                f"{geometry.shape}; seven numbers an element were expected"
            )
        positions = rows[:3].T.astype(np.float64)
    else:
        count, pitch = number(probe, "N"), number(probe, "pitch")
        if not (1 <= count <= 65_536 and 0 < pitch < 0.1):
            raise FileFormatError(
                f"{probe.file.filename}, {probe.name} has {count:g} elements every "
                f"{pitch:g} m"
            )
        along = pitch * (np.arange(int(count)) - (int(count) - 1) / 2)
        positions = np.zeros((along.size, 3))
        if class_of(probe) == "uff.curvilinear_array":
            radius = number(probe, "radius")
            angle = along / pitch * 2 * np.arcsin(min(pitch / 2 / radius, 1.0))
            along = radius * np.sin(angle)
            positions[:, 2] = radius * (np.cos(angle) - 1)
        positions[:, 0] = along
    if np.abs(positions).max() > 1 or np.ptp(positions[:, 1]) > 1e-6:
        raise FileFormatError(
            f"{probe.file.filename}, {probe.name} is not one row of elements in metres"
        )
    return positions


@dataclass(frozen=True)
class _Wave:
    """Description of one wave in a file; the source as (distance, azimuth)."""

    is_plane: bool
    distance_m: float
    azimuth_rad: float
    delay_s: float
    origin_m: tuple[float, float, float] | None

    @classmethod
    def read(cls, group: h5py.Group) -> _Wave:
        place = f"{group.file.filename}, {group.name}"
        source = subgroup(group, "source")
        distance = number(source, "distance", 0.0, finite=False)
        azimuth = number(source, "azimuth", 0.0)
        elevation = number(source, "elevation", 0.0)
        delay = number(group, "delay", 0.0)
        front = number(group, "wavefront", 1.0)
        if front == _PHOTOACOUSTIC:
            raise FileFormatError(f"{place} is photoacoustic: no wave was transmitted")
        if abs(elevation) > 1e-6:
            raise FileFormatError(f"{place} is steered in elevation; 2-D only is read")
        if abs(azimuth) > np.pi or abs(delay) > 1:
            raise FileFormatError(
                f"{place} has the azimuth {azimuth:g} rad and the delay {delay:g} s"
            )
        origin = None
        if has_member(group, "origin"):
            origin = _position(subgroup(group, "origin"))
        is_plane = front == _PLANE or np.isinf(distance)
        return cls(is_plane, distance, azimuth, delay, origin)

    @property
    def source_m(self) -> tuple[float, float, float]:
        return (
            self.distance_m * float(np.sin(self.azimuth_rad)),
            0.0,
            self.distance_m * float(np.cos(self.azimuth_rad)),
        )


def _position(point: h5py.Group) -> tuple[float, float, float]:
    distance, azimuth = number(point, "distance", 0.0), number(point, "azimuth", 0.0)
    return (distance * float(np.sin(azimuth)), 0.0, distance * float(np.cos(azimuth)))


def _transmits(
    path: FilePath, waves: list[_Wave]
) -> tuple[list[Transmit], npt.NDArray[np.float64]]:
    """Describe the waves, and give the path from time zero to that of the transmit."""
    transmits: list[Transmit] = []
    shifts_m: list[float] = []
    sources = np.array([wave.source_m for wave in waves if not wave.is_plane])
    walks = len(sources) > 1 and (
        np.ptp(sources[:, 2]) <= 1e-6 < 1e-5 < np.ptp(sources[:, 0])
    )
    for wave in waves:
        source = wave.source_m
        if wave.is_plane:
            transmits.append(PlaneWave(wave.azimuth_rad))
            shifts_m.append(0.0)
        elif source[2] < _BEHIND_M:
            transmits.append(DivergingWave(source, wave.origin_m or _CENTRE))
            shifts_m.append(0.0)
        elif source[2] <= -_BEHIND_M:
            transmits.append(DivergingWave(source, source))
            shifts_m.append(-abs(wave.distance_m))
        else:
            origin = wave.origin_m or ((source[0], 0.0, 0.0) if walks else _CENTRE)
            along = np.subtract(source, origin)
            focus = float(np.linalg.norm(along))
            angle = float(np.arctan2(along[0], along[2]))
            transmits.append(FocusedBeam(angle, focus, origin))
            shifts_m.append(focus - wave.distance_m)
    if len({type(transmit) for transmit in transmits}) > 1:
        raise FileFormatError(f"{path} mixes plane, diverging and focused waves")
    return transmits, np.array(shifts_m)


class _UffSamples(Hdf5Samples):
    def __init__(
        self,
        path: FilePath,
        group: str,
        shape: tuple[int, int, int, int],
        *,
        is_iq: bool,
    ) -> None:
        super().__init__(path, shape, np.complex64 if is_iq else np.float32)
        self._group = group
        self.turn: npt.NDArray[np.complex64] = np.ones(shape[1], np.complex64)
        """Factor of each wave that puts the phase of its IQ right."""

    def _record(self, file: h5py.File, frame: int, transmit: int) -> npt.NDArray[Any]:
        data = ComplexData(subgroup(file, self._group), "data")
        record = data[(frame, transmit)[4 - len(data.shape) :]]
        if self.dtype.kind != "c":
            return record.real
        return np.asarray(record * self.turn[transmit])
