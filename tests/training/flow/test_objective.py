"""The training loss against its formula, and the levels of noise it is taken at."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_usflow.prior.glow import Glow, GlowConfig
from napari_usflow.training.flow.configs import TrainConfig
from napari_usflow.training.flow.objective import Objective, noise_levels

CONFIG = TrainConfig(
    flow=GlowConfig(patch_size=8, steps=(1,), hidden=(4,)),
    noise_groups=4,
    denoising_weight=3.0,
    likelihood_weight=0.5,
    small_noise_weight=0.25,
    denoising_sigma=0.05,
)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4, 1, 8, 8, generator=generator)
    return x, x + 0.2 * torch.randn(x.shape, generator=generator)


def test_likelihood_phase_is_nats_a_pixel(toy_flow: Glow, batch) -> None:
    x, y = batch
    loss = Objective(toy_flow, CONFIG)(x, y, 0.2, False)
    expected = -toy_flow.log_prob(y, 0.2).mean() / 64
    assert torch.allclose(loss, expected)


def test_denoising_phase_adds_the_error_over_sigma(toy_flow: Glow, batch) -> None:
    x, y = batch
    loss = Objective(toy_flow, CONFIG)(x, y, 0.2, True)
    mean, log_p = toy_flow.posterior_mean(y, 0.2)
    error = (mean - x).square().mean()
    expected = 3.0 * error / 0.2 - 0.5 * log_p.mean() / 64
    assert torch.allclose(loss, expected)


def test_small_noise_trains_the_likelihood_only(toy_flow: Glow, batch) -> None:
    x, y = batch
    loss = Objective(toy_flow, CONFIG)(x, y, 0.04, True)
    assert torch.allclose(loss, -0.25 * toy_flow.log_prob(y, 0.04).mean() / 64)


def test_gradient_is_the_same_with_checkpointing(toy_flow: Glow, batch) -> None:
    gradients = []
    for checkpointing in (False, True):
        config = replace(CONFIG, checkpointing=checkpointing)
        toy_flow.zero_grad()
        Objective(toy_flow, config)(*batch, 0.2, True).backward()
        gradients.append([p.grad.clone() for p in toy_flow.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_every_step_sees_the_whole_range_of_noise() -> None:
    rng = np.random.default_rng(0)
    edges = np.linspace(math.log(0.01), math.log(0.5), 5)
    for _ in range(20):
        found = np.log(noise_levels(CONFIG, rng))
        assert (found >= edges[:-1]).all() and (found <= edges[1:]).all()


def test_processes_see_the_whole_range_of_noise_together() -> None:
    edges = np.linspace(math.log(0.01), math.log(0.5), 5)
    found = np.log(
        [noise_levels(CONFIG, np.random.default_rng(r), r, 2) for r in range(2)]
    )
    assert found.shape == (2, 2)
    levels = np.sort(found, axis=None)
    assert (levels >= edges[:-1]).all() and (levels <= edges[1:]).all()


def test_flow_without_noise_levels_is_trained_at_its_only_one() -> None:
    config = replace(CONFIG, flow=replace(CONFIG.flow, conditional=False))
    assert noise_levels(config, np.random.default_rng(0)) == [0.01] * 4
