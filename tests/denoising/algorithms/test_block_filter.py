"""Classical filters on block means: which blocks, and how noisy they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_usflow.denoising.algorithms import method_class, methods
from napari_usflow.denoising.algorithms.block_filter import BlockFilter
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.working_pixel import WorkingPixel
from napari_usflow.training.network.speckle_synthesis import speckle_field

FILTERS = [name for name in methods() if method_class(name).baseline]


def of_grain(axial: float, lateral: float) -> Noise:
    return Noise(1.0, (axial, lateral), white=False)


def test_every_classical_method_filters_blocks() -> None:
    assert set(FILTERS) == {"nlm", "obnlm", "srad", "tv"}
    assert all(issubclass(method_class(name), BlockFilter) for name in FILTERS)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("block", "grain", "steps"),
    [
        (1, (3.0, 3.0), (1, 1)),
        (2, (0.2, 0.2), (2, 2)),
        (None, (0.2, 0.2), (1, 1)),
    ],
)
def test_given_block_is_taken_and_white_noise_needs_none(
    name, block, grain, steps
) -> None:
    pixel = create(name, block=block).working_pixel(of_grain(*grain))

    assert pixel == WorkingPixel(steps, block_mean=True)


@pytest.mark.parametrize("grain", [(0.2, 2.0), (3.0, 1.5)])
def test_block_follows_the_grain_along_each_axis(grain: tuple[float, float]) -> None:
    steps = create("nlm").working_pixel(of_grain(*grain)).steps

    for step, width in zip(steps, grain, strict=True):
        # Grain that is one pixel wide at half maximum has a deviation of 0.42.
        assert step == 1 if width == 0.2 else 0.42 <= width / step <= 1.0


@pytest.mark.parametrize("grain", [(0.2, 0.2), (0.7, 1.2), (1.8, 2.7)])
@pytest.mark.parametrize("steps", [(1, 1), (2, 3), (4, 4)])
def test_level_is_that_of_the_block_means_of_speckle(grain, steps) -> None:
    generator = torch.Generator().manual_seed(0)
    field = speckle_field(
        torch.ones(4, 384, 384), torch.tensor([grain] * 4), generator=generator
    )
    decibels = (20 * field.abs().log10()).numpy()
    pixel = WorkingPixel(steps, block_mean=True)
    means = [pixel.sampled(frame)[0][2:-2, 2:-2] for frame in decibels]

    level = create("nlm").working_sigma(of_grain(*grain), pixel)

    assert level == pytest.approx(np.std(means) / decibels.std(), rel=0.03)
