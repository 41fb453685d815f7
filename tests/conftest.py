"""Shared test set-up: one thread, a cache of its own, seeded data."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# On Windows torch cannot be loaded once Qt is, so it comes first.
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, or a skip when USFLOW_TEST_DATA does not name one."""
    folder = os.environ.get("USFLOW_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("USFLOW_TEST_DATA does not name a folder of real data")
    return Path(folder)
