"""Pairs: the target is what the noisy images are on average, and levels are true."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import polygamma

from napari_usflow.training.network import pairs
from napari_usflow.training.network.configs import MARGIN
from napari_usflow.training.network.pairs import Pairs, gaussian_pairs, speckle_pairs
from napari_usflow.training.network.scenes import Scenes

SPAN_DB = 60.0
MIDDLE = 12
SIDE = 2 * MIDDLE + 2 * MARGIN


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_patches(count: int, side: int = 16) -> torch.Tensor:
    return torch.rand(
        count, side + 2 * MARGIN, side + 2 * MARGIN, generator=generator()
    )


def speckle_std_db(looks: int) -> float:
    """Standard deviation of log-compressed speckle: 10 / ln 10 sqrt(psi_1(L))."""
    return 10 / np.log(10) * float(polygamma(1, looks)) ** 0.5


def test_some_white_noise_is_too_weak_to_be_seen() -> None:
    patches = torch.rand(400, 32, 32, generator=generator())

    made = gaussian_pairs(patches, generator(1))

    spread = (made.noisy - made.clean).flatten(1).std(dim=1)
    assert float(spread.min()) < 0.0015
    # An error counts as that of noise of 0.02.
    assert float(made.sigma.min()) == pytest.approx(0.02)


def test_white_noise_has_the_level_that_is_told_but_for_a_twentieth() -> None:
    patches = torch.rand(400, 32, 32, generator=generator())

    made = gaussian_pairs(patches, generator(1), lowest=0.02)

    noise = (made.noisy - made.clean)[:, 0]
    ratio = made.told / made.sigma
    assert torch.equal(made.clean[:, 0], patches)
    assert float(ratio.log().mean()) == pytest.approx(0.0, abs=0.01)
    assert float(ratio.log().std()) == pytest.approx(0.05, rel=0.15)
    # What 1024 pixels leave open of a standard deviation.
    there = (made.sigma / noise.flatten(1).std(dim=1)).log()
    assert float(there.mean()) == pytest.approx(0.0, abs=0.005)
    assert float(there.std()) == pytest.approx(1 / np.sqrt(2 * 1024), rel=0.15)
    lag = (noise[:, 1:] * noise[:, :-1]).mean() / noise.square().mean()
    assert abs(float(lag)) < 0.01


def test_levels_of_white_noise_are_even_in_their_logarithm() -> None:
    made = gaussian_pairs(
        torch.zeros(4000, 1, 1), generator(2), lowest=0.02, highest=0.5
    )
    assert made.sigma.min() >= 0.02 and made.sigma.max() <= 0.5
    level = made.sigma.log()
    # A uniform variable: mean in the middle, standard deviation width / sqrt(12).
    assert float(level.mean()) == pytest.approx(np.log(0.1), abs=0.05)
    assert float(level.std()) == pytest.approx(np.log(25) / np.sqrt(12), rel=0.05)


def test_level_of_white_noise_may_be_kept_back() -> None:
    made = gaussian_pairs(torch.zeros(1000, 1, 1), generator(3), told_share=0.3)
    assert float((made.told > 0).double().mean()) == pytest.approx(0.3, abs=0.045)
    assert (made.sigma > 0).all()


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

    monkeypatch.setattr(pairs, "draw_scenes", scenes)
    monkeypatch.setattr(pairs, "draw_graphics", no_graphics)


@pytest.fixture
def flat_tissue(monkeypatch) -> None:
    """All scenes: tissue at -20 dB and nothing else."""
    show_tissue(monkeypatch, torch.full((SIDE, SIDE), -20.0))


def show_tissue(monkeypatch: pytest.MonkeyPatch, level_db: torch.Tensor) -> None:
    def scenes(patches: torch.Tensor, _: torch.Generator) -> Scenes:
        count = len(patches)
        return Scenes(
            level_db.expand(count, SIDE, SIDE),
            torch.zeros(count, 1, 2),
            torch.zeros(count, 1, dtype=torch.complex64),
            torch.zeros(count, 1, 6),
            torch.full((count,), SPAN_DB),
        )

    monkeypatch.setattr(pairs, "draw_scenes", scenes)
    monkeypatch.setattr(pairs, "draw_graphics", no_graphics)


def no_graphics(
    shape: tuple[int, ...], _: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(shape, dtype=torch.bool), torch.zeros(shape)


def unprocessed(monkeypatch, looks: int = 1, count: int = 500) -> Pairs:
    """Pairs that are linear in decibels, as they are before a scanner's processing."""

    def never(draw: pairs._Draw, _: float) -> torch.Tensor:
        return torch.zeros(draw._count, dtype=torch.bool)

    monkeypatch.setattr(pairs._Draw, "chance", never)
    return speckle_pairs(torch.zeros(count, SIDE, SIDE), generator(3), looks=looks)


