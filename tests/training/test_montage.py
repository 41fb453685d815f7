"""Patches laid out in a grid."""

from __future__ import annotations

import numpy as np

from napari_usflow.training.montage import montage


def test_montage_puts_patches_row_by_row_with_gaps() -> None:
    patches = np.arange(1, 6, dtype=np.float32)[:, None, None] * np.ones((5, 4, 4))
    sheet = montage(patches, gap=2, filling=0.0)
    # Five patches: three columns, two rows, gaps of two pixels.
    assert sheet.shape == (4 + 2 + 4, 3 * 4 + 2 * 2)
    assert sheet[0, 0] == 1
    assert sheet[3, 15] == 3
    assert sheet[6, 6] == 5
    assert sheet[6, 12] == 0
    assert sheet[4, 0] == 0
