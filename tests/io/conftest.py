"""Writers of tiny files in each layout that is read, with contents that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

SIGNALS = h5py.enum_dtype({"RF": 0, "IQ": 1, "ENV": 2}, basetype="i4")
TYPES = h5py.enum_dtype({"US": 0, "SR": 1}, basetype="i4")


def _picmus_group(
    file: h5py.File, *, type_: int, signal: int, title: str
) -> h5py.Group:
    file.attrs["version"] = np.array([b"v.0.0.40"])
    group = file.create_group("US/US_DATASET0000")
    group.attrs.create("type", [type_], dtype=TYPES)
    group.attrs.create("signal_format", [signal], dtype=SIGNALS)
    group.attrs["name"] = np.array([title.encode() + b"\0\0"])
    return group


def _numbers(group: h5py.Group, **values: object) -> None:
    for name, value in values.items():
        group[name] = np.atleast_1d(np.asarray(value, np.float32))


@pytest.fixture
def write_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Write channel data; ``samples`` is (angles, channels, samples) or 4-D."""

    def write(samples: np.ndarray, name: str = "x_dataset_rf.hdf5", **changes) -> Path:
        n_angles, n_channels = samples.shape[-3:-1]
        numbers = {
            "angles": np.linspace(-0.2, 0.2, n_angles),
            "initial_time": 3e-6,
            "sampling_frequency": 20.832e6,
            "modulation_frequency": 0.0,
            "sound_speed": 1540.0,
            "PRF": 100.0,
        }
        signal = changes.pop("signal", 0)
        stored = changes.pop("stored", samples)
        numbers.update(changes)
        with h5py.File(tmp_path / name, "w") as file:
            group = _picmus_group(file, type_=0, signal=signal, title="tiny")
            group["data/real"] = np.real(stored).astype(np.float32)
            group["data/imag"] = np.imag(stored).astype(np.float32)
            x_m = 0.3e-3 * (np.arange(n_channels) - (n_channels - 1) / 2)
            group["probe_geometry"] = np.stack([x_m, 0 * x_m, 0 * x_m]).astype("f4")
            _numbers(group, **numbers)
        return tmp_path / name

    return write


@pytest.fixture
def write_scan(tmp_path: Path) -> Callable[..., Path]:
    def write(z_m: np.ndarray, x_m: np.ndarray, name: str = "x_scan.hdf5") -> Path:
        with h5py.File(tmp_path / name, "w") as file:
            group = _picmus_group(file, type_=0, signal=1, title="")
            _numbers(group, x_axis=x_m, z_axis=z_m)
        return tmp_path / name

    return write


@pytest.fixture
def write_image(tmp_path: Path) -> Callable[..., Path]:
    """Write envelopes (images, Z, X), by default on a grid of 0.2 x 0.3 mm."""

    def write(
        envelopes: np.ndarray, counts: list[int], name: str = "img.hdf5", **changes
    ) -> Path:
        z_m = 10e-3 + 0.2e-3 * np.arange(envelopes.shape[1])
        x_m = 0.3e-3 * (np.arange(envelopes.shape[2]) - 1)
        with h5py.File(tmp_path / name, "w") as file:
            group = _picmus_group(file, type_=1, signal=2, title="das")
            group.attrs["algorithm"] = np.array([b"Delay-and-Sum"])
            # MATLAB stores [axial, lateral, image]; read here, that order is reversed.
            stored = changes.get("stored", envelopes.transpose(0, 2, 1))
            group["data/real"] = stored.astype(np.float32)
            group["data/imag"] = np.zeros(stored.shape, np.float32)
            _numbers(
                group.create_group("scan"),
                x_axis=changes.get("x_axis", x_m),
                z_axis=changes.get("z_axis", z_m),
            )
            _numbers(group, number_plane_waves=counts, receive_f_number=1.75)
            group["receive_apodization_window"] = np.array([b"Tukey 25%"])
        return tmp_path / name

    return write


@pytest.fixture
def write_phantom(tmp_path: Path) -> Callable[..., Path]:
    """Write a phantom; a single 0 stands for "none", as in the originals."""

    def write(name: str = "x_phantom.hdf5", **changes) -> Path:
        columns = {
            "phantom_xPts": [0.0],
            "phantom_zPts": [0.020],
            "phantom_occlusionCenterX": [0.0],
            "phantom_occlusionCenterZ": [0.0],
            "phantom_occlusionDiameter": [0.0],
            "phantom_RoiCenterX": [0.0],
            "phantom_RoiCenterZ": [0.0],
            "phantom_RoiPsfTimeX": [0.0],
            "phantom_RoiPsfTimeZ": [0.0],
            "phantom_lateralResolution": 0.6e-3,
            "phantom_axialResolution": 0.4e-3,
            "nb_scatterers": 99,
            "scatterers_amplitude": [1.0, 2.0],
        }
        positions = changes.pop(
            "scatterers_positions", [[1e-3, 2e-3], [0.0, 0.0], [3e-3, 4e-3]]
        )
        columns.update(changes)
        with h5py.File(tmp_path / name, "w") as file:
            group = _picmus_group(file, type_=0, signal=1, title="targets")
            _numbers(group, **columns)
            group["scatterers_positions"] = np.asarray(positions, np.float32)
        return tmp_path / name

    return write


@pytest.fixture
def write_pybf(tmp_path: Path) -> Callable[..., Path]:
    """Write RF (frames, angles, channels, samples) in the pybf layout."""

    def write(
        samples: np.ndarray,
        angles: list[float],
        *,
        scalar_shape: tuple[int, ...] = (1, 1),
        times: dict[str, float] | None = None,
        name: str = "rf_dataset.hdf5",
    ) -> Path:
        scalars = {
            "data/f_sampling": 20e6,
            "data/fps": 50.0,
            "trans_params/x_num_of_elements": samples.shape[2],
            "trans_params/x_pitch": 0.25e-3,
            "trans_params/f_central": 5e6,
            **({"data/correction_time_shift": 2e-6} if times is None else times),
        }
        with h5py.File(tmp_path / name, "w") as file:
            for key, value in scalars.items():
                file[key] = np.full(scalar_shape, value, np.float64)
            file[f"data/tx_mode/PW_{len(angles)}_12"] = np.array([angles], np.float64)
            for i, frame in enumerate(samples, start=1):
                for j, shot in enumerate(frame, start=1):
                    file[f"data/rf_data/frame_{i}/shot_{j}"] = shot
        return tmp_path / name

    return write


@pytest.fixture
def hdf5_file(tmp_path: Path) -> Iterator[h5py.File]:
    """An empty HDF5 file, open for writing."""
    with h5py.File(tmp_path / "some.h5", "w") as file:
        yield file
