"""Configurations of a run: shared out over processes, and read back from a run."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from napari_usflow.training.flow.configs import CONFIGS, TrainConfig, read_config
from napari_usflow.training.run_config import kind_of_run


def test_step_counts_the_patches_that_are_really_drawn() -> None:
    config = TrainConfig(batch_size=100, noise_groups=3)
    # Three levels are four for two processes: two for each, with 100 // 4 patches.
    assert (config.parts(2), config.part_size(2)) == (2, 25)
    assert config.patches_per_step(2) == 100
    assert config.patches_per_step() == 99


def test_part_is_as_large_for_processes_that_share_out_the_levels() -> None:
    config = TrainConfig(batch_size=96, noise_groups=4)
    assert [config.part_size(processes) for processes in (1, 2, 4)] == [24] * 3


def test_no_process_is_without_a_patch() -> None:
    config = TrainConfig(batch_size=2, noise_groups=4)
    assert config.part_size() == 1
    assert config.patches_per_step() == 4


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_configuration_survives_the_way_through_its_file(tmp_path, name):
    config = replace(CONFIGS[name], seed=7)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(asdict(config)))
    assert read_config(path) == config


def test_fields_of_other_versions_are_left_out(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"batch_size": 64, "of_the_future": 1}))
    assert read_config(path).batch_size == 64


@pytest.mark.parametrize("text", ["{", "[1]", '{"flow": 3}', '{"flow": {"steps": 3}}'])
def test_damaged_configuration_is_named(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.json: not the configuration"):
        read_config(path)


def test_run_of_another_kind_is_not_read_as_one_of_a_flow(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"kind": "network", "batch_size": 64}))
    with pytest.raises(
        ValueError, match="a network training run, but a flow was requested"
    ):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "kind"),
    [('{"kind": "network"}', "network"), ("{}", "flow"), ("{", None), ("[]", None)],
)
def test_kind_of_a_run_is_in_its_configuration(tmp_path, text, kind):
    path = tmp_path / "config.json"
    path.write_text(text)
    assert kind_of_run(path) == kind
    assert kind_of_run(tmp_path / "nowhere.json") is None


def test_paper_is_the_recipe_that_the_paper_states() -> None:
    """van de Schaft and van Sloun, arXiv:2112.13110, sections III-B and III-C."""
    paper = CONFIGS["paper"]
    assert paper.flow.patch_size * paper.patches.pixel_mm == pytest.approx(14.0)
    assert (paper.batch_size, paper.steps, paper.denoising_steps) == (800, 10_000, 0)
    assert paper.checkpointing and not paper.flow.conditional
    assert (paper.flow.activation, paper.flow.smallest_scale) == ("relu", 0.0)
    assert (paper.patches.only, paper.patches.tenengrad_power) == ("knee", 1.0)
    # 50,000 uniform patches beside a million.
    assert paper.patches.uniform_fraction == pytest.approx(0.05 / 1.05, abs=0.003)
    assert min(paper.clip_value, paper.clip_norm) > 0
    # PyTorch's defaults of Adam, and no average of the weights.
    assert (paper.learning_rate, paper.second_moment, paper.average) == (1e-3, 0.999, 0)


def test_small_paper_differs_in_size_alone() -> None:
    paper, small = asdict(CONFIGS["paper"]), asdict(CONFIGS["paper-small"])
    differ = {name for name, value in paper.items() if small[name] != value}
    length = {"batch_size", "likelihood_steps", "warmup_steps"}
    assert differ == {"flow", "patches", "checkpointing", *length}
    size = {"steps": (16, 16, 16), "hidden": (96, 96, 96)}
    assert small["flow"] == paper["flow"] | size
    assert small["patches"] == {**paper["patches"], "turned": True}
