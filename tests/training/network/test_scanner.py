"""The steps of a scanner keep the mean, and each does what its name says."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from napari_usflow.training.network.scanner import (
    GreyMap,
    compressed,
    filtered,
    scan_converted,
)

SPAN_DB = 60.0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey_map(
    *, gain_db: float = 0.0, power: float = 1.0, bend: float = 0.0, display: bool = True
) -> GreyMap:
    numbers = (torch.full((1, 1, 1), x) for x in (gain_db, SPAN_DB, power, bend))
    return GreyMap(*numbers, torch.full((1, 1, 1), display))


def test_grey_of_no_display_is_linear_in_decibels() -> None:
    decibels = torch.linspace(-100, 30, 50).view(1, 1, -1)

    grey = grey_map(gain_db=5.0, power=0.6, bend=0.5, display=False)(decibels)

    torch.testing.assert_close(grey, 1 + (decibels + 5) / SPAN_DB)


def test_display_is_black_one_span_below_white_and_rises_between() -> None:
    decibels = torch.tensor([-200.0, -65.0, *range(-64, -5), -5.0, 40.0]).view(1, 1, -1)

    grey = grey_map(gain_db=5.0, power=0.7, bend=0.9)(decibels)[0, 0]

    torch.testing.assert_close(grey[:2], torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(grey[-2:], torch.ones(2))
    assert (grey[1:-1].diff() > 0).all()


def test_power_and_bend_are_those_of_the_curve() -> None:
    middle = torch.tensor([[[-SPAN_DB / 2]]])
    assert float(grey_map(power=0.5)(middle)) == pytest.approx(0.5**0.5)
    # An S leaves black, the middle and white where they are.
    assert float(grey_map(bend=0.9)(middle)) == pytest.approx(0.5)
    lower = torch.tensor([[[-0.75 * SPAN_DB]]])
    assert float(grey_map(bend=0.9)(lower)) < 0.25


def speckle_db(looks: int, ratio: float) -> torch.Tensor:
    """Decibels of L looks with a coherent echo, of mean 0."""
    rng = np.random.default_rng(looks)
    real, imaginary = rng.normal(0, 0.5**0.5, (2, looks, 200_000))
    intensity = ((ratio**0.5 + real) ** 2 + imaginary**2).mean(axis=0)
    decibels = 10 * np.log10(intensity)
    return torch.from_numpy(decibels - decibels.mean()).float().view(1, 1, -1)


# In the middle, near white, near black, and all but lost in either.
@pytest.mark.parametrize("mean_db", [-30.0, -3.0, -56.0, 4.0, -66.0])
@pytest.mark.parametrize("looks", [1, 3, 8])
def test_mean_grey_is_that_of_speckle(looks: int, mean_db: float) -> None:
    for curve in (grey_map(), grey_map(power=0.7, bend=0.5)):
        expected = float(curve(mean_db + speckle_db(looks, 0.0)).mean())

        level = torch.full((1, 1, 1), mean_db)
        found = curve.mean(level, torch.zeros(1, 1, 1), torch.tensor([looks]))

        # Ten quantiles leave the rare deep minima out.
        assert float(found) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    ("ratio", "tolerance"), [(1.0, 0.008), (5.0, 0.004), (20.0, 0.002), (200.0, 1e-4)]
)
def test_mean_grey_is_that_of_an_echo_in_speckle(
    ratio: float, tolerance: float
) -> None:
    """Near white, where the width of the distribution decides."""
    curve = grey_map()
    expected = float(curve(-1.0 + speckle_db(1, ratio)).mean())

    level, echo = torch.full((1, 1, 1), -1.0), torch.full((1, 1, 1), ratio)
    found = curve.mean(level, echo, torch.tensor([1]))

    assert float(found) == pytest.approx(expected, abs=tolerance)


def test_mean_of_decibels_is_the_mean_of_linear_grey() -> None:
    level = torch.tensor([[[-70.0, -30.0, 10.0]]])
    curve = grey_map(display=False)
    found = curve.mean(level, torch.zeros(1, 1, 3), torch.tensor([1]))
    torch.testing.assert_close(found, curve(level))


def test_filters_keep_a_constant_and_leave_the_others_alone() -> None:
    images = torch.rand(2, 3, 24, 24, generator=generator())
    images[:, 0] = 0.3
    smoothing = torch.tensor([[1.1, 0.8], [0.0, 0.0], [0.7, 1.2]])

    result = filtered(images, smoothing, torch.tensor([0.5, 0.0, 0.0]))

    torch.testing.assert_close(result[:, 0], images[:, 0])
    torch.testing.assert_close(result[:, 1], images[:, 1])
    assert float(result[:, 2].std()) < 0.5 * float(images[:, 2].std())


def test_smoothing_has_the_width_that_is_asked_for() -> None:
    impulse = torch.zeros(1, 1, 25, 25)
    impulse[..., 12, 12] = 1.0

    result = filtered(impulse, torch.tensor([[0.8, 1.1]]), torch.zeros(1))[0, 0]

    assert float(result.sum()) == pytest.approx(1.0, abs=1e-5)
    squares = (torch.arange(25.0) - 12).square()
    for axis, sigma in ((1, 0.8), (0, 1.1)):
        variance = float((result.sum(dim=axis) * squares).sum())
        assert variance == pytest.approx(sigma**2, rel=0.02)


def test_enhancement_overshoots_at_an_edge_and_keeps_the_mean() -> None:
    edge = torch.full((1, 1, 24, 24), 0.2)
    edge[..., 12:] = 0.8

    result = filtered(edge, torch.zeros(1, 2), torch.tensor([0.8]))

    assert result.max() > 0.85 and result.min() < 0.15
    assert float(result.mean()) == pytest.approx(0.5, abs=1e-5)


SECTOR = torch.tensor([[100.0, 0.0, 1.25, 0.8]])
"""Apex 100 pixels above the middle, looking down; 1.25 pixels a line, 0.8 a sample."""


def converted(
    images: torch.Tensor, geometry: torch.Tensor, **how: bool
) -> torch.Tensor:
    flags = {"chosen": True, "display": True, **how}
    return scan_converted(
        images, geometry, *(torch.tensor([flags[k]]) for k in ("chosen", "display"))
    )


def test_only_chosen_images_are_scan_converted() -> None:
    images = torch.rand(2, 1, 16, 16, generator=generator())
    assert torch.equal(converted(images, SECTOR, chosen=False), images)
    assert not torch.equal(converted(images, SECTOR), images)


def test_scan_conversion_keeps_a_constant() -> None:
    constant = torch.full((1, 1, 40, 40), 0.6)
    wide = torch.tensor([[70.0, 0.8, 0.8, 0.8]])

    mirrored, black = (converted(constant, wide, display=d) for d in (False, True))

    torch.testing.assert_close(mirrored, constant)
    # Outside of the lines it is black, and some of the picture lies there.
    assert black.max() == pytest.approx(0.6) and black.min() == 0


def test_lines_leave_the_apex_and_samples_lie_on_circles() -> None:
    size = 64
    line = torch.arange(float(size)).expand(size, size)
    images = torch.stack([line, line.T])[:, None]

    by_line, by_sample = converted(images, SECTOR)[:, 0]

    # Rows and columns are counted from the middle of the picture.
    def at(image: torch.Tensor, z: int, x: int) -> float:
        return float(image[size // 2 + z, size // 2 + x])

    # Where the apex is 100 pixels above the middle, these lie on one line each.
    assert at(by_line, -20, 8) == pytest.approx(at(by_line, 20, 12), abs=1e-3)
    assert at(by_line, -10, -9) == pytest.approx(at(by_line, 10, -11), abs=1e-3)
    # A line at the middle is 1.25 pixels wide, a sample 0.8 pixels long.
    assert at(by_line, 0, 10) - at(by_line, 0, 0) == pytest.approx(
        100 * math.atan(0.1) / 1.25, abs=1e-3
    )
    assert at(by_sample, 8, 0) - at(by_sample, 0, 0) == pytest.approx(10, abs=1e-3)
    # Both lie 100 pixels from the apex: 60, 80 and 100, 0 (here 96, 28).
    assert at(by_sample, -4, 28) == pytest.approx(at(by_sample, 0, 0), abs=1e-3)


def test_compression_leaves_the_others_and_constant_blocks() -> None:
    images = torch.rand(3, 16, 24, generator=generator())
    images[1] = torch.tensor([0.1, 0.9]).repeat_interleave(8)[:, None].expand(16, 24)
    quality = torch.full((3,), 60.0)

    result = compressed(images, quality, torch.tensor([False, True, True]))

    assert torch.equal(result[0], images[0])
    # The mean of a block is an eighth of its first coefficient, whose step is 16 of
    # 255, times 0.8 at this quality, and rounded.
    step = round(16 * 0.8) / 255 / 8
    torch.testing.assert_close(result[1], images[1], atol=step / 2 + 1e-5, rtol=0)
    assert float(result[1, 0:8].amax() - result[1, 0:8].amin()) < 1e-5
    assert not torch.equal(result[2], images[2])
    assert result.min() >= 0 and result.max() <= 1


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
def test_compression_is_that_of_jpeg(quality: int) -> None:
    z, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    noise = torch.randn(64, 64, generator=generator())
    picture = 0.5 + 0.2 * torch.sin(z / 5) * torch.cos(x / 9) + 0.06 * noise
    eight_bit = (255 * picture).round().to(torch.uint8).numpy()
    buffer = io.BytesIO()
    Image.fromarray(eight_bit).save(buffer, "jpeg", quality=quality)
    expected = torch.from_numpy(np.array(Image.open(buffer))) / 255
    original = torch.from_numpy(eight_bit)[None] / 255

    result = compressed(original, torch.tensor([float(quality)]), torch.tensor([True]))

    # JPEG rounds its result to 8 bits too, and the mean of a block from 128 on.
    difference = float((result[0] - expected).square().mean().sqrt())
    loss = float((original[0] - expected).square().mean().sqrt())
    assert difference < 0.2 * loss + 0.5 / 255
