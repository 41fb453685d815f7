"""zea files in its three layouts, their delays laid out by the waves' geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from point_scene import CENTER_HZ, ELEMENTS_M, FS_HZ, SPEED_M_S

LAYOUTS = ("2025", "events", "probe", "tracks")


def scan_of(
    path_to_elements_m: np.ndarray, start_s: np.ndarray, angles_rad: Any, **changes: Any
) -> dict[str, np.ndarray]:
    """The scan of transmits that reach the elements as told.

    Parameters
    ----------
    path_to_elements_m : ndarray, shape (transmits, elements)
        How far each wave has come since it passed its origin when it meets an element.
    start_s : ndarray, shape (transmits,)
        Time of the first sample since the wave passed its origin.
    """
    n_tx, n_el = path_to_elements_m.shape
    fires_s = path_to_elements_m / SPEED_M_S
    first_s = fires_s.min(axis=1)
    scan = {
        "n_ax": 0,
        "n_el": n_el,
        "n_tx": n_tx,
        "sampling_frequency": FS_HZ,
        "center_frequency": CENTER_HZ,
        "demodulation_frequency": CENTER_HZ,
        "sound_speed": SPEED_M_S,
        "initial_times": np.asarray(start_s) - first_s,
        "t0_delays": fires_s - first_s[:, None],
        "tx_apodizations": np.ones((n_tx, n_el)),
        "focus_distances": np.full(n_tx, np.inf),
        "transmit_origins": np.zeros((n_tx, 3)),
        "polar_angles": angles_rad,
        "azimuth_angles": np.zeros(n_tx),
        **changes,
    }
    return {name: np.asarray(value, np.float32) for name, value in scan.items()}


def write_raw(
    path: Path,
    samples: np.ndarray,
    scan: dict[str, np.ndarray],
    layout: str = "2025",
    elements_m: np.ndarray = ELEMENTS_M,
) -> Path:
    """Write samples (frames, transmits, channels, samples), RF or IQ."""
    parts = [samples.real, samples.imag] if np.iscomplexobj(samples) else [samples]
    raw = np.stack([part.swapaxes(-1, -2) for part in parts], axis=-1)
    with h5py.File(path, "w") as file:
        place = {"events": "event_0/", "tracks": "tracks/track_0/"}.get(layout, "")
        probe = "probe" if layout in ("probe", "tracks") else f"{place}scan"
        file[f"{place}data/raw_data"] = raw.astype(np.float32)
        file[f"{place}data/raw_data"].attrs["unit"] = "-"
        for name, value in scan.items():
            file[f"{place}scan/{name}"] = value
        file[f"{probe}/probe_geometry"] = elements_m.astype(np.float32)
        if layout == "tracks":
            file.attrs["zea_version"] = "0.1.8"
        else:
            file.attrs["probe"] = "generic"
            file.attrs["description"] = "a test"
    return path


def write_map(
    path: Path, values: np.ndarray, xyz_m: np.ndarray | None, name: str = "image"
) -> Path:
    """Write an image with the places of its pixels, in the layout of tracks."""
    with h5py.File(path, "w") as file:
        file.attrs["zea_version"] = "0.1.8"
        file[f"tracks/track_0/data/{name}/values"] = values
        if xyz_m is not None:
            file[f"tracks/track_0/data/{name}/coordinates"] = xyz_m.astype(np.float32)
    return path
