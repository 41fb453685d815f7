"""Fully developed speckle with one dark cyst, as the kinds of numbers files hold."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def speckle_db(
    rows: int = 96, columns: int = 96, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Decibels with 0 at the maximum, and the complex envelope."""
    rng = np.random.default_rng(seed)
    z, x = np.mgrid[:rows, :columns]
    level = np.where((z - 40) ** 2 + (x - 40) ** 2 < 400, -50.0, -25.0)
    noise = [
        gaussian_filter(rng.standard_normal((rows, columns)), (1, 1.5)) for _ in "ri"
    ]
    field = noise[0] + 1j * noise[1]
    field *= 10 ** (level / 20) / np.sqrt((np.abs(field) ** 2).mean())
    db = 20 * np.log10(np.abs(field) + 1e-9)
    return db - db.max(), field


DB, IQ = speckle_db()
GREY = np.clip((DB + 60) / 60 * 255, 0, 255).round().astype(np.uint8)
RF = (IQ * np.exp(0.5j * np.pi * np.arange(96)[:, None])).real
ENVELOPE = np.abs(IQ)


def flow_box(grey: np.ndarray = GREY) -> np.ndarray:
    """Colour Doppler, red and blue, over a grey picture: (Z, X, 3), uint8."""
    rgb = np.stack([grey] * 3, -1)
    z, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    flow = (z - 55) ** 2 + (x - 55) ** 2 < 500
    rgb[flow], rgb[flow & (x < 55)] = [200, 30, 20], [20, 40, 210]
    return rgb
