"""The experiment of the PICMUS challenge in small: files as the challenge has them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

# 64 x 64 pixels of 0.3 mm; one cyst, one region.
_PIXEL_M = 0.3e-3
_Z_M = 10e-3 + _PIXEL_M * np.arange(64)
_X_M = _PIXEL_M * (np.arange(64) - 31.5)
_CYST = {"Z": 20e-3, "X": 0.0, "diameter": 6e-3}
_POINT = (20e-3, 0.0)
_GRAIN_PX = 1.7


def write_challenge(folder: Path) -> Path:
    """Write contrast and resolution images of 1 and 75 plane waves, and a carotid."""
    rng = np.random.default_rng(0)
    speckle = _speckle(rng)
    distance = np.hypot(_Z_M[:, None] - _CYST["Z"], _X_M - _CYST["X"])
    cysts = speckle * np.where(distance < _CYST["diameter"] / 2, 0.05, 1.0)
    points = speckle + 30 * np.exp(-((distance / 0.3e-3) ** 2))
    _write_image(folder / "4.hdf5", cysts)
    _write_image(folder / "3.hdf5", points)
    _write_phantom(
        folder / "contrast_speckle_expe_phantom.hdf5",
        occlusionCenterZ=[_CYST["Z"]],
        occlusionCenterX=[_CYST["X"]],
        occlusionDiameter=[_CYST["diameter"]],
        RoiCenterZ=[26e-3],
        RoiCenterX=[0.0],
        RoiPsfTimeZ=[5],
        RoiPsfTimeX=[15],
    )
    _write_phantom(
        folder / "resolution_distorsion_expe_phantom.hdf5",
        zPts=[_POINT[0]],
        xPts=[_POINT[1]],
    )
    write_carotid(folder / "carotid_cross.mat", rng.normal(size=(256, 256)))
    return folder


def _speckle(rng: np.random.Generator) -> np.ndarray:
    """Draw envelopes of fully developed speckle of a grain of 1.7 pixels."""
    from scipy.ndimage import gaussian_filter

    parts = rng.normal(size=(2, 2, 64, 64))
    parts = gaussian_filter(parts, (0, 0, _GRAIN_PX, _GRAIN_PX), mode="wrap")
    envelopes = np.hypot(*parts)
    return envelopes / np.sqrt(np.mean(envelopes**2))


def write_carotid(path: Path, rf: np.ndarray) -> None:
    """Write beamformed RF (Z, X) as MATLAB does: read here, the axes are swapped."""
    with h5py.File(path, "w") as file:
        file["x"] = rf.T.astype(np.float32)


def _write_image(path: Path, envelopes: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        group = _group(file, type_=1, signal=2)
        group["data/real"] = envelopes.transpose(0, 2, 1).astype(np.float32)
        group["scan/z_axis"] = _Z_M.astype(np.float32)
        group["scan/x_axis"] = _X_M.astype(np.float32)
        group["number_plane_waves"] = np.array([1, 75], np.float32)
        group["receive_f_number"] = np.array([1.75], np.float32)
        group["transmit_f_number"] = np.array([0.0], np.float32)
        for side in ("receive", "transmit"):
            group[f"{side}_apodization_window"] = np.array([b"none"])


def _write_phantom(path: Path, **targets: list[float]) -> None:
    names = ("zPts", "xPts", "occlusionCenterZ", "occlusionCenterX")
    names += ("occlusionDiameter", "RoiCenterZ", "RoiCenterX")
    names += ("RoiPsfTimeZ", "RoiPsfTimeX")
    # A single 0 stands for "none", as in the originals; their default point is 20 mm.
    columns = {name: [0.0] for name in names} | {"zPts": [20e-3]} | targets
    with h5py.File(path, "w") as file:
        group = _group(file, type_=0, signal=1)
        for name, values in columns.items():
            group[f"phantom_{name}"] = np.array(values, np.float32)
        group["phantom_lateralResolution"] = np.array([0.5e-3], np.float32)
        group["phantom_axialResolution"] = np.array([0.5e-3], np.float32)
        group["scatterers_positions"] = np.zeros((3, 2), np.float32)
        group["scatterers_amplitude"] = np.ones(2, np.float32)


def _group(file: h5py.File, *, type_: int, signal: int) -> h5py.Group:
    file.attrs["version"] = np.array([b"v.0.0.41"])
    group = file.create_group("US/US_DATASET0000")
    for name, members, value in (
        ("type", {"US": 0, "SR": 1}, type_),
        ("signal_format", {"RF": 0, "IQ": 1, "ENV": 2}, signal),
    ):
        kind = h5py.enum_dtype(members, basetype=np.int32)
        group.attrs.create(name, np.array([value]), dtype=kind)
    group.attrs["name"] = np.array([b"small"])
    return group
