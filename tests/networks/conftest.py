"""Small networks, and tissue to train them on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_usflow.io.mri import MriStack
from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.networks.unet import UNet


@pytest.fixture
def toy_network() -> UNet:
    """A network with weights that matter everywhere; a fresh one does nothing."""
    network = UNet(UNetConfig(channels=(6, 8), blocks=(1, 1)))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(0.1 * torch.randn(weights.shape, generator=generator))
    return network.eval()


@pytest.fixture
def stacks() -> list[MriStack]:
    """Two volumes of discs with sharp edges, at the prior's pixel."""
    rng = np.random.default_rng(0)
    z, x = np.mgrid[:72, :64]
    made = []
    for name in ("knee_a", "knee_b"):
        slices = np.zeros((3, 72, 64), np.float32)
        for image in slices:
            for _ in range(6):
                row, column, radius = rng.uniform((5, 5, 4), (65, 60, 20))
                inside = (z - row) ** 2 + (x - column) ** 2 < radius**2
                image[inside] += rng.uniform(0.2, 0.6)
        made.append(MriStack(slices, (0.4375, 0.4375), name))
    return made
