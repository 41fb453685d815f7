"""Half the resolution and back."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoising.algorithms.pyramid import doubled, halved, halved_shape


@pytest.mark.parametrize("shape", [(8, 6), (7, 5), (1, 4), (33, 34)])
def test_shapes_come_back(shape: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).random(shape)

    coarse = halved(frame)

    assert coarse.shape == halved_shape(shape)
    assert doubled(coarse, shape).shape == shape


def test_halving_takes_means_of_two_by_two() -> None:
    frame = np.arange(16.0).reshape(4, 4)

    np.testing.assert_array_equal(halved(frame), [[2.5, 4.5], [10.5, 12.5]])


def test_ramp_comes_back_but_for_the_border() -> None:
    z, x = np.mgrid[:20, :30]
    ramp = 0.3 * z - 0.1 * x

    back = doubled(halved(ramp), ramp.shape)

    np.testing.assert_allclose(back[1:-1, 1:-1], ramp[1:-1, 1:-1], atol=1e-12)
