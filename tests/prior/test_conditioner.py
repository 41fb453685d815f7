"""The couplings' network: it starts as nothing, and a dip lets it see far."""

from __future__ import annotations

import pytest
import torch

from napari_usflow.prior.conditioner import Conditioner


def network(depth: int) -> Conditioner:
    torch.manual_seed(0)
    return Conditioner(2, 4, hidden=8, depth=depth, embedding=3)


def awaken(net: Conditioner) -> Conditioner:
    """Give the layers that start at zero weights."""
    with torch.no_grad():
        for weights in net.parameters():
            if not weights.any():
                weights.normal_(0.0, 0.3)
    return net


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_new_network_gives_zero(depth: int) -> None:
    out = network(depth)(torch.randn(2, 2, 16, 16), torch.randn(3))
    assert out.shape == (2, 4, 16, 16) and not out.any()


@pytest.mark.parametrize(("depth", "reach"), [(0, 2), (2, 6)])
def test_dip_widens_what_a_pixel_sees(depth: int, reach: int) -> None:
    net = awaken(network(depth)).double()
    x = torch.randn(1, 2, 32, 32, dtype=torch.float64, requires_grad=True)
    net(x, torch.zeros(3, dtype=torch.float64))[0, :, 16, 16].sum().backward()
    seen = x.grad.abs().sum(dim=(0, 1)).nonzero()
    farthest = int((seen - 16).abs().max())
    assert farthest == 2 if depth == 0 else farthest >= reach


def test_noise_level_changes_the_output() -> None:
    net = awaken(network(1))
    x = torch.randn(1, 2, 8, 8)
    assert not torch.allclose(net(x, torch.zeros(3)), net(x, torch.ones(3)))
