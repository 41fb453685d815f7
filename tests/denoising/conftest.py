"""Phantoms with known noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def step_image() -> np.ndarray:
    """A disk of 0.8 in a ground of 0.3, 64 by 64 pixels, no noise."""
    z, x = np.mgrid[:64, :64]
    return np.where(np.hypot(z - 32, x - 32) < 16, 0.8, 0.3).astype(np.float32)


@pytest.fixture
def network_path(tmp_path: Path) -> Path:
    """A network file with random weights: quick, and of no quality."""
    import torch

    from napari_usflow.networks.architecture import UNetConfig
    from napari_usflow.networks.store import save_network
    from napari_usflow.networks.unet import UNet

    network = UNet(UNetConfig(channels=(6, 8), blocks=(1, 1)))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(0.1 * torch.randn(weights.shape, generator=generator))
    path = tmp_path / "toy.safetensors"
    save_network(network, path, {"pixel_mm": 0.4375})
    return path


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """Each kind of device that this machine has."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no graphics card")
    return str(request.param)
