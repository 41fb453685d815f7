"""The channel data of a CUBDL file, by the conventions of its institution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.channel_samples import Hdf5Samples
from napari_usflow.io.cubdl.conventions import INSTITUTIONS, Conventions
from napari_usflow.io.cubdl.identify import Identity, identify
from napari_usflow.io.cubdl.samples import (
    ChannelMajorSamples,
    DemodulatedSamples,
    TransmitSamples,
)
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    has_member,
    open_hdf5,
    read_array,
    read_scalar,
)
from napari_usflow.ultrasound.data import (
    ChannelData,
    FocusedBeam,
    PlaneWave,
    Transmit,
)

__all__ = ["read_channel_data"]

Floats = npt.NDArray[np.float64]

_CHANNELS_OF_CHANNEL_MAJOR = 128
_MAX_TRANSMITS = 10_000
_MAX_SIDE_BYTES = 2**24


def read_channel_data(path: FilePath, *, acquisition: str | None = None) -> ChannelData:
    """Read an acquisition; its samples stay in the file until they are indexed.

    Every departure from what the file says is a row of
    :data:`~napari_usflow.io.cubdl.conventions.CONVENTIONS`; what had to be guessed is
    a sentence in ``metadata["notes"]``.

    Parameters
    ----------
    path : path
        A file of this layout.
    acquisition : str, optional
        Which it is, such as ``MYO003``, where its name does not say it.

    Returns
    -------
    ChannelData
        Samples (1, transmits, channels, samples): float32 RF, or complex64 IQ of an
        institution whose data the challenge demodulates. Plane waves, or focused
        beams. ``metadata["depth_mm"]`` are the depths that the challenge shows.

    Raises
    ------
    FileFormatError
        When the file is damaged, not plausible, or it cannot be told which it is.
    ValueError
        When ``acquisition`` names nothing.
    """
    with open_hdf5(path) as file:
        identity = identify(file, path, acquisition)
        row, notes = identity.conventions, list(identity.notes)
        fs = read_scalar(file, row.sampling)
        carrier = read_scalar(file, "modulation_frequency")
        speed = _sound_speed(file, identity, notes)
        for name, value, low, high, unit in (
            (row.sampling, fs, 1e4, 1e10, "Hz"),
            ("modulation_frequency", carrier, 1e4, 1e9, "Hz"),
            ("sound_speed", speed, 100.0, 1e4, "m/s"),
        ):
            if not low <= value <= high:
                raise FileFormatError(
                    f"{path}: {name} is {value:g}; {low:g} to {high:g} {unit} was "
                    "expected"
                )
        shape = _shape(file, row)
        elements = _elements(file, row, shape[2])
        transmits = _transmits(file, row, shape[1], elements, notes)
        start = _start_times(file, row, transmits, elements, speed, carrier)
    if not (np.abs(elements) < 1).all() or not (np.abs(start) < 1).all():
        raise FileFormatError(
            f"{path}: the elements lie up to {np.abs(elements).max():g} m from the "
            f"middle and records start up to {np.abs(start).max():g} s from time "
            "zero; less than 1 was expected of both"
        )
    samples: Hdf5Samples = TransmitSamples(path, shape)
    demodulation, step = 0.0, 1
    if row.channel_major:
        samples = ChannelMajorSamples(path, shape)
    if row.demodulated and fs >= 2 * carrier:
        demodulation, step = carrier, math.floor(fs / carrier)
        samples = DemodulatedSamples(
            path, shape, rate_hz=fs, carrier_hz=carrier, start_s=start, step=step
        )
        notes.append(f"RF demodulated and decimated by {step}, as the challenge does")
    return ChannelData(
        samples,
        elements,
        fs / step,
        carrier,
        demodulation,
        speed,
        start,
        transmits,
        metadata={
            "title": f"{identity.name}, {INSTITUTIONS[row.institution]}",
            "acquisition": identity.name,
            "depth_mm": row.depth_mm,
            "notes": notes,
        },
    )


def _shape(file: h5py.File, row: Conventions) -> tuple[int, int, int, int]:
    """Return (1, transmits, channels, samples) of what is stored."""
    place = f"{file.filename}, /channel_data"
    stored = find_dataset(file, "channel_data", ndim=(2, 3), max_bytes=None)
    if not row.channel_major:
        if stored.ndim != 3:
            raise FileFormatError(
                f"{place} has shape {stored.shape}; (transmits, channels, samples) "
                "was expected"
            )
        shape = (int(stored.shape[0]), int(stored.shape[1]), int(stored.shape[2]))
    else:
        transmits = int(find_dataset(file, "angles", max_bytes=_MAX_SIDE_BYTES).size)
        channels, total = _CHANNELS_OF_CHANNEL_MAJOR, math.prod(stored.shape)
        samples, left = divmod(total, channels * transmits)
        if left or stored.shape[-1] not in (samples, samples * transmits):
            raise FileFormatError(
                f"{place} has shape {stored.shape}, which does not fit {channels} "
                f"channels and {transmits} angles"
            )
        shape = (transmits, channels, samples)
    if shape[0] > _MAX_TRANSMITS:
        raise FileFormatError(
            f"{place} has {shape[0]} transmits, at most {_MAX_TRANSMITS} are read"
        )
    return (1, *shape)


def _sound_speed(file: h5py.File, identity: Identity, notes: list[str]) -> float:
    row, number = identity.conventions, identity.acquisition
    if number is not None and number in row.acquisitions:
        known = row.sound_speed.get(number, row.usual_speed)
        if known is not None:
            return known
    if has_member(file, "sound_speed"):
        return read_scalar(file, "sound_speed")
    if row.usual_speed is None:
        raise FileFormatError(f"{file.filename} has no 'sound_speed'")
    notes.append(f"sound speed not known: {row.usual_speed:g} m/s is taken")
    return row.usual_speed


def _elements(file: h5py.File, row: Conventions, count: int) -> Floats:
    """Return the positions of the elements, shape (channels, 3), in m."""
    elements = np.zeros((count, 3))
    pitch = row.pitch_m
    if row.beams == "half pitch":
        pitch = read_scalar(file, "pitch")
    if pitch is not None:
        elements[:, 0] = pitch * (np.arange(count) - (count - 1) / 2)
        return elements
    stored = _per(file, "element_positions", count)
    elements[:, : len(stored)] = stored[:3].T
    if row.centred:
        elements[:, 0] -= elements[:, 0].mean()
    return elements


def _per(file: h5py.File, name: str, count: int, *, first: str = "row") -> Floats:
    """Read one or more values for each of so many things, shape (values, count).

    ``first`` says along which axis the first values lie where both would do.
    """
    array = read_array(file, name, max_bytes=_MAX_SIDE_BYTES).astype(np.float64)
    array = array.reshape(1, -1) if array.ndim < 2 else array
    if array.ndim == 2 and (array.shape[1] != count or first == "column"):
        array = array.T if array.shape[0] == count else array
    if array.ndim != 2 or array.shape[1] != count:
        raise FileFormatError(
            f"{file.filename}: {name} has shape {array.shape}; {count} values were "
            "expected"
        )
    return array


def _transmits(
    file: h5py.File,
    row: Conventions,
    count: int,
    elements: Floats,
    notes: list[str],
) -> Sequence[Transmit]:
    if row.beams is not None:
        return _focused_beams(file, row, count, elements, notes)
    if row.angles == "16 degrees":
        angles = np.radians(np.linspace(-16, 16, count))
    elif row.angles in ("row", "column"):
        angles = _per(file, "transmit_direction", count, first=row.angles)[0]
    else:
        angles = _per(file, "angles", count)[0]
        steepest = float(np.abs(angles).max())
        if row.angles == "degrees" or steepest > np.pi / 2:
            if row.angles != "degrees":
                notes.append(f"angles up to {steepest:g} are taken for degrees")
            angles = np.radians(angles)
    _check_angles(file, angles)
    return [PlaneWave(float(angle)) for angle in angles]


def _focused_beams(
    file: h5py.File,
    row: Conventions,
    count: int,
    elements: Floats,
    notes: list[str],
) -> list[Transmit]:
    focus = read_array(file, "transmit_focus", max_bytes=_MAX_SIDE_BYTES)
    focus = focus.ravel().astype(np.float64)
    focus = focus if focus.size == count else np.full(count, focus[0])
    if not ((focus > 0) & (focus < 1)).all():
        notes.append("a stored focal distance is not one; taken as infinitely far")
        focus = np.where((focus > 0) & (focus < 1), focus, np.inf)
    origins, angles = np.zeros((count, 3)), np.zeros(count)
    if row.beams == "half pitch":
        pitch = float(elements[1, 0] - elements[0, 0]) if len(elements) > 1 else 0.0
        origins[:, 0] = pitch / 2 * (np.arange(count) - (count - 1) / 2)
    else:
        stored = _per(file, "transmit_origin", count)
        origins[:, : len(stored)] = row.origin_factor * stored[:3].T
        angles = row.direction_factor * _per(file, "transmit_direction", count)[0]
    _check_angles(file, angles)
    return [
        FocusedBeam(float(angle), float(distance), (float(x), float(y), float(z)))
        for angle, distance, (x, y, z) in zip(angles, focus, origins, strict=True)
    ]


def _check_angles(file: h5py.File, angles: Floats) -> None:
    steepest = float(np.abs(angles).max())
    if not steepest < np.pi / 2:
        raise FileFormatError(
            f"{file.filename}: an angle is {steepest:g}; less than a quarter of a turn "
            "was expected"
        )


def _start_times(
    file: h5py.File,
    row: Conventions,
    transmits: Sequence[Transmit],
    elements: Floats,
    speed: float,
    carrier: float,
) -> Floats:
    """Return the time of each first sample from time zero of its transmit, in s."""
    start = np.zeros(len(transmits))
    if row.start is not None:
        stored = read_array(file, row.start, max_bytes=_MAX_SIDE_BYTES)
        stored = stored.astype(np.float64)
        if stored.size == 1:
            stored = np.full(len(transmits), stored.item())
        elif stored.size == len(transmits):
            stored = stored.ravel()
        else:
            stored = _per(file, row.start, len(transmits))[0]
        start += row.start_sign * (stored.min() if row.start_is_smallest else stored)
    if row.first_to_fire:
        waves = [wave for wave in transmits if isinstance(wave, PlaneWave)]
        sines = np.abs(np.sin([wave.angle_rad for wave in waves]))
        start -= elements[-1, 0] * sines / speed
    return start - row.late_periods / carrier
