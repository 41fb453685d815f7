"""The prior as its users see it, in the precisions it computes in."""

from __future__ import annotations

import pytest
import torch

from napari_usflow.prior import FlowPrior, flow_prior, load_prior
from napari_usflow.prior.glow import Glow, GlowConfig
from toy_models import randomise


@pytest.fixture
def prior() -> FlowPrior:
    torch.manual_seed(0)
    flow = randomise(Glow(GlowConfig(patch_size=8, steps=(2, 2), hidden=(8, 12))))
    return FlowPrior(flow, {"pixel_mm": 0.4375}, "small", "0" * 64)


def test_fast_flow_gives_the_same_means_and_leaves_the_exact_one_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """bfloat16 has eight bits: the shipped prior's means differ by a part of that."""
    monkeypatch.setattr(flow_prior, "computes_bfloat16", lambda device: True)
    shipped, sigma = load_prior(device="cpu"), 0.1
    prior = FlowPrior(shipped.flow, shipped.card, shipped.name, shipped.sha256)
    generator = torch.Generator().manual_seed(0)
    y = 0.5 + sigma * torch.randn(4, 1, 32, 32, generator=generator)
    exact, _ = prior.flow.posterior_mean(y, sigma)

    fast, _ = prior.fast_flow.posterior_mean(y, sigma)

    error = (fast - exact).square().mean().sqrt()
    assert 0 < error < sigma / 256
    torch.testing.assert_close(prior.flow.posterior_mean(y, sigma)[0], exact)
    z, _ = prior.flow(y, sigma)
    torch.testing.assert_close(prior.flow.inverse(z, sigma), y, atol=1e-4, rtol=0)


def test_fast_flow_shares_its_weights(
    prior: FlowPrior, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_prior, "computes_bfloat16", lambda device: True)

    pairs = zip(prior.flow.parameters(), prior.fast_flow.parameters(), strict=True)

    assert all(a.data_ptr() == b.data_ptr() for a, b in pairs)
    assert not any(weight.requires_grad for weight in prior.fast_flow.parameters())


def test_processor_without_bfloat16_stays_exact(
    prior: FlowPrior, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False
    )

    assert prior.fast_flow is prior.flow
