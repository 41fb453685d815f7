"""Where blocks lie: every pixel covered, every shift in place, bands without gaps."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoising.algorithms import blockwise_layout as block_layout
from napari_usflow.denoising.algorithms.blockwise_layout import BlockLayout

KINDS = [(3, 2, 2), (2, 1, 1), (2, 1, 3), (2, 2, 4), (1, 3, 2)]


@pytest.mark.parametrize(("search", "block", "step"), KINDS)
def test_blocks_cover_the_image_and_none_lies_beyond_need(search, block, step) -> None:
    for length in range(1, 20):
        layout = BlockLayout((length, 5), search, block, step)
        last = step * (layout.centers[0] - 1)

        assert last + block >= length - 1  # its last pixel is covered
        assert last - step <= length - 1 and (
            last <= length - 1 or last - step + block < length - 1
        )


@pytest.mark.parametrize(("search", "block", "step"), KINDS)
def test_shifted_planes_are_the_mirrored_image_shifted(search, block, step) -> None:
    image = np.random.default_rng(0).random((9, 11))
    layout = BlockLayout(image.shape, search, block, step)
    mirrored = np.pad(image, 40, mode="symmetric")
    planes = layout.planes(image)
    rows = layout.centers[0]

    for offset in ((0, 0), (search, -search), (-search, search)):
        seen = layout.image(layout.shifted(planes, offset, 0, rows))

        z, x = 40 + offset[0], 40 + offset[1]
        np.testing.assert_array_equal(seen, mirrored[z : z + 9, x : x + 11])


def test_bands_follow_each_other_and_stay_small(monkeypatch) -> None:
    monkeypatch.setattr(block_layout, "_BAND_PIXELS", 400)
    layout = BlockLayout((101, 40), 3, 2, 2)

    bands = list(layout.bands())

    assert [first for first, _ in bands] == list(
        np.cumsum([0, *(count for _, count in bands[:-1])])
    )
    assert sum(count for _, count in bands) == layout.centers[0] == 51
    assert max(count for _, count in bands) * 2 * 40 <= 400
