"""What docs/paper.md says of settings is what the settings are."""

from __future__ import annotations

import re
from pathlib import Path

from napari_usflow.denoising.algorithms.flow.latent_map import FlowMap
from napari_usflow.denoising.algorithms.flow.latent_solver import HALVINGS, PATIENCE
from napari_usflow.lab.reproduce.run import FIGURES
from napari_usflow.lab.reproduce.settings import LAMBDA_SIGMA
from napari_usflow.training.flow.configs import CONFIGS

TEXT = (Path(__file__).parents[1] / "docs" / "paper.md").read_text(encoding="utf-8")


def test_every_figure_has_a_line() -> None:
    table = TEXT[TEXT.index("| figure |") :]
    assert tuple(re.findall(r"^\| (\d|anatomies) \|", table, re.M)) == FIGURES


def test_numbers_of_the_recipe_are_those_of_the_configurations() -> None:
    paper, small = CONFIGS["paper"], CONFIGS["paper-small"]
    assert f"{len(paper.flow.steps)} levels of {paper.flow.steps[0]} steps, " in TEXT
    assert f"{small.flow.steps[0]} instead of {paper.flow.steps[0]} steps" in TEXT
    assert f"{small.flow.hidden[0]} instead of {paper.flow.hidden[0]} channels" in TEXT
    assert f"{small.batch_size} instead of {paper.batch_size} patches" in TEXT
    assert f"{small.likelihood_steps:,} instead of {paper.steps:,} batches" in TEXT
    assert f"white noise of {paper.flow.sigma_min}" in TEXT
    assert f"rises over {paper.warmup_steps} steps" in TEXT
    assert f"the last {paper.decay_fraction:.0%}".replace("%", " %") in TEXT
    assert f"at {paper.clip_value:g} and at {paper.clip_norm:g}" in TEXT


def test_numbers_of_the_search_are_those_of_the_preset() -> None:
    params = FlowMap.presets["paper"]
    assert (params.tolerance, PATIENCE, HALVINGS) == (1e-4, 10, 4)
    assert f"{params.batch_size}; patches overlap by {32 - params.stride}" in TEXT
    assert f"σ = {60 * LAMBDA_SIGMA:.2f} dB" in TEXT
