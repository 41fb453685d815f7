"""Phantoms with known noise, and a prior that is there before any training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def step_image() -> np.ndarray:
    """A disk of 0.8 in a ground of 0.3, 64 by 64 pixels, no noise."""
    z, x = np.mgrid[:64, :64]
    return np.where(np.hypot(z - 32, x - 32) < 16, 0.8, 0.3).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prior file with random weights: quick, and good for all but quality."""
    import torch

    from napari_usflow.prior.glow import Glow, GlowConfig
    from napari_usflow.prior.store import save_prior

    torch.manual_seed(0)
    flow = Glow(GlowConfig(steps=(1, 1, 1), hidden=(8, 8, 8)))
    with torch.no_grad():
        flow.log_prob(0.5 + 0.2 * torch.randn(16, 1, 32, 32), 0.1)
    path = tmp_path_factory.mktemp("prior") / "tiny.safetensors"
    save_prior(flow, path, {"pixel_mm": 0.4375})
    return path
