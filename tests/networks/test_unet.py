"""The network: any size, nothing at first, and the same thing everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.networks.unet import LARGEST_ACTIVATION, UNet

LEVEL = torch.tensor([0.1])


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (7, 5), (33, 48)])
def test_image_of_any_size_keeps_it(toy_network: UNet, shape) -> None:
    with torch.no_grad():
        clean = toy_network(picture(*shape), LEVEL)
    assert clean.shape == (1, 1, *shape) and torch.isfinite(clean).all()


def test_fresh_network_gives_back_what_it_gets() -> None:
    noisy = picture(20, 30)
    with torch.no_grad():
        clean = UNet(UNetConfig(channels=(4, 8), blocks=(1, 1)))(noisy, LEVEL)
    assert torch.equal(clean, noisy)


def test_edges_are_continued_by_their_mirror_image(toy_network: UNet) -> None:
    """As numpy does it: the edge itself once."""
    noisy = picture(21, 30)
    padded = np.pad(noisy[0, 0].numpy(), ((0, 3), (0, 2)), mode="reflect")
    with torch.no_grad():
        clean = toy_network(noisy, LEVEL)
        larger = toy_network(torch.from_numpy(padded)[None, None], LEVEL)
    torch.testing.assert_close(clean, larger[..., :21, :30])


def test_moved_image_gives_the_moved_result(toy_network: UNet) -> None:
    """By its coarsest pixel, away from the edges, which see other things."""
    wide, step = picture(80, 80), toy_network.config.multiple
    assert step == 4
    with torch.no_grad():
        here = toy_network(wide[..., :72, :72], LEVEL)
        moved = toy_network(wide[..., step : step + 72, step : step + 72], LEVEL)
    torch.testing.assert_close(
        here[..., 28:44, 28:44], moved[..., 24:40, 24:40], atol=1e-5, rtol=0
    )
    assert float((here - wide[..., :72, :72]).abs().max()) > 0.01


def test_images_of_a_batch_know_nothing_of_each_other(toy_network: UNet) -> None:
    both = torch.cat([picture(16, 16), 1 - picture(16, 16)])
    levels = torch.tensor([0.05, 0.4])
    with torch.no_grad():
        together = toy_network(both, levels)
        alone = [toy_network(both[i : i + 1], levels[i : i + 1]) for i in (0, 1)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_gradient_does_not_mind_what_is_overwritten_without_it(
    toy_network: UNet,
) -> None:
    noisy = picture(12, 16)
    with torch.no_grad():
        without = toy_network(noisy, LEVEL)
    with_gradient = toy_network(noisy, LEVEL)
    torch.testing.assert_close(with_gradient, without)

    with_gradient.square().sum().backward()

    bias, step = toy_network.head.bias, 1e-2
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            bias[0] += sign * step
            values.append(float(toy_network(noisy, LEVEL).double().square().sum()))
            bias[0] -= sign * step
    expected = (values[0] - values[1]) / (2 * step)
    assert float(bias.grad[0]) == pytest.approx(expected, rel=1e-2)


def test_noise_level_matters(toy_network: UNet) -> None:
    with torch.no_grad():
        low, high = (
            toy_network(picture(16, 16), torch.tensor([s])) for s in (0.05, 0.4)
        )
    assert not torch.allclose(low, high)


@pytest.mark.parametrize(
    "fields",
    [
        {"channels": (), "blocks": ()},
        {"channels": (8, 8), "blocks": (1,)},
        {"channels": (8, 0), "blocks": (1, 1)},
        {"channels": (8,), "blocks": (-1,)},
    ],
)
def test_architecture_that_cannot_be_is_refused(fields) -> None:
    with pytest.raises(ValueError, match="channels"):
        UNetConfig(**fields)


def test_pass_can_be_stopped_half_way(toy_network: UNet) -> None:
    calls = []

    def stop() -> None:
        calls.append(None)
        if len(calls) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        toy_network(picture(8, 8), LEVEL, stop)
    # Three blocks of two convolutions, of which the second block has begun.
    toy_network(picture(8, 8), LEVEL, lambda: calls.append(None))
    assert len(calls) == 3 + 6


def test_activations_are_bounded(toy_network: UNet) -> None:
    """An absurd image changes the result by no more than the bound allows."""
    block = toy_network.middle[0]
    huge = torch.full((1, block.first.in_channels, 5, 5), 1e6)
    with torch.no_grad():
        change = block(huge, lambda: None) - huge
    limit = LARGEST_ACTIVATION * block.second.weight.abs().sum(dim=(1, 2, 3))
    limit = limit + block.second.bias.abs()
    # Sums with numbers of a million are exact to a sixteenth.
    assert (change.abs().amax(dim=(0, 2, 3)) <= limit + 0.1).all()


@pytest.mark.parametrize("antialias", [True, False])
def test_maps_are_filtered_before_halving_and_after_doubling(antialias: bool) -> None:
    """A filter that removes what alternates from pixel to pixel, where asked for."""
    network = UNet(UNetConfig(channels=(4, 8), blocks=(0, 0), antialias=antialias))
    alternating = (-1.0) ** torch.arange(8).expand(1, 4, 8, 8)
    seen: dict[str, torch.Tensor] = {}

    def alternate(*_: object) -> torch.Tensor:
        return alternating.clone()

    def note(name: str):
        return lambda _, inputs, __: seen.__setitem__(name, inputs[0].clone())

    network.head.register_forward_hook(alternate)
    network.down[0].register_forward_hook(note("halved"))
    network.tail.register_forward_hook(note("end"))
    # The skip connection adds the map that alternates; the doubled one does too.
    network.up[0].register_forward_hook(alternate)
    with torch.no_grad():
        network(picture(16, 16), LEVEL)

    inner = np.s_[..., 1:-1, 1:-1]
    passed = torch.zeros_like(alternating) if antialias else alternating
    for name, expected in (("halved", passed), ("end", alternating + passed)):
        torch.testing.assert_close(
            seen[name][inner], expected[inner], atol=1e-6, rtol=0
        )
