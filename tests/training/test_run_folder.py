"""The folder of a run: what counts as whole, and what a run that goes on keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_usflow.training.run_folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.begin({"batch_size": 2}, 0)
    return folder


def write(run: RunFolder, step: int) -> None:
    checkpoint = run.checkpoint(step)
    checkpoint.weights.write_bytes(b"prior")
    checkpoint.path.write_bytes(b"state")


def test_checkpoints_are_listed_newest_first(run: RunFolder) -> None:
    for step in (5, 100, 20):
        write(run, step)
    assert [c.step for c in run.checkpoints()] == [100, 20, 5]


def test_checkpoint_without_its_prior_does_not_count(run: RunFolder) -> None:
    write(run, 5)
    run.checkpoint(9).path.write_bytes(b"state")
    assert [c.step for c in run.checkpoints()] == [5]


def test_only_the_newest_are_kept(run: RunFolder) -> None:
    for step in (1, 2, 3, 4):
        write(run, step)
    run.forget_checkpoints(2)
    assert [c.step for c in run.checkpoints()] == [4, 3]
    assert not run.checkpoint(1).weights.exists()


def test_run_that_goes_on_cuts_log_and_later_checkpoints(run: RunFolder) -> None:
    for step in (1, 2, 3):
        run.append({"step": step, "loss": float(step)})
    for step in (1, 3):
        write(run, step)
    run.begin({}, 2)
    assert [r["step"] for r in run.records()] == [1, 2]
    assert [c.step for c in run.checkpoints()] == [1]


def test_line_that_was_cut_short_by_a_kill_is_left_out(run: RunFolder) -> None:
    run.append({"step": 1, "loss": 0.5})
    with run.log.open("a") as log:
        log.write('{"step": 2, "lo')
    assert [r["step"] for r in run.records()] == [1]


def test_what_a_kill_left_half_written_is_deleted(run: RunFolder) -> None:
    left = [
        run.path / ".prior-x1.safetensors",
        run.path / ".log-x1.jsonl",
        run.path / "checkpoints" / ".step-0000002-x.pt",
        run.figures / ".curves-x1.png",
    ]
    run.figures.mkdir()
    for path in left:
        path.write_bytes(b"half")
    run.begin({}, 0)
    assert not any(path.exists() for path in left)


def test_hidden_files_that_are_not_ours_are_left_alone(run: RunFolder) -> None:
    others = [run.path / ".pre-commit-config.yaml", run.path / ".python-version"]
    for path in others:
        path.write_text("mine")
    (run.path / ".some-folder").mkdir()
    run.begin({}, 0)
    assert all(path.read_text() == "mine" for path in others)


def test_part_of_a_checkpoint_that_never_became_whole_is_deleted(
    run: RunFolder,
) -> None:
    write(run, 3)
    orphan = run.checkpoint(2)
    orphan.weights.write_bytes(b"prior")
    run.begin({}, 3)
    assert not orphan.weights.exists()
    assert [c.step for c in run.checkpoints()] == [3]


def test_folder_that_is_not_there_has_no_checkpoints_and_no_records(
    tmp_path: Path,
) -> None:
    run = RunFolder(tmp_path / "nowhere")
    assert run.checkpoints() == [] and run.records() == []
