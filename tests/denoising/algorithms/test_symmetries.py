"""The symmetries of the square."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoising.algorithms.symmetries import (
    EIGHT,
    UPRIGHT,
    turned,
    turned_back,
)

FRAME = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("turn", EIGHT)
def test_turning_can_be_undone(turn: int) -> None:
    np.testing.assert_array_equal(turned_back(turned(FRAME, turn), turn), FRAME)


def test_all_eight_differ() -> None:
    corners = FRAME[:3, :3]
    assert len({turned(corners, turn).tobytes() for turn in EIGHT}) == 8


def test_upright_ones_are_mirror_images() -> None:
    found = {turned(FRAME, turn).tobytes() for turn in UPRIGHT}
    expected = [FRAME, FRAME[::-1], FRAME[:, ::-1], FRAME[::-1, ::-1]]
    assert found == {image.tobytes() for image in expected}