def errors_db(made: Pairs) -> torch.Tensor:
    return SPAN_DB * (made.noisy - made.clean)[:, 0]


@pytest.mark.parametrize("looks", [1, 3, 8])
def test_target_is_the_mean_of_the_decibels_over_the_speckle(
    known_scene, monkeypatch, looks: int
) -> None:
    """Of tissue, of the interface that is half lost in it, and of the point."""
    error_db = errors_db(unprocessed(monkeypatch, looks))
    count = len(error_db)

    # Independent between images alone: grain may be as wide as the picture.
    each = error_db.mean(dim=(1, 2))
    assert abs(float(each.mean())) < 4 * float(each.std()) / np.sqrt(count)
    assert float(each.mean()) == pytest.approx(0.0, abs=0.15)
    spread = speckle_std_db(looks) / np.sqrt(count)
    for place in (error_db[:, 4], error_db[:, MIDDLE, MIDDLE]):
        # The mean of several looks is interpolated where an echo is half lost.
        assert abs(float(place.mean())) < 4 * spread + 0.15 * (looks > 1)
    # The point: 18 dB above, hardly any speckle is left in it.
    assert float(error_db[:, MIDDLE, MIDDLE].std()) < 2.0


@pytest.mark.parametrize("looks", [1, 2, 8])
def test_speckle_of_several_looks_is_as_much_weaker(
    flat_tissue, monkeypatch, looks: int
) -> None:
    made = unprocessed(monkeypatch, looks)
    expected = speckle_std_db(looks)
    assert float(errors_db(made).std()) == pytest.approx(expected, rel=0.04)
    mean_square = float(made.sigma.square().mean()) * SPAN_DB**2
    assert mean_square**0.5 == pytest.approx(expected, rel=0.04)


def test_level_is_that_of_the_noise_there_is(flat_tissue) -> None:
    made = speckle_pairs(torch.zeros(200, SIDE, SIDE), generator(4))
    # What lies far below black is not seen.
    noise = made.noisy.clamp_min(-0.2) - made.clean.clamp_min(-0.2)
    rms = noise.square().mean(dim=(1, 2, 3)).sqrt()
    torch.testing.assert_close(made.sigma, rms.clamp_min(0.02))


def test_level_is_never_none() -> None:
    """Also where a picture is black, or covered by graphics."""
    made = speckle_pairs(random_patches(200), generator(5))
    assert made.sigma.min() >= 0.02


def test_level_is_told_for_three_tenths_and_then_off_by_a_fifth() -> None:
    made = speckle_pairs(random_patches(600, 8), generator(6))

    known = made.told > 0

    tolerance = 3 * (0.3 * 0.7 / 600) ** 0.5
    assert float(known.double().mean()) == pytest.approx(0.3, abs=tolerance)
    assert (made.told[~known] == 0).all()
    ratio = (made.told / made.sigma)[known].log()
    assert float(ratio.mean()) == pytest.approx(0.0, abs=0.06)
    assert float(ratio.std()) == pytest.approx(0.2, rel=0.2)


@pytest.mark.parametrize("level_db", [-3.0, -20.0, -56.0])
def test_target_is_the_mean_of_what_a_scanner_shows(
    monkeypatch, level_db: float
) -> None:
    """Of displays and of decibels: grey maps, filters, sectors and JPEG keep it.

    Near white and near black as well, where a display cuts speckle off.
    """
    show_tissue(monkeypatch, torch.full((SIDE, SIDE), level_db))

    made = speckle_pairs(torch.zeros(600, SIDE, SIDE), generator(7))

    error = (made.noisy - made.clean).mean(dim=(1, 2, 3))

    display = _is_eight_bit(made)
    assert 200 < int(display.sum()) < 400
    for group in (error[display], error[~display]):
        standard_error = float(group.std()) / np.sqrt(len(group))
        # Half a grey level: edge enhancement and JPEG are cut off at black and white.
        assert abs(float(group.mean())) < 4 * standard_error + 0.5 / 255
        assert float(group.mean()) == pytest.approx(0.0, abs=0.006)


