"""One point in front of an array, as any acquisition records it: made by a formula."""

from __future__ import annotations

import numpy as np

SPEED_M_S = 1540.0
FS_HZ, CENTER_HZ = 20e6, 5e6
POINT_M = (2e-3, 18e-3)
"""Lateral and axial position of the point."""
ELEMENTS_M = np.stack(
    [0.3e-3 * (np.arange(48) - 23.5), np.zeros(48), np.zeros(48)], axis=1
)
WAVELENGTH_MM = 1e3 * SPEED_M_S / CENTER_HZ


def echoes(path_m: np.ndarray, start_s: np.ndarray, n_samples: int = 640) -> np.ndarray:
    """RF of the point, shape (transmits, channels, samples).

    A Gaussian pulse of four periods arrives at
    (path to the point + distance from it to the element) / c.

    Parameters
    ----------
    path_m : ndarray, shape (transmits,)
        How far the wave has come since its time zero when it meets the point.
    start_s : ndarray, shape (transmits,)
        Time of the first sample.
    """
    x, z = POINT_M
    back_m = np.hypot(ELEMENTS_M[:, 0] - x, ELEMENTS_M[:, 2] - z)
    arrival_s = (np.asarray(path_m)[:, None] + back_m) / SPEED_M_S
    time_s = np.asarray(start_s)[:, None] + np.arange(n_samples) / FS_HZ
    since_s = time_s[:, None, :] - arrival_s[:, :, None]
    pulse = np.exp(-0.5 * (since_s * CENTER_HZ / 0.8) ** 2)
    return (pulse * np.cos(2 * np.pi * CENTER_HZ * since_s)).astype(np.float32)


def plane_paths(angles_rad: np.ndarray) -> np.ndarray:
    """Path of plane waves from x = z = 0 to the point."""
    x, z = POINT_M
    return x * np.sin(angles_rad) + z * np.cos(angles_rad)


def demodulated(rf: np.ndarray, start_s: np.ndarray) -> np.ndarray:
    """IQ of the echoes at the carrier: the analytic signal times exp(-2 pi i f t)."""
    from scipy.signal import hilbert

    time_s = np.asarray(start_s)[:, None, None] + np.arange(rf.shape[-1]) / FS_HZ
    analytic = hilbert(rf, axis=-1)
    return (analytic * np.exp(-2j * np.pi * CENTER_HZ * time_s)).astype(np.complex64)


def brightest_mm(image) -> tuple[float, float]:
    """Position (axial, lateral) of the maximum of an image's first frame."""
    z_mm, x_mm = image.grid.axes_mm()
    frame = np.asarray(image.data[0])
    row, column = np.unravel_index(frame.argmax(), frame.shape)
    return float(z_mm[row]), float(x_mm[column])
