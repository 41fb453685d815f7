"""Small flows and networks, and synthetic MRI to train them on, for several rooms."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from napari_usflow.mri import MriStack
from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.networks.unet import UNet
from napari_usflow.prior.glow import Glow, GlowConfig


def randomise(flow: Glow, seed: int = 0, scale: float = 0.05) -> Glow:
    """Give every layer weights that matter; a fresh flow is nearly linear."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator)
        for name, buffer in flow.named_buffers():
            if name.endswith("initialised"):
                buffer.fill_(True)
    return flow.eval()


@pytest.fixture
def toy_flow() -> Glow:
    """A random flow of 8x8 patches, small enough for its full Jacobian."""
    torch.manual_seed(0)
    return randomise(
        Glow(GlowConfig(patch_size=8, steps=(2, 2), hidden=(8, 8), depth=(1,)))
    )


@pytest.fixture
def mri_folder(tmp_path: Path) -> Path:
    """Three stacks of smooth discs and edges in the fastMRI layout."""
    folder = tmp_path / "mri"
    folder.mkdir()
    rng = np.random.default_rng(0)
    z, x = np.mgrid[:96, :80]
    for name, pixel in (("knee_a", 0.5), ("knee_b", 0.4375), ("brain_a", 1.0)):
        slices = np.zeros((4, 96, 80), np.float32)
        for image in slices:
            for _ in range(6):
                r, c, radius = (
                    rng.uniform(10, 80),
                    rng.uniform(10, 70),
                    rng.uniform(5, 20),
                )
                image[(z - r) ** 2 + (x - c) ** 2 < radius**2] += rng.uniform(0.2, 0.6)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["reconstruction_rss"] = slices
            file.attrs["pixel_size_mm"] = (pixel, pixel)
    return folder


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
