"""The estimate of a run: right order of magnitude, and its memory follows the step."""

from __future__ import annotations

from dataclasses import replace

import torch

from napari_usflow.prior.glow import Glow, GlowConfig
from napari_usflow.training.flow.configs import TrainConfig
from napari_usflow.training.flow.cost_estimate import estimate

CONFIG = TrainConfig(
    flow=GlowConfig(patch_size=16, steps=(3, 3), hidden=(16, 16)),
    likelihood_steps=10,
    denoising_steps=30,
    batch_size=32,
    noise_groups=2,
    bfloat16=False,
)
CPU = torch.device("cpu")


def test_weights_are_counted() -> None:
    expected = sum(p.numel() for p in Glow(CONFIG.flow).parameters())
    assert estimate(CONFIG, CPU).parameters == expected


def test_memory_grows_with_the_part_of_a_batch_that_is_worked_on_at_once() -> None:
    small = estimate(CONFIG, CPU).memory_bytes
    large = estimate(replace(CONFIG, batch_size=320), CPU).memory_bytes
    fixed = 20 * estimate(CONFIG, CPU).parameters
    assert 8 < (large - fixed) / (small - fixed) < 12


def test_checkpointing_needs_less_memory() -> None:
    likelihood = replace(CONFIG, batch_size=320, denoising_steps=0)
    plain = estimate(likelihood, CPU).memory_bytes
    less = estimate(replace(likelihood, checkpointing=True), CPU).memory_bytes
    assert less < 0.6 * plain


def test_what_is_done_already_is_not_counted() -> None:
    assert estimate(CONFIG, CPU, step=40).seconds == 0.0
    assert estimate(CONFIG, CPU, step=39).seconds < estimate(CONFIG, CPU).seconds
