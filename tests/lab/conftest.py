"""A folder of synthetic MRI and a prior that is there before any training."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest


@pytest.fixture(scope="session")
def mri_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One knee and one brain: slices of bright discs with some texture."""
    folder = tmp_path_factory.mktemp("mri")
    rng = np.random.default_rng(0)
    z, x = np.mgrid[:96, :96]
    for name in ("knee_a", "brain_a"):
        slices = 0.02 * rng.random((5, 96, 96), dtype=np.float32)
        for image in slices:
            for _ in range(8):
                r, c, radius = (*rng.uniform(10, 86, 2), rng.uniform(6, 20))
                image[np.hypot(z - r, x - c) < radius] += rng.uniform(0.2, 0.6)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["reconstruction_rss"] = slices
            file.attrs["pixel_size_mm"] = (0.4375, 0.4375)
    return folder


@pytest.fixture(scope="session")
def tiny_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow of 16 x 16 patches with random weights: quick, and of no quality."""
    import torch

    from napari_usflow.prior.glow import Glow, GlowConfig
    from napari_usflow.prior.store import save_prior

    torch.manual_seed(0)
    flow = Glow(GlowConfig(patch_size=16, steps=(1, 1), hidden=(8, 8)))
    with torch.no_grad():
        flow.log_prob(0.5 + 0.2 * torch.randn(16, 1, 16, 16), 0.1)
    path = tmp_path_factory.mktemp("prior") / "tiny.safetensors"
    save_prior(flow, path, {"pixel_mm": 0.4375, "training": {"steps_done": 7}})
    return path