def test_target_is_filtered_as_the_scanner_filters(monkeypatch) -> None:
    step_db = torch.full((SIDE, SIDE), -35.0)
    step_db[:, SIDE // 2 :] = -20.0
    show_tissue(monkeypatch, step_db)
    monkeypatch.setattr(pairs, "scan_converted", lambda images, *_: images)

    made = speckle_pairs(torch.zeros(600, SIDE, SIDE), generator(9))

    # A target without a filter has two levels, right up to the step.
    clean = made.clean[:, 0]
    beside = torch.stack([clean[..., MIDDLE - 1], clean[..., MIDDLE]])
    far = torch.stack([clean[..., 0], clean[..., -1]])
    changed = (beside - far).abs().amax(dim=(0, 2)) > 1e-3
    # 0.3 are smoothed, a quarter of the displays is sharpened; three standard errors.
    share = 1 - 0.7 * (1 - 0.5 * 0.25)
    tolerance = 3 * (share * (1 - share) / 600) ** 0.5
    assert float(changed.double().mean()) == pytest.approx(share, abs=tolerance)


def test_only_what_is_certainly_no_speckle_counts_more(
    known_scene, monkeypatch
) -> None:
    """The point is 18 dB above the tissue, the interface 3 dB."""
    weight = unprocessed(monkeypatch).weight[:, 0]
    assert (weight[:, MIDDLE, MIDDLE] > 1).all()
    assert (weight[:, 4] == 1).all()
    assert float((weight > 1).double().mean()) < 0.05


def test_what_is_far_below_black_counts_less() -> None:
    made = speckle_pairs(random_patches(200), generator(8))
    dark = made.clean < -0.1
    assert 0.001 < float(dark.double().mean()) < 0.3
    assert (made.weight[dark] < 1).all() and (made.weight[~dark] >= 1).all()


def test_some_images_are_grey_of_8_bits_and_stay_within_it() -> None:
    made = speckle_pairs(random_patches(200), generator(4))

    assert made.noisy.shape == made.clean.shape == made.weight.shape == (200, 1, 16, 16)
    assert made.told.shape == made.sigma.shape == (200,)
    eight_bit = _is_eight_bit(made)
    # A half, and three standard errors.
    tolerance = 3 * (0.25 / 200) ** 0.5
    assert float(eight_bit.double().mean()) == pytest.approx(0.5, abs=tolerance)
    assert made.noisy[eight_bit].min() >= 0 and made.noisy[eight_bit].max() <= 1
    assert made.clean[eight_bit].min() >= 0 and made.clean[eight_bit].max() <= 1
    # The others may be darker than black and whiter than white.
    assert made.noisy[~eight_bit].min() < 0 and made.noisy[~eight_bit].max() > 1


def test_speckle_does_not_know_where_the_patch_ends(known_scene, monkeypatch) -> None:
    """The simulation joins both ends of an axis; the margin keeps them apart."""
    noise = errors_db(unprocessed(monkeypatch))[:, -4:, :]
    joined = (noise[..., 0] * noise[..., -1]).mean() / noise.square().mean()
    next_to = (noise[..., 0] * noise[..., 1]).mean() / noise.square().mean()
    assert abs(float(joined)) < 0.06
    assert float(next_to) > 0.15


def test_grain_is_finer_than_a_pixel_to_many_pixels_wide(
    flat_tissue, monkeypatch
) -> None:
    noise = errors_db(unprocessed(monkeypatch))
    square = noise.square().mean(dim=(1, 2))
    down, across = (
        (noise * noise.roll(1, axis)).mean(dim=(1, 2)) / square for axis in (1, 2)
    )
    # Neighbours of the finest grain are independent, of the widest nearly alike.
    for correlation in (down, across):
        assert float(correlation.quantile(0.02)) < 0.1
        assert float(correlation.quantile(0.98)) > 0.8
    assert float((across > down).double().mean()) > 0.7


def test_generator_decides_everything() -> None:
    patches = random_patches(8, 8)
    first, again, other = (speckle_pairs(patches, generator(k)) for k in (5, 5, 6))
    for name in ("noisy", "clean", "told", "sigma", "weight"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.noisy, other.noisy)


def _is_eight_bit(made: Pairs) -> torch.Tensor:
    steps = 255 * made.noisy
    return (steps - steps.round()).abs().amax(dim=(1, 2, 3)) < 1e-3
