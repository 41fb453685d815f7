"""The limits of a result: the extremes of what is seen nearby."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter, minimum_filter

from napari_usflow.networks.limits import NEARBY, within_what_is_seen


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (7, 5), (31, 24)])
def test_limits_are_the_extremes_of_the_square_around_a_pixel(shape) -> None:
    rng = np.random.default_rng(0)
    noisy = rng.normal(size=(2, 1, *shape)).astype(np.float32)
    images = torch.from_numpy(noisy)

    lowest, highest = (
        within_what_is_seen(torch.full_like(images, value), images).numpy()
        for value in (-9.0, 9.0)
    )

    square = (1, 1, NEARBY, NEARBY)
    np.testing.assert_array_equal(lowest, minimum_filter(noisy, square))
    np.testing.assert_array_equal(highest, maximum_filter(noisy, square))


def test_what_lies_within_stays() -> None:
    noisy = torch.rand(1, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(within_what_is_seen(noisy, noisy), noisy)
