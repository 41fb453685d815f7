"""Small flows, a synthetic MRI folder, and a trained-looking prior file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

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
