"""Shared test set-up: one thread, real data, a prior before any training."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# On Windows torch cannot be loaded once Qt is, so it comes first.
import pytest
import torch

pytest_plugins = ["toy_models"]

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, or a skip when USFLOW_TEST_DATA does not name one."""
    folder = os.environ.get("USFLOW_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("USFLOW_TEST_DATA does not name a folder of real data")
    return Path(folder)


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
