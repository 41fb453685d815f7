"""UFF files as MATLAB writes them: axes reversed, numbers of shape (1, 1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def _label(node: Any, class_: str, name: str, **attributes: Any) -> None:
    node.attrs["class"] = np.bytes_(class_)
    node.attrs["name"] = np.bytes_(name)
    for key, value in attributes.items():
        node.attrs[key] = np.array([value], np.int32)


def write_object(
    parent: h5py.Group, name: str, class_: str, size: int = 1
) -> h5py.Group:
    group = parent.create_group(name)
    _label(group, class_, name, array=int(size > 1))
    group.attrs["size"] = np.array([1, size], np.int32)
    return group


def write_array(parent: h5py.Group, name: str, values: Any) -> None:
    """Write a number or an array given in the order in which it is stored."""
    array = np.asarray(values)
    if array.ndim == 0:
        array = array.reshape(1, 1)
    if not np.iscomplexobj(array):
        parent[name] = array.astype(np.float32)
        _label(parent[name], "single", name, imaginary=0, complex=0)
        return
    group = parent.create_group(name)
    _label(group, "single", name, imaginary=0, complex=1)
    for part, is_imaginary in (("real", 0), ("imag", 1)):
        group[part] = getattr(array, part).astype(np.float32)
        _label(group[part], "single", name, imaginary=is_imaginary)


def write_wave(
    group: h5py.Group,
    *,
    wavefront: int,
    distance: float,
    azimuth: float,
    delay: float = 0.0,
    elevation: float = 0.0,
) -> None:
    group["wavefront"] = np.array([[wavefront]], np.int32)
    source = write_object(group, "source", "uff.point")
    write_array(source, "distance", distance)
    write_array(source, "azimuth", azimuth)
    write_array(source, "elevation", elevation)
    write_array(group, "delay", delay)
    write_array(group, "sound_speed", 1540.0)


def write_channel_data(
    file: h5py.File,
    samples: np.ndarray,
    waves: Sequence[dict[str, Any]],
    elements_m: np.ndarray,
    *,
    name: str = "channel_data",
    fs: float,
    initial_time: float,
    modulation: float = 0.0,
    center: float = 0.0,
    prf: float = 1000.0,
) -> h5py.Group:
    """Write samples (frames, waves, channels, samples); leading ones are dropped."""
    group = write_object(file, name, "uff.channel_data")
    while samples.ndim > 2 and samples.shape[0] == 1:
        samples = samples[0]
    write_array(group, "data", samples)
    write_array(group, "sampling_frequency", fs)
    write_array(group, "initial_time", initial_time)
    write_array(group, "sound_speed", 1540.0)
    write_array(group, "modulation_frequency", modulation)
    write_array(group, "PRF", prf)
    probe = write_object(group, "probe", "uff.linear_array")
    geometry = np.zeros((7, len(elements_m)))
    geometry[:3] = elements_m.T
    geometry[5:] = 0.25e-3
    write_array(probe, "geometry", geometry)
    write_array(probe, "N", len(elements_m))
    write_array(probe, "pitch", elements_m[1, 0] - elements_m[0, 0])
    if center:
        pulse = write_object(group, "pulse", "uff.pulse")
        write_array(pulse, "center_frequency", center)
    sequence = write_object(group, "sequence", "uff.wave", len(waves))
    if len(waves) == 1:
        write_wave(sequence, **waves[0])
    else:
        for number, wave in enumerate(waves, start=1):
            child = write_object(sequence, f"sequence_{number:04d}", "uff.wave")
            write_wave(child, **wave)
    return group


def write_linear_scan(parent: h5py.Group, name: str, z_m: Any, x_m: Any) -> None:
    scan = write_object(parent, name, "uff.linear_scan")
    write_array(scan, "x_axis", np.asarray(x_m)[None])
    write_array(scan, "z_axis", np.asarray(z_m)[None])


def write_sector_scan(
    parent: h5py.Group, name: str, depth_m: Any, azimuth_rad: Any, apex: tuple = (0, 0)
) -> None:
    """``apex`` is (distance, azimuth) of the sector's origin."""
    scan = write_object(parent, name, "uff.sector_scan")
    write_array(scan, "depth_axis", np.asarray(depth_m)[None])
    write_array(scan, "azimuth_axis", np.asarray(azimuth_rad)[None])
    origin = write_object(scan, "origin", "uff.point")
    write_array(origin, "distance", apex[0])
    write_array(origin, "azimuth", apex[1])


def write_image(
    file: h5py.File, picture: np.ndarray, name: str = "b_data"
) -> h5py.Group:
    """Write (frames, Z, X) with its pixels in a row, depth fastest; no scan yet."""
    group = write_object(file, name, "uff.beamformed_data")
    frames = picture.shape[0]
    pixels = picture.transpose(0, 2, 1).reshape(frames, 1, 1, -1)
    write_array(group, "data", pixels if frames > 1 else pixels[0, 0])
    return group


def new_file(path: Path) -> h5py.File:
    file = h5py.File(path, "w")
    file.attrs["version"] = np.bytes_("v1.0.1")
    return file
