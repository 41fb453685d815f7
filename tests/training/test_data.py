"""Sharing volumes out: what is held out is not trained on, or that is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.mri import MriStack
from napari_usflow.mri.patches import PatchConfig
from napari_usflow.training.data import split_data
from napari_usflow.training.flow.configs import TrainConfig

CONFIG = TrainConfig()


def stack(name: str) -> MriStack:
    return MriStack(np.zeros((1, 4, 4), np.float32), (0.4375, 0.4375), name)


def test_every_tenth_volume_is_held_out_and_not_trained_on() -> None:
    stacks = [stack(f"s{i}") for i in range(21)]
    split = split_data(stacks, None, CONFIG)
    assert [s.name for s in split.held_out] == ["s0", "s10", "s20"]
    assert len(split.training) == 18
    assert not {s.name for s in split.training} & {"s0", "s10", "s20"}
    assert "3 of 21" in split.note


def test_held_out_files_within_the_data_are_not_trained_on(mri_folder: Path) -> None:
    split = split_data(mri_folder, mri_folder / "knee_a.h5", CONFIG)
    assert [p.stem for p in split.held_out] == ["knee_a"]
    assert sorted(p.stem for p in split.training) == ["brain_a", "knee_b"]
    assert "1 of the files" in split.note


def test_held_out_folder_with_all_of_the_data_is_refused(mri_folder: Path) -> None:
    with pytest.raises(ValueError, match="none is left to train on"):
        split_data(mri_folder, mri_folder, CONFIG)


def test_single_volume_is_judged_by_with_a_warning() -> None:
    only = stack("one")
    split = split_data(only, None, CONFIG)
    assert split.training == split.held_out == [only]
    assert "will be too good" in split.note


def test_volumes_that_are_not_used_do_not_count_as_held_out() -> None:
    stacks = [stack(name) for name in ("brain_a", "brain_b", "knee_a", "knee_b")]
    config = TrainConfig(patches=PatchConfig(only="knee"))
    split = split_data(stacks, None, config)
    assert [s.name for s in split.held_out] == ["knee_a"]


def test_all_volumes_of_a_subject_are_held_out_together() -> None:
    stacks = [
        replace(stack(f"file{i}"), attributes={"patient_id": f"p{i // 3}"})
        for i in range(33)
    ]
    split = split_data(stacks, None, CONFIG)
    held = [s.name for s in split.held_out]
    assert held == ["file0", "file1", "file2", "file30", "file31", "file32"]
    assert "6 of 33 volumes" in split.note


def test_several_volumes_of_one_subject_are_held_out_with_a_warning() -> None:
    stacks = [replace(stack(n), attributes={"patient_id": "p"}) for n in "abc"]
    split = split_data(stacks, None, CONFIG)
    assert [s.name for s in split.held_out] == ["a"]
    assert "one subject" in split.note and "too good" in split.note


def test_body_part_that_nothing_shows_is_an_error_that_names_what_there_is() -> None:
    stacks = [replace(stack("file1"), anatomy="brain"), stack("heart_a")]
    config = TrainConfig(patches=PatchConfig(only="knee"))
    with pytest.raises(ValueError, match=r"shows 'knee'.*file1 \(brain\), heart_a"):
        split_data(stacks, None, config)


def test_body_part_is_what_the_files_say_and_not_their_names() -> None:
    stacks = [
        replace(stack(f"file{i}"), anatomy="knee" if i % 2 else "brain")
        for i in range(6)
    ]
    split = split_data(stacks, None, TrainConfig(patches=PatchConfig(only="knee")))
    names = [s.name for s in (*split.held_out, *split.training)]
    assert names == ["file1", "file3", "file5"]
