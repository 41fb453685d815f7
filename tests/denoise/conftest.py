"""Phantoms with known noise."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def step_image() -> np.ndarray:
    """A disk of 0.8 in a ground of 0.3, 64 by 64 pixels, no noise."""
    z, x = np.mgrid[:64, :64]
    return np.where(np.hypot(z - 32, x - 32) < 16, 0.8, 0.3).astype(np.float32)
