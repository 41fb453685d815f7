"""Writing a simulated acquisition and its phantom as PICMUS files.

The layout is that of the challenge's own writers (``us_dataset.m``, ``us_phantom.m``):
float32 in SI units, each array with the axes of MATLAB reversed, scalars as arrays of
one, attributes of text and enumerations as arrays of one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.data import ChannelData, PlaneWave
from napari_usflow.ultrasound.simulate.scene import Scene

__all__ = ["is_whole", "write_dataset", "write_phantom"]

_GROUP = "US/US_DATASET0000"
_DATASET_VERSION, _PHANTOM_VERSION = "v.0.0.40", "v.0.0.39"
_ENUMERATIONS = {
    "type": {"US": 0, "SR": 1},
    "subtype": {"STA": 0, "CPW": 1, "VS": 2, "BS": 3},
    "signal_format": {"RF": 0, "IQ": 1},
}


def write_dataset(path: Path, channel_data: ChannelData) -> None:
    """Write channel data of plane waves as a PICMUS dataset.

    Parameters
    ----------
    path : Path
        File to be made or replaced; a reader never sees it half written.
    channel_data : ChannelData
        One frame, RF or IQ, all transmits with one start time.

    Raises
    ------
    ValueError
        If there are several frames or start times, or other transmits than plane
        waves, which the layout has no place for.
    """
    data = channel_data
    waves = [wave for wave in data.transmits if isinstance(wave, PlaneWave)]
    if len(waves) < len(data.transmits):
        raise ValueError("a PICMUS dataset holds plane waves only")
    if data.samples.shape[0] != 1 or np.ptp(data.start_time_s) > 0:
        raise ValueError(
            f"a PICMUS dataset holds one frame and one start time, got "
            f"{data.samples.shape[0]} frames and {np.unique(data.start_time_s).size} "
            "start times"
        )
    with _replacing(path, _DATASET_VERSION) as group:
        _describe(group, data.metadata.get("name", path.stem), is_iq=data.is_iq)
        group.attrs["version"] = _text("v1.96")
        for part in ("real", "imag"):
            target = group.create_dataset(
                f"data/{part}",
                data.samples.shape[1:],
                np.float32,
                chunks=(1, *data.samples.shape[2:]),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
                fletcher32=True,
            )
            # The imaginary part of RF is stored too, as zeros.
            for transmit in range(data.samples.shape[1]):
                target[transmit] = getattr(data.samples[0, transmit], part)
        for name, values in (
            ("angles", [wave.angle_rad for wave in waves]),
            ("probe_geometry", data.element_positions_m.T),
            ("initial_time", data.start_time_s[:1]),
            ("sampling_frequency", [data.sampling_frequency_hz]),
            ("modulation_frequency", [data.demodulation_frequency_hz]),
            ("sound_speed", [data.sound_speed_m_s]),
            ("PRF", [100.0]),
        ):
            group[name] = np.asarray(values, np.float32)


def write_phantom(
    path: Path,
    scene: Scene,
    *,
    axial_resolution_mm: float,
    lateral_resolution_mm: float,
) -> None:
    """Write a scene as a PICMUS phantom.

    Parameters
    ----------
    path : Path
        File to be made or replaced; a reader never sees it half written.
    scene : Scene
        Scatterers and targets; a kind of target that it lacks is written as a single
        zero, as in the challenge's files.
    axial_resolution_mm, lateral_resolution_mm : float
        Of the imaging system. The half sizes of speckle regions are stored in units
        of them, and masks of cysts keep a margin of 1.1 lateral resolutions.
    """
    with _replacing(path, _PHANTOM_VERSION) as group:
        _describe(group, scene.name, is_iq=True)
        group.attrs["author"] = group.attrs["affiliation"] = _text("napari-usflow")
        x, z = scene.positions_m[:, 0], scene.positions_m[:, 2]
        points, cysts, regions = (
            targets if len(targets) else np.zeros((1, targets.shape[1]))
            for targets in (
                1e-3 * scene.points_mm,
                1e-3 * scene.cysts_mm,
                1e-3 * scene.speckle_regions_mm,
            )
        )
        axial, lateral = 1e-3 * axial_resolution_mm, 1e-3 * lateral_resolution_mm
        columns: Mapping[str, Any] = {
            "scatterers_positions": scene.positions_m.T,
            "scatterers_amplitude": scene.amplitudes,
            "nb_scatterers": [len(scene.amplitudes)],
            "phantom_xPts": points[:, 1],
            "phantom_zPts": points[:, 0],
            "phantom_xLimits": [x.min(), x.max()],
            "phantom_zLimits": [z.min(), z.max()],
            "phantom_bckDensity": [0.0],
            "phantom_occlusionCenterX": cysts[:, 1],
            "phantom_occlusionCenterZ": cysts[:, 0],
            "phantom_occlusionDiameter": cysts[:, 2],
            "phantom_RoiCenterX": regions[:, 1],
            "phantom_RoiCenterZ": regions[:, 0],
            "phantom_RoiPsfTimeX": regions[:, 3] / lateral,
            "phantom_RoiPsfTimeZ": regions[:, 2] / axial,
            "phantom_lateralResolution": [lateral],
            "phantom_axialResolution": [axial],
        }
        for name, values in columns.items():
            array = np.asarray(values, np.float32)
            group.create_dataset(name, data=array, chunks=array.shape, fletcher32=True)


def is_whole(path: Path) -> bool:
    """Whether a file written here can be read to its last byte."""
    try:
        with h5py.File(path, "r") as file:
            read = [member[()].size for member in _datasets(file[_GROUP])]
    except (OSError, KeyError):
        return False
    return len(read) > 0


def _datasets(group: h5py.Group) -> Iterator[h5py.Dataset]:
    for member in group.values():
        if isinstance(member, h5py.Group):
            yield from _datasets(member)
        else:
            yield member


def _describe(group: h5py.Group, name: str, *, is_iq: bool) -> None:
    """Write the attributes that every file of the challenge has."""
    values = {"type": 0, "subtype": 1, "signal_format": int(is_iq)}
    for attribute, members in _ENUMERATIONS.items():
        group.attrs.create(
            attribute,
            [values[attribute]],
            dtype=h5py.enum_dtype(members, basetype="i4"),
        )
    group.attrs["name"] = _text(name)
    now = datetime.now()
    group.attrs["creation_date"] = _text(f"{now:%Y/%m/%d %H:%M:%S}")


def _text(value: str) -> npt.NDArray[np.bytes_]:
    return np.array([value.encode("utf-8")])


@contextmanager
def _replacing(path: Path, version: str) -> Iterator[h5py.Group]:
    """Write a file beside ``path``, and rename it only once it is complete."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with h5py.File(beside, "w") as file:
            file.attrs["version"] = _text(version)
            yield file.create_group(_GROUP)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
