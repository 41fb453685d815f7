"""Pairs: the target is what the noisy images are on average, and is told as noisy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_usflow.networks import pairs
from napari_usflow.networks.configs import MARGIN
from napari_usflow.networks.pairs import Pairs, gaussian_pairs, speckle_pairs
from napari_usflow.networks.scenes import Scenes

SPAN_DB = 60.0
MIDDLE = 12


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_white_noise_has_the_level_that_is_told_but_for_a_twentieth() -> None:
    patches = torch.rand(400, 32, 32, generator=generator())

    made = gaussian_pairs(patches, generator(1))

    noise = (made.noisy - made.clean)[:, 0]
    ratio = made.sigma / noise.flatten(1).std(dim=1)
    assert torch.equal(made.clean[:, 0], patches)
    assert float(ratio.log().mean()) == pytest.approx(0.0, abs=0.01)
    # The misjudgement, and what 1024 pixels leave open of a standard deviation.
    expected = np.hypot(0.05, 1 / np.sqrt(2 * 1024))
    assert float(ratio.log().std()) == pytest.approx(expected, rel=0.15)
    lag = (noise[:, 1:] * noise[:, :-1]).mean() / noise.square().mean()
    assert abs(float(lag)) < 0.01


def test_levels_of_white_noise_are_even_in_their_logarithm() -> None:
    made = gaussian_pairs(
        torch.zeros(4000, 1, 1), generator(2), lowest=0.02, highest=0.5
    )
    level = made.sigma.log()
    # A uniform variable: mean in the middle, standard deviation width / sqrt(12).
    assert float(level.mean()) == pytest.approx(np.log(0.1), abs=0.05)
    assert float(level.std()) == pytest.approx(np.log(25) / np.sqrt(12), rel=0.05)


@pytest.fixture
def known_scene(monkeypatch) -> None:
    """All scenes: tissue at -20 dB, a bright point in the middle, a faint interface."""

    def scenes(patches: torch.Tensor, _: torch.Generator) -> Scenes:
        count, rows, columns = patches.shape
        line = torch.tensor([MARGIN + 4.0, 0.0, 0.0, 20.0, 30.0, 10 ** (-17 / 20)])
        return Scenes(
            torch.full((count, rows, columns), -20.0),
            torch.full((count, 1, 2), float(MARGIN + MIDDLE)),
            torch.full((count, 1), 10 ** (-2 / 20)).to(torch.complex64),
            line.expand(count, 1, 6),
            torch.full((count,), SPAN_DB),
        )

    def nothing(shape: tuple[int, ...], _: torch.Generator) -> tuple[torch.Tensor, ...]:
        return torch.zeros(shape, dtype=torch.bool), torch.zeros(shape)

    monkeypatch.setattr(pairs, "draw_scenes", scenes)
    monkeypatch.setattr(pairs, "draw_graphics", nothing)


def drawn(monkeypatch, downscale: int, count: int = 500) -> Pairs:
    """Pairs that are neither near black nor near white, where grey would be cut off."""

    def always(_: int, shape: tuple[int, ...], **__: object) -> torch.Tensor:
        return torch.full(shape, downscale)

    monkeypatch.setattr(pairs.torch, "randint", always)
    size = 2 * MIDDLE + 2 * MARGIN
    made = speckle_pairs(torch.zeros(count, size, size), generator(3))
    level = made.clean.amin(dim=(1, 2, 3))
    kept = (level > 0.5) & (made.clean.amax(dim=(1, 2, 3)) < 0.97)
    assert kept.sum() > 100
    return Pairs(
        made.noisy[kept], made.clean[kept], made.sigma[kept], made.weight[kept]
    )


def test_target_is_the_mean_of_the_decibels_over_the_speckle(
    known_scene, monkeypatch
) -> None:
    """Of tissue, of the interface that is half lost in it, and of the point."""
    made = drawn(monkeypatch, downscale=0)
    error_db = SPAN_DB * (made.noisy - made.clean)[:, 0]
    count = len(error_db)

    assert float(error_db.mean()) == pytest.approx(0.0, abs=0.1)
    for place in (error_db[:, 4], error_db[:, MIDDLE, MIDDLE]):
        spread = 5.57 / np.sqrt(count)
        assert abs(float(place.mean())) < 4 * spread
    # The point: 18 dB above, hardly any speckle is left in it.
    assert float(error_db[:, MIDDLE, MIDDLE].std()) < 2.0


def test_mean_of_decibels_over_a_pixel_keeps_the_target_of_tissue(
    known_scene, monkeypatch
) -> None:
    made = drawn(monkeypatch, downscale=3)
    tissue_db = SPAN_DB * (made.noisy - made.clean)[:, 0, -4:, :]
    assert float(tissue_db.mean()) == pytest.approx(0.0, abs=0.15)


def test_level_that_is_told_is_that_of_speckle_but_for_a_fifth(
    known_scene, monkeypatch
) -> None:
    made = drawn(monkeypatch, downscale=0)
    ratio = (made.sigma * SPAN_DB / 5.5703).log()
    assert float(ratio.mean()) == pytest.approx(0.0, abs=0.05)
    assert float(ratio.std()) == pytest.approx(0.2, rel=0.2)
    tissue_db = SPAN_DB * (made.noisy - made.clean)[:, 0, -4:, :]
    assert float(tissue_db.std()) == pytest.approx(5.57, rel=0.03)


def test_averages_over_a_pixel_are_told_as_less_noisy(known_scene, monkeypatch) -> None:
    told = [
        float(drawn(monkeypatch, how).sigma.log().mean().exp()) for how in (0, 3, 4)
    ]
    assert told[0] > 1.15 * told[1] > 1.15 * told[2]


def test_only_what_is_certainly_no_speckle_counts_more(
    known_scene, monkeypatch
) -> None:
    """The point is 18 dB above the tissue, the interface 3 dB."""
    weight = drawn(monkeypatch, downscale=0).weight[:, 0]
    assert (weight[:, MIDDLE, MIDDLE] > 1).all()
    assert (weight[:, 4] == 1).all()
    assert float((weight > 1).double().mean()) < 0.05


def test_some_images_are_grey_of_8_bits_and_stay_within_it() -> None:
    patches = torch.rand(200, 16 + 2 * MARGIN, 16 + 2 * MARGIN, generator=generator())

    made = speckle_pairs(patches, generator(4))

    assert made.noisy.shape == made.clean.shape == (200, 1, 16, 16)
    steps = 255 * made.noisy
    eight_bit = (steps - steps.round()).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert 0.25 < float(eight_bit.double().mean()) < 0.45
    assert made.noisy[eight_bit].min() >= 0 and made.noisy[eight_bit].max() <= 1
    assert made.clean[eight_bit].min() >= 0 and made.clean[eight_bit].max() <= 1
    # The others may be darker than black and whiter than white.
    assert made.noisy[~eight_bit].min() < 0 and made.noisy[~eight_bit].max() > 1


def test_speckle_does_not_know_where_the_patch_ends(known_scene, monkeypatch) -> None:
    """The simulation joins both ends of an axis; the margin keeps them apart."""
    noise = SPAN_DB * _centred(drawn(monkeypatch, downscale=0))[:, -4:, :]
    joined = (noise[..., 0] * noise[..., -1]).mean() / noise.square().mean()
    next_to = (noise[..., 0] * noise[..., 1]).mean() / noise.square().mean()
    assert abs(float(joined)) < 0.06
    assert float(next_to) > 0.15


def test_generator_decides_everything() -> None:
    patches = torch.rand(4, 8 + 2 * MARGIN, 8 + 2 * MARGIN, generator=generator())
    first, again = (speckle_pairs(patches, generator(5)) for _ in range(2))
    assert torch.equal(first.noisy, again.noisy)
    assert torch.equal(first.sigma, again.sigma)


def _centred(made: Pairs) -> torch.Tensor:
    return (made.noisy - made.clean)[:, 0]
