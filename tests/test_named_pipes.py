"""A named pipe in the place of a small file is refused, and never waited for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_usflow.errors import FileFormatError, PriorError, UsflowError
from napari_usflow.evaluate.region_files import read_regions
from napari_usflow.mri.slice_store import INDEX, SliceStore
from napari_usflow.training.checkpoint_file import read_state
from napari_usflow.training.flow.configs import TrainConfig
from napari_usflow.training.run_config import kind_of_run, read_run_config

pytestmark = pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="the system has no named pipes"
)


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """End what waits for a pipe."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("name", ["regions.geojson", "phantom.hdf5"])
def test_regions_are_not_read_from_a_pipe(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)

    with pytest.raises(FileFormatError, match="is not a plain file"):
        read_regions(tmp_path / name)


def test_a_run_is_not_read_from_pipes(tmp_path: Path) -> None:
    for name in ("config.json", "step-0000003.pt", INDEX):
        os.mkfifo(tmp_path / name)

    with pytest.raises(ValueError, match=r"config\.json: not the configuration"):
        read_run_config(tmp_path / "config.json", TrainConfig())
    assert kind_of_run(tmp_path / "config.json") is None
    with pytest.raises(PriorError, match="is not a plain file"):
        read_state(tmp_path / "step-0000003.pt", "flow")
    with pytest.raises(UsflowError, match="holds no prepared training slices"):
        SliceStore.open(tmp_path)
