"""Plane-wave channel data in the HDF5 layout of the pybf beamformer.

``data/rf_data/frame_L/shot_M`` holds the RF of one transmit, (elements, samples);
``data/tx_mode/PW_<n>_<deg>`` the n angles in radians; ``trans_params`` the probe.
Single numbers are stored with shape (), (1,), (1, 1) or (1, 1, 1).

The time of the first sample, counted from the wave at the array's centre, is
``-data/correction_time_shift`` in simulations, and ``start_time - correction_time`` of
``hardware_params`` in experiments.

Reference: the layout is described beside pybf's test data
(https://github.com/Sergio5714/pybf, ``tests/data/README.md``).
"""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.channel_samples import Hdf5Samples
from napari_usflow.io.guards.file_checks import FilePath, SourceFile
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    has_member,
    member_names,
    open_hdf5,
    read_array,
    read_scalar,
    subgroup,
)
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.data import ChannelData, PlaneWave

__all__ = ["PATTERNS", "TITLE", "detect", "open_file", "read_channel_data"]

TITLE = "pybf HDF5 files"
PATTERNS = ("*.hdf5", "*.h5")

SOUND_SPEED_M_S = 1540.0
"""Not in these files; the mean of soft tissue is assumed."""

_MAX_FRAMES = 100_000
_MAX_ELEMENTS = 65_536


def detect(file: SourceFile) -> str | None:
    """Return ``pybf`` for a file of this layout, else None; reads no data."""
    if not file.is_hdf5:
        return None
    with open_hdf5(file) as hdf5:
        if not (has_member(hdf5, "data") and has_member(hdf5, "trans_params")):
            return None
        data = subgroup(hdf5, "data")
        ours = has_member(data, "rf_data") and has_member(data, "tx_mode")
        return "pybf" if ours else None


def read_channel_data(path: FilePath) -> ChannelData:
    """Read the acquisition; its samples stay in the file until they are indexed.

    Returns
    -------
    ChannelData
        Samples (frames, angles, channels, samples), float32 RF.

    Raises
    ------
    FileFormatError
        When the file is damaged, of another layout or not plausible.
    """
    with open_hdf5(path) as file:
        frames = _numbered(subgroup(file, "data/rf_data"), "frame")
        angles = _angles(file)
        count = read_scalar(file, "trans_params/x_num_of_elements")
        pitch = read_scalar(file, "trans_params/x_pitch")
        center = read_scalar(file, "trans_params/f_central")
        fs = _first_scalar(file, "data/f_sampling", "hardware_params/f_sampling_hz")
        fps = _first_scalar(file, "data/fps", default=0.0)
        for name, value, high in (
            ("f_sampling", fs, 1e10),
            ("f_central", center, 1e9),
            ("x_pitch", pitch, 0.1),
            ("x_num_of_elements", count, _MAX_ELEMENTS),
        ):
            if not 0 < value <= high:
                raise FileFormatError(
                    f"{path}: {name} is {value:g}; up to {high:g} was expected"
                )
        shots = _numbered(subgroup(file, f"data/rf_data/{frames[0]}"), "shot")
        first = find_dataset(
            file, f"data/rf_data/{frames[0]}/{shots[0]}", ndim=2, max_bytes=None
        )
        if len(shots) != angles.size or first.shape[0] != count:
            raise FileFormatError(
                f"{path}: {len(shots)} shots of shape {first.shape} do not fit "
                f"{angles.size} angles and {count:g} elements"
            )
        shape = (len(frames), len(shots), int(first.shape[0]), int(first.shape[1]))
        start, notes = _start(file)
    x_m = pitch * (np.arange(shape[2]) - (shape[2] - 1) / 2)
    return ChannelData(
        _PybfSamples(path, shape, frames, shots),
        np.stack([x_m, np.zeros_like(x_m), np.zeros_like(x_m)], axis=1),
        fs,
        center,
        0.0,
        SOUND_SPEED_M_S,
        np.full(angles.size, start),
        [PlaneWave(float(angle)) for angle in angles],
        frame_interval_s=1 / fps if len(frames) > 1 and fps > 0 else None,
        metadata={
            "notes": [*notes, f"sound speed {SOUND_SPEED_M_S:g} m/s is assumed"],
        },
    )


def _numbered(group: h5py.Group, stem: str) -> list[str]:
    """List the members ``<stem>_1``, ``<stem>_2``, ... by rising number."""
    names = member_names(group, _MAX_FRAMES + 1)
    if len(names) > _MAX_FRAMES:
        raise FileFormatError(
            f"{group.file.filename}, {group.name} has more than {_MAX_FRAMES} members"
        )
    members = {
        int(match[1]): name
        for name in names
        if (match := re.fullmatch(rf"{stem}_(\d{{1,9}})", name))
    }
    if not members:
        raise FileFormatError(f"{group.file.filename}, {group.name} has no {stem}_1")
    return [members[number] for number in sorted(members)]


def _angles(file: h5py.File) -> npt.NDArray[np.float64]:
    modes = [
        name
        for name in member_names(subgroup(file, "data/tx_mode"), 64)
        if name.startswith("PW")
    ]
    if len(modes) != 1:
        raise FileFormatError(
            f"{file.filename}: one plane-wave mode is read, data/tx_mode has {modes}"
        )
    angles = read_array(file, f"data/tx_mode/{modes[0]}", max_bytes=2**20)
    if np.abs(angles).max() > np.pi / 2:
        raise FileFormatError(
            f"{file.filename}: an angle is {np.abs(angles).max():g}; "
            "radians are expected"
        )
    return angles.ravel().astype(np.float64)


def _first_scalar(file: h5py.File, *names: str, default: float | None = None) -> float:
    for name in names:
        parent, _, last = name.rpartition("/")
        if has_member(file, parent) and has_member(subgroup(file, parent), last):
            return read_scalar(file, name)
    if default is None:
        raise FileFormatError(f"{file.filename} has none of {', '.join(names)}")
    return default


def _start(file: h5py.File) -> tuple[float, list[str]]:
    """Return the time of the first sample in seconds, and notes about it."""
    if has_member(subgroup(file, "data"), "correction_time_shift"):
        return -read_scalar(file, "data/correction_time_shift"), []
    if has_member(file, "hardware_params"):
        start = _first_scalar(file, "hardware_params/start_time", default=0.0)
        shift = _first_scalar(file, "hardware_params/correction_time", default=0.0)
        return start - shift, []
    start = _first_scalar(file, "sim_params/start_time", default=0.0)
    return start, ["the length of the pulse is not corrected for: the file lacks it"]


class _PybfSamples(Hdf5Samples):
    def __init__(
        self,
        path: FilePath,
        shape: tuple[int, int, int, int],
        frames: list[str],
        shots: list[str],
    ) -> None:
        super().__init__(path, shape, np.float32)
        self._frames = frames
        self._shots = shots

    def _record(self, file: h5py.File, frame: int, transmit: int) -> npt.NDArray[Any]:
        name = f"data/rf_data/{self._frames[frame]}/{self._shots[transmit]}"
        return read_array(file, name, ndim=2).astype(np.float32)


def open_file(file: SourceFile) -> Opened:
    """Open an acquisition."""
    return Opened(channel_data=read_channel_data(file))
