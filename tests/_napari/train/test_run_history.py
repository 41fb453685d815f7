"""What a run folder tells: curves and checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_usflow._napari.train.run_history import read_history, saved_points
from napari_usflow.training.events import Validated
from napari_usflow.training.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def write_checkpoint(folder: RunFolder, step: int) -> None:
    point = folder.checkpoint(step)
    point.path.parent.mkdir(exist_ok=True)
    point.path.write_bytes(b"")
    point.weights.write_bytes(b"")


def test_log_becomes_curves(folder):
    folder.append({"step": 1, "loss": 3.5, "rate": 1e-3})
    folder.append({"step": 2, "loss": 2.5, "rate": 1e-3})
    folder.append({"step": 2, "bits_per_dim": 4.2, "psnr_db": {"0.1": 30.0}})
    folder.append({"step": 2, "note": "of another kind"})
    history = read_history(folder)
    assert (history.steps, history.losses) == ([1, 2], [3.5, 2.5])
    assert history.validations == [Validated(2, 4.2, {0.1: 30.0})]


def test_log_of_a_network_becomes_curves(folder):
    psnr = {"0.1": 30.0}
    folder.append({"step": 5, "psnr_db": psnr, "speckle_psnr_db": 24.5})
    (judged,) = read_history(folder).validations
    assert judged == Validated(5, None, {0.1: 30.0}, 24.5)


def test_folder_without_a_log_has_empty_curves(folder):
    history = read_history(folder)
    assert history.steps == history.validations == []


def test_checkpoints_come_newest_first_with_the_validation_before_them(folder):
    for step in (100, 250, 300):
        write_checkpoint(folder, step)
    early, late = Validated(200, 5.0, {}), Validated(300, 4.0, {})
    points = saved_points(folder, [early, late])
    assert [p.checkpoint.step for p in points] == [300, 250, 100]
    assert [p.quality for p in points] == [late, early, None]
