"""A step's pairs and its loss, and what the result is judged by."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from napari_usflow.networks.unet import UNet
from napari_usflow.training.network import trainer
from napari_usflow.training.network.configs import MARGIN, NetworkConfig
from napari_usflow.training.network.pairs import TOLD_SHARE, Pairs
from napari_usflow.training.network.trainer import NetworkTrainer, Objective, draw_pairs

CONFIG = NetworkConfig(crop=16)


def patches(count: int) -> torch.Tensor:
    size = 16 + 2 * MARGIN
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("share", [0.0, 0.375, 1.0])
def test_first_pairs_have_white_noise_and_the_others_speckle(share: float) -> None:
    drawn, config = patches(8), NetworkConfig(crop=16, gaussian_fraction=share)

    pairs = draw_pairs(drawn, config, torch.Generator().manual_seed(1))

    inner = drawn[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert pairs.noisy.shape == pairs.clean.shape == (8, 1, 16, 16)
    assert pairs.sigma.shape == pairs.told.shape == (8,)
    assert pairs.weight.shape == pairs.noisy.shape
    # White noise is put on the patch itself; speckle is of tissue that is made of it.
    is_patch = [torch.equal(c, p) for c, p in zip(pairs.clean, inner, strict=True)]
    count = round(8 * share)
    assert is_patch == [True] * count + [False] * (8 - count)


def test_part_of_a_pair_is_drawn_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """6 % of 16 pairs are 0.96: one in most steps, none in the others."""
    monkeypatch.setattr(trainer, "speckle_pairs", no_pairs)
    generator = torch.Generator().manual_seed(2)
    config = NetworkConfig(crop=16, gaussian_fraction=0.06)
    white = [len(draw_pairs(patches(16), config, generator).sigma) for _ in range(400)]
    assert set(white) == {0, 1}
    tolerance = 3 * (0.96 * 0.04 / 400) ** 0.5
    assert sum(white) / 400 == pytest.approx(0.96, abs=tolerance)


def no_pairs(patches: torch.Tensor, _: torch.Generator) -> Pairs:
    empty = torch.zeros(0, 1, 16, 16)
    return Pairs(empty, empty, torch.zeros(0), torch.zeros(0), empty)


def test_level_of_white_noise_is_told_to_the_network_for_it_alone() -> None:
    both, white = (
        draw_pairs(
            patches(200),
            NetworkConfig(crop=16, gaussian_fraction=share),
            torch.Generator().manual_seed(3),
        ).told[:199]
        for share in (0.995, 1.0)
    )
    assert (white > 0).all()
    tolerance = 3 * (TOLD_SHARE * (1 - TOLD_SHARE) / 199) ** 0.5
    assert float((both > 0).double().mean()) == pytest.approx(TOLD_SHARE, abs=tolerance)


def test_level_of_validation_speckle_is_never_told() -> None:
    held_out = SimpleNamespace(_held_out=patches(12))
    pairs = NetworkTrainer._speckle.func(held_out)
    assert pairs.noisy.shape == (12, 1, 16, 16)
    assert (pairs.told == 0).all() and (pairs.sigma > 0).all()


def idle_network(noise: torch.Tensor, weight: torch.Tensor) -> float:
    """Loss of a network that does nothing: what is asked of it is the noise."""
    network = UNet(CONFIG.network)
    clean, sigma = torch.full_like(noise, 0.5), torch.tensor([0.1, 0.4])
    objective = Objective(network, bfloat16=False)
    loss: torch.Tensor = objective(clean + noise, clean, sigma, sigma, weight)
    return loss.item()


def flat(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


def test_loss_is_the_squared_error_over_the_noise_level() -> None:
    # 0.1^2 / 0.1 and 0.4^2 / 0.4.
    loss = idle_network(flat(0.1, 0.4), flat(1.0, 1.0))
    assert loss == pytest.approx((0.1 + 0.4) / 2, rel=1e-5)


def test_pixels_count_by_their_weight() -> None:
    loss = idle_network(flat(0.1, 0.4), flat(6.0, 1.0))
    assert loss == pytest.approx((6 * 0.1 + 0.4) / 2, rel=1e-5)


class TakesAway(nn.Module):
    """Takes the level that it is told from the image."""

    def forward(self, noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return noisy - sigma.view(-1, 1, 1, 1)


def test_network_is_told_one_level_and_judged_by_the_other() -> None:
    """What is not known, 0, is told, while the error is divided by what there is."""
    objective = Objective(TakesAway(), bfloat16=False)
    clean, noise = flat(0.5, 0.5), flat(0.1, 0.4)
    told, sigma = torch.tensor([0.1, 0.0]), torch.tensor([0.1, 0.4])
    loss = objective(clean + noise, clean, told, sigma, torch.ones_like(clean))
    # No error in the first one, 0.4^2 / 0.4 in the second.
    assert loss.item() == pytest.approx(0.4 / 2, rel=1e-5)


def test_absurd_results_count_linearly() -> None:
    """Huber, twice: 2 * 0.5 * (|e| - 0.25) beyond half of the range."""
    loss = idle_network(flat(0.0, 100.0), flat(1.0, 1.0))
    assert loss == pytest.approx(2 * 0.5 * (100 - 0.25) / 0.4 / 2, rel=1e-4)


class OnALattice(nn.Module):
    """Takes the level away from every second row and column only."""

    def forward(self, noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        result = noisy.clone()
        result[..., ::2, ::2] -= sigma.view(-1, 1, 1, 1)
        return result


@pytest.mark.parametrize(
    ("network", "change"),
    # Half of the pixels change by the level, where the image has moved by a pixel.
    [(TakesAway(), 0.0), (OnALattice(), 0.2**2 / 0.2 / 2)],
)
def test_result_that_does_not_move_with_the_image_is_an_error(network, change) -> None:
    image, level = torch.full((2, 1, 33, 33), 0.5), torch.full((2,), 0.2)
    given = image, image, level, level, torch.ones_like(image)

    without, moved = (
        Objective(network, False, shift_weight=weight)(*given) for weight in (0.0, 3.0)
    )

    assert (moved - without).item() == pytest.approx(3 * change, abs=1e-6)


def test_level_of_speckle_is_no_error_where_it_is_seen() -> None:
    clean = torch.tensor([[0.2, 0.6], [-0.1, 0.4]]).view(1, 1, 2, 2)
    found = clean - 0.05
    found[0, 0, 1, 0] = 0.3  # below black: it does not count

    fitted = trainer._with_fitted_offset(found, clean)

    seen = clean > 0
    torch.testing.assert_close(fitted[seen], clean[seen])
