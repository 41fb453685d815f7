"""A step's pairs and its loss, and what the result is judged by."""

from __future__ import annotations

import pytest
import torch

from napari_usflow.networks import trainer
from napari_usflow.networks.configs import MARGIN, NetworkConfig
from napari_usflow.networks.trainer import Objective, draw_pairs
from napari_usflow.networks.unet import UNet

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
    assert pairs.sigma.shape == (8,)
    # White noise is put on the patch itself; speckle is of tissue that is made of it.
    is_patch = [torch.equal(c, p) for c, p in zip(pairs.clean, inner, strict=True)]
    count = round(8 * share)
    assert is_patch == [True] * count + [False] * (8 - count)


def idle_network(noise: torch.Tensor, weight: torch.Tensor) -> float:
    """Loss of a network that does nothing: what is asked of it is the noise."""
    network = UNet(CONFIG.network)
    clean = torch.full_like(noise, 0.5)
    loss = Objective(network, bfloat16=False)(
        clean + noise, clean, torch.tensor([0.1, 0.4]), weight
    )
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


def test_absurd_results_count_linearly() -> None:
    """Huber, twice: 2 * 0.5 * (|e| - 0.25) beyond half of the range."""
    loss = idle_network(flat(0.0, 100.0), flat(1.0, 1.0))
    assert loss == pytest.approx(2 * 0.5 * (100 - 0.25) / 0.4 / 2, rel=1e-4)


def test_level_of_speckle_is_no_error_where_it_is_seen() -> None:
    clean = torch.tensor([[0.2, 0.6], [-0.1, 0.4]]).view(1, 1, 2, 2)
    found = clean - 0.05
    found[0, 0, 1, 0] = 0.3  # below black: it does not count

    fitted = trainer._with_fitted_offset(found, clean)

    seen = clean > 0
    torch.testing.assert_close(fitted[seen], clean[seen])
